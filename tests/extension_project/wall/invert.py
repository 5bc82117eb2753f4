"""A transform."""

import numpy as np

from crackexp.data.transforms import Transform


class RandomInvert(Transform):
    """Turns some images into their negatives.

    Args:
        probability: The share of the images.
    """

    def __init__(self, probability: float) -> None:
        self.probability = probability

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return 255 - image if rng.random() < self.probability else image
