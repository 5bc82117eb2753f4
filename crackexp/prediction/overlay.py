"""Pictures of what was found: the photo, its heat map over it, its cracked regions outlined."""

from collections.abc import Sequence

import cv2
import numpy as np

from crackexp.prediction.regions import Region
from crackexp.reporting.pictures import encoded

MARK = (213, 94, 0)
"""RGB of what is cracked."""
OPACITY = 0.5
"""Of the mark where the probability is 1."""
_BAND = 512
"""Rows that are computed at once, so that a large picture does not take several times its memory."""


def overlay(photo: np.ndarray, heat: np.ndarray, cell: float, regions: Sequence[Region]) -> np.ndarray:
    """Returns `photo` with its heat map laid over it and its regions outlined.

    Args:
        photo: (H, W, 3) uint8 RGB.
        heat: (h, w) float32 in [0, 1].
        cell: side of a cell of the heat map, pixels of the photo.
        regions: with corners in pixels of the photo.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    height, width = photo.shape[:2]
    # The last pixels of a reduced photo reach beyond it, so the cells may end before them.
    size = max(round(heat.shape[1] * cell), width), max(round(heat.shape[0] * cell), height)
    alpha = cv2.resize((255 * OPACITY * heat).astype(np.uint8), size, interpolation=cv2.INTER_LINEAR)
    picture = np.empty_like(photo)
    for top in range(0, height, _BAND):
        rows = slice(top, top + _BAND)
        opacity = cv2.merge([alpha[rows, :width][: height - top]] * 3)
        mark = cv2.multiply(np.full_like(opacity, MARK), opacity, scale=1 / 255)
        picture[rows] = cv2.add(cv2.multiply(photo[rows], 255 - opacity, scale=1 / 255), mark)
    rings = [ring.round().astype(np.int32) for region in regions for ring in region.rings]
    thickness = max(min(round(max(height, width) / 800), round(cell)), 1)
    return cv2.polylines(picture, rings, isClosed=True, color=MARK, thickness=thickness, lineType=cv2.LINE_AA)


def heat_layer(heat: np.ndarray) -> bytes:
    """Returns a heat map as the bytes of a PNG file, a pixel a cell: the mark, as opaque as its probability.

    Args:
        heat: (h, w) float32 in [0, 1].
    """
    layer = np.empty((*heat.shape, 4), np.uint8)
    layer[..., :3] = MARK[::-1]
    layer[..., 3] = np.round(255 * heat)
    return encoded(".png", layer)
