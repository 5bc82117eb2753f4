"""The heat map of a photo drawn over it, with the outlines of its cracked regions."""

from collections.abc import Sequence

import cv2
import numpy as np

from crackexp.surveying.regions import Region
from crackexp.utils.pictures import encode_png

MARK = (213, 94, 0)
"""The color of cracks, RGB."""
OPACITY = 0.5
"""The opacity of the mark where the probability is 1."""
_BAND = 512
"""The number of rows that are computed at once, so that a large picture does not take several times its memory."""


def overlay(photo: np.ndarray, heat: np.ndarray, cell: float, regions: Sequence[Region]) -> np.ndarray:
    """Draws the heat map over a photo and outlines the regions.

    Args:
        photo: (H, W, 3) uint8 RGB.
        heat: (h, w) float32 in [0, 1].
        cell: The side of a cell of the heat map in pixels of the photo.
        regions: The regions, whose corners are in pixels of the photo.

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
    """Draws a heat map as a transparent layer: every pixel is the mark, as opaque as the probability of its cell.

    Args:
        heat: (h, w) float32 in [0, 1].

    Returns:
        The bytes of a PNG file of h x w pixels.
    """
    layer = np.empty((*heat.shape, 4), np.uint8)
    layer[..., :3] = MARK
    layer[..., 3] = np.round(255 * heat)
    return encode_png(layer)
