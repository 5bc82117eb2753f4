"""Damaged regions of a heat map: their outlines, areas and extents in pixels of the photo."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from contourpy import FillType, contour_generator
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist

Polygon = Sequence[np.ndarray]
"""An outline and then its holes, each (k, 2) float64 corners x, y in pixels. The last corner is the first."""


@dataclass(frozen=True)
class Region:
    """A region of a photo whose tiles were classified as damaged.

    Attributes:
        pieces: The connected pieces of the region, the largest first: one, or several that `join_in_line` joined.

    Example:

    >>> square = Region([[np.array([[0, 0], [2, 0], [2, 2], [0, 2], [0, 0]], float)]])
    >>> square.area
    4.0
    >>> square.path
    'M0,0 2,0 2,2 0,2Z'
    """

    pieces: Sequence[Polygon]

    def scaled(self, factor: float) -> "Region":
        """Returns the region in a picture that is `factor` times as large as the photo."""
        return Region([[ring * factor for ring in piece] for piece in self.pieces])

    @property
    def rings(self) -> list[np.ndarray]:
        """The outlines and the holes of all pieces."""
        return [ring for piece in self.pieces for ring in piece]

    @property
    def area(self) -> float:
        """The area without the holes, in square pixels."""
        return sum(area(outline) - sum(map(area, holes)) for outline, *holes in self.pieces)

    @property
    def path(self) -> str:
        """The outlines and the holes as data of an SVG path, to whole pixels, for ``fill-rule="evenodd"``."""
        return " ".join("M" + " ".join(f"{x:.0f},{y:.0f}" for x, y in ring[:-1]) + "Z" for ring in self.rings)

    @property
    def extent(self) -> float:
        """The largest distance between two points, in pixels; the crack inside may be shorter, by up to a tile."""
        corners = np.concatenate([piece[0] for piece in self.pieces])
        return float(pdist(corners[ConvexHull(corners).vertices]).max())


def find_regions(heat: np.ndarray, threshold: float, cell: float, height: int, width: int) -> list[Region]:
    """Finds the connected regions in which a heat map reaches a threshold; the largest one comes first.

    Args:
        heat: (h, w) float32 probabilities of the cells; between their centers they are interpolated linearly.
        threshold: The threshold of the probability, above 0.
        cell: The side of a cell in pixels of the photo.
        height: The height of the photo in pixels.
        width: The width of the photo in pixels.
    """
    padded = np.pad(np.pad(heat, 1, "edge"), 1, constant_values=-1.0)
    rows, columns = ((np.arange(count) - 1.5) * cell for count in padded.shape)
    contours = contour_generator(columns, rows, padded, fill_type=FillType.OuterOffset)
    regions = []
    for points, offsets in zip(*contours.filled(threshold, 2.0), strict=True):
        rings = [np.clip(ring, 0, (width, height)) for ring in np.split(points, offsets[1:-1])]
        if area(rings[0]) > 0:
            regions.append(Region([rings]))
    return sorted(regions, key=lambda region: -region.area)


def area(ring: np.ndarray) -> float:
    """Returns the area of a polygon by the shoelace formula."""
    x, y = ring.T
    return float(abs(x[:-1] @ y[1:] - x[1:] @ y[:-1]) / 2)
