"""The evidence for and against a class, as an overlay of an image."""

import numpy as np

FOR, AGAINST = (213, 94, 0), (0, 114, 178)
"""The colours of positive and negative scores, RGB."""
OPACITY = 0.75
"""The opacity of the colour where the absolute score is largest."""
LUMA = (0.299, 0.587, 0.114)
"""The weights of red, green and blue in a grey pixel, as in ITU-R BT.601."""


def evidence(image: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Returns an image in grey, tinted orange where scores are positive and blue where they are negative.

    The opacity of the tint grows with the absolute score, up to `OPACITY` at the largest one.

    Args:
        image: The image, (H, W, 3) uint8 RGB.
        scores: The score of each pixel, (H, W) float.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    largest = float(np.abs(scores).max())
    alpha = OPACITY * np.abs(scores / largest if largest else scores)[..., None]
    colors = np.where(scores[..., None] > 0, FOR, AGAINST)
    return np.round((1 - alpha) * (image @ LUMA)[..., None] + alpha * colors).astype(np.uint8)
