"""Outlines with fewer corners, for files that other programs draw."""

import cv2
import numpy as np

from crackexp.surveying.regions import Polygon, Region, area

HALVINGS = 8
"""How often the tolerance of a region is halved at most, before its corners stay as they are."""


def simplified(region: Region, tolerance: float) -> Region:
    """Returns a region with fewer corners, by the algorithm of Douglas and Peucker; the pieces and holes stay.

    Args:
        region: The region.
        tolerance: The largest distance of a corner of the region from the new outline, in pixels. Where an outline
            would meet another or itself, or a hole would vanish, the whole region gets half of the tolerance.
    """
    for halving in range(HALVINGS):
        # Half of it, since OpenCV removes nearly straight corners once more, which may move an outline by as much.
        made = Region([[_fewer(ring, tolerance / 2 / 2**halving) for ring in piece] for piece in region.pieces])
        if _is_valid(made):
            return made
    return region


def _fewer(ring: np.ndarray, tolerance: float) -> np.ndarray:
    kept = cv2.approxPolyDP(ring[:-1].astype(np.float32), tolerance, closed=True)[:, 0].astype(float)
    return np.concatenate([kept, kept[:1]])


def _is_valid(region: Region) -> bool:
    """Returns whether outlines and holes have areas, do not meet, and lie in each other as they should."""
    if not all(len(ring) > 3 and area(ring) > 0 for ring in region.rings) or _any_meet(region.rings):
        return False
    for piece in region.pieces:
        outline, *holes = piece
        if not all(_holds([outline], hole[0]) for hole in holes):
            return False
        if any(_holds(other, outline[0]) for other in region.pieces if other is not piece):
            return False
    return True


def _any_meet(rings: list[np.ndarray]) -> bool:
    """Returns whether two sides of the rings have a point in common, but for the corner between neighbours."""
    starts = np.concatenate([ring[:-1] for ring in rings])
    ends = np.concatenate([ring[1:] for ring in rings])
    numbers, nexts, first = np.arange(len(starts)), [], 0
    for ring in rings:
        count = len(ring) - 1
        nexts.append(first + (np.arange(count) + 1) % count)
        first += count
    following = np.concatenate(nexts)
    low, high = np.minimum(starts, ends), np.maximum(starts, ends)
    for side in numbers[:-1]:
        others = numbers[side + 1 :]
        others = others[np.all((low[others] <= high[side]) & (high[others] >= low[side]), axis=1)]
        others = others[(others != following[side]) & (following[others] != side)]
        a, b, c, d = starts[side], ends[side], starts[others], ends[others]
        if np.any((_turn(a, b, c) * _turn(a, b, d) <= 0) & (_turn(c, d, a) * _turn(c, d, b) <= 0)):
            return True
    return False


def _turn(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Returns on which side of the line from a to b the point c lies: 1 or -1, and 0 on the line."""
    (ax, ay), (bx, by), (cx, cy) = np.moveaxis(a, -1, 0), np.moveaxis(b, -1, 0), np.moveaxis(c, -1, 0)
    return np.sign((bx - ax) * (cy - ay) - (by - ay) * (cx - ax))


def _holds(polygon: Polygon, point: np.ndarray) -> bool:
    """Returns whether a point lies in a polygon, by how many of its sides a ray to the right crosses."""
    crossed = 0
    x, y = point
    for ring in polygon:
        (x0, y0), (x1, y1) = ring[:-1].T, ring[1:].T
        rising = (y0 > y) != (y1 > y)
        crossed += int(np.sum(x < (x1 - x0)[rising] * (y - y0[rising]) / (y1 - y0)[rising] + x0[rising]))
    return crossed % 2 == 1
