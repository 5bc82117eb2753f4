"""The explainer: a classifier and its Grad-CAM in one program, over a stream of images."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from crackexp.models.gradcam import GradCam
from crackexp.training.inference import Inference, padded


class Explainer(Inference):
    """Runs a classifier over batches; the outputs are probabilities (B, c) and maps (B, h, w), see `GradCam`.

    Args:
        classifier: images (B, S, S, 3) to probabilities (B, c); on CPU see `for_cpu`.
        targets: indices of the classes that the maps speak of.
        layer: see `GradCam`.
        batch_size: see `Inference`.
        devices: see `Inference`.

    Attributes:
        gradcam: whose maps these are.

    Raises:
        ConfigError: see `GradCam`.
    """

    def __init__(
        self,
        classifier: keras.Model,
        targets: Sequence[int],
        layer: str | None = None,
        batch_size: int | None = None,
        devices: Sequence[Any] | None = None,
    ) -> None:
        self.gradcam = GradCam(classifier, targets, layer)
        super().__init__(self.gradcam.network, batch_size, devices)

    def explain(self, images: np.ndarray) -> np.ndarray:
        """Returns a map as large as the image for each of `images`, (n, S, S, 3) uint8: (n, S, S) float32."""
        _, maps = self.predict(padded(images, self.batch_size), len(images), "Explaining")
        return self.gradcam.enlarge(maps, *images.shape[1:3])
