"""What speaks for and against a class, laid over an image."""

import numpy as np

FOR, AGAINST = (213, 94, 0), (0, 114, 178)
"""RGB."""
OPACITY = 0.75
"""Where it speaks loudest."""
LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in what is seen as grey: ITU-R BT.601."""


def evidence(image: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Returns `image` in grey, orange where the scores are above 0 and blue where they are below.

    The largest of them, whichever its sign, is as opaque as any gets, and 0 lets the grey through.

    Args:
        image: (H, W, 3) uint8 RGB.
        scores: (H, W) float.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    largest = float(np.abs(scores).max())
    alpha = OPACITY * np.abs(scores / largest if largest else scores)[..., None]
    colors = np.where(scores[..., None] > 0, FOR, AGAINST)
    return np.round((1 - alpha) * (image @ LUMA)[..., None] + alpha * colors).astype(np.uint8)
