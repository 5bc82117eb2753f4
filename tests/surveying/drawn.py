"""Surveys of drawn cracks, as a model makes them that misses some places and sees cracks in others."""

from collections.abc import Sequence

import cv2
import numpy as np

from crackexp.data.classes.decisions import Thresholds
from crackexp.data.synthetic.crack import draw_crack
from crackexp.data.synthetic.texture import Surface
from crackexp.surveying.photo_result import PhotoResult, RegionRules
from crackexp.surveying.tiles import MeanMap, Tiling

SIZE = 800
"""The side of a drawn photo in pixels."""
SIDE = 80
"""The side of a tile in pixels."""
ALL = RegionRules(join=0.0, min_extent=0.0)
"""Neither joins nor drops anything."""

Place = tuple[float, float]


def line(*corners: Place) -> np.ndarray:
    """Returns the mask of a straight crack from corner to corner, (SIZE, SIZE) uint8."""
    mask = np.zeros((SIZE, SIZE), np.uint8)
    return cv2.polylines(mask, [np.array(corners, np.int32)], False, 1, thickness=4)


def drawn_crack(seed: int) -> np.ndarray | None:
    """Returns the mask of a drawn crack that is in one piece, (SIZE, SIZE) uint8; None if the seed draws several."""
    flat = np.ones((3, SIZE, SIZE), np.float32), np.zeros((SIZE, SIZE), np.float32)
    mask = (draw_crack(Surface(*flat, light=0.0), np.random.default_rng(seed)) > 0.5).astype(np.uint8)
    return mask if cv2.connectedComponents(mask, connectivity=8)[0] == 2 else None


def surveyed(
    mask: np.ndarray,
    rules: RegionRules | None = None,
    missed: Sequence[Place] = (),
    specks: Sequence[Place] = (),
    overlap: float = 0.5,
) -> PhotoResult:
    """Returns the survey of a photo with cracks.

    Args:
        mask: Where the cracks are, (SIZE, SIZE) uint8.
        rules: Which pieces are one region; None for the defaults.
        missed: Places of cracks that the model misses, in all tiles whose center is within half a side.
        specks: Places where the model sees a crack in each tile that holds them.
        overlap: The overlap of the tiles.
    """
    tiling = Tiling(SIDE, overlap)
    boxes = tiling.boxes(SIZE, SIZE)
    left, top, right, bottom = boxes.T
    within = SIDE // 10  # a corner that a crack only grazes is not seen
    sums = cv2.integral(mask)
    low_y, high_y, low_x, high_x = top + within, bottom - within, left + within, right - within
    cracked = sums[high_y, high_x] - sums[low_y, high_x] - sums[high_y, low_x] + sums[low_y, low_x] > 0
    for x, y in missed:
        cracked &= np.hypot((left + right) / 2 - x, (top + bottom) / 2 - y) > SIDE / 2
    for x, y in specks:
        cracked |= (left < x) & (x < right) & (top < y) & (y < bottom)
    probabilities = np.where(cracked, 0.95, 0.02).astype(np.float32)
    votes = MeanMap(tiling, SIZE, SIZE)
    votes.add(boxes, probabilities[:, None, None])
    heat, none = votes.mean(), np.zeros(len(boxes), bool)
    about = SIZE, SIZE, boxes, probabilities, heat, np.zeros_like(heat), tiling.cell, Thresholds(), none, False
    return PhotoResult(*about, rules=rules or RegionRules(), step=tiling.step)
