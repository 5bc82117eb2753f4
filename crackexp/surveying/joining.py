"""Pieces of one crack, joined to one region.

A crack that a model loses in places is found in pieces. Two pieces are joined if they are near and in line, the two
relations by which Lowe ("Three-dimensional object recognition from single two-dimensional images", Artificial
Intelligence 31, 1987) groups line segments: proximity of their ends, and collinearity. Nearness alone, as in
MorphLink-C (Wu et al., Journal of Computing in Civil Engineering 30, 2016), would join parallel cracks too.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from crackexp.surveying.regions import Region

ANGLE = 40.0
"""The largest angle in degrees between the headings of two ends, and between each and the line from end to end."""
TOUCH = 1 / 8
"""The distance in sides of a tile up to which pieces touch, such as at the corners of tiles along a slanted crack.
Pieces that touch are joined whatever their directions."""
NEAR, FAR = 1.0, 3.0
"""The heading of an end leads from the middle of what is within `FAR` sides of a tile of its tip to the middle of what
is within `NEAR` sides."""
END = 0.5
"""The least distance of the two middles in sides of a tile. They are closer where no end is, such as at the side of a
crack."""
ROUND = 2.0
"""The extent in sides of a tile below which a piece is as wide as long, and has no heading."""


def join_in_line(pieces: Sequence[Region], gap: float, side: float) -> list[Region]:
    """Joins pieces of one crack, directly or through other pieces; the largest region comes first.

    Two pieces are joined that touch, or that are near and have ends which point at each other. A piece that is about as
    wide as long points nowhere: it is joined to a piece that points at it, and two such pieces are never joined.

    Args:
        pieces: The connected regions of a photo; see `find_regions`.
        gap: The largest distance between two pieces that are joined, in pixels; 0 joins none.
        side: The side of a tile in pixels.
    """
    trees = [KDTree(piece.rings[0]) for piece in pieces]
    pairs = [pair for pair in _near(pieces, gap) if _are_one(trees[pair[0]], trees[pair[1]], gap, side)]
    if not pairs:
        return list(pieces)
    first, second = zip(*pairs, strict=True)
    links = coo_array((np.ones(len(pairs), bool), (first, second)), shape=(len(pieces), len(pieces)))
    count, groups = connected_components(links, directed=False)
    regions = [
        Region([polygon for index in np.flatnonzero(groups == group).tolist() for polygon in pieces[index].pieces])
        for group in range(count)
    ]
    return sorted(regions, key=lambda region: -region.area)


def _near(pieces: Sequence[Region], gap: float) -> Iterator[tuple[int, int]]:
    """Yields the pairs of pieces whose bounding boxes are at most `gap` apart along each axis."""
    if not gap or len(pieces) < 2:
        return
    low = np.array([piece.rings[0].min(axis=0) for piece in pieces])
    high = np.array([piece.rings[0].max(axis=0) for piece in pieces]) + gap
    order = np.argsort(low[:, 0], kind="stable")
    ends = np.searchsorted(low[order, 0], high[order, 0], side="right")
    for place, (index, end) in enumerate(zip(order, ends, strict=True)):
        others = order[place + 1 : end]
        near = (low[others, 1] <= high[index, 1]) & (low[index, 1] <= high[others, 1])
        yield from ((int(index), int(other)) for other in others[near])


def _are_one(first: KDTree, second: KDTree, gap: float, side: float) -> bool:
    """Returns whether two outlines touch, or are at most `gap` apart and in line there."""
    distances, nearest = second.query(first.data)
    tip = int(np.argmin(distances))
    if distances[tip] > gap or distances[tip] <= TOUCH * side:
        return bool(distances[tip] <= gap)
    (near, heading), (other, back) = _end(first, tip, side), _end(second, int(nearest[tip]), side)
    if heading is back is None:
        return False
    across = [other - near, *([] if heading is None else [heading]), *([] if back is None else [-back])]
    lengths = np.linalg.norm(across, axis=1, keepdims=True)
    if lengths[1:].min() < END * side or not lengths[0]:
        return False
    units = across / lengths
    return bool((units @ units.T).min() >= np.cos(np.radians(ANGLE)))


def _end(outline: KDTree, tip: int, side: float) -> tuple[np.ndarray, np.ndarray | None]:
    """Returns the middle of a piece near a corner, and its heading there, each (2,); None where the piece is round."""
    corner = outline.data[tip]
    near, far = (
        outline.data[outline.query_ball_point(corner, reach * side)].mean(axis=0) for reach in (NEAR, FAR)
    )  # fmt: skip
    is_round = np.hypot(*np.ptp(outline.data, axis=0)) < ROUND * side
    return near, None if is_round else near - far
