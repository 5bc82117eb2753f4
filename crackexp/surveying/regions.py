"""Connected cracked regions of a heat map: their outlines, areas and extents in pixels of the photo."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from contourpy import FillType, contour_generator
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist


@dataclass(frozen=True)
class Region:
    """A connected part of a photo of which the tiles say "crack".

    Attributes:
        rings: its outline and then its holes, each (k, 2) float64 corners x, y in pixels; the last is the first again.
    """

    rings: Sequence[np.ndarray]

    def scaled(self, factor: float) -> "Region":
        """Returns the region in a picture that is `factor` times as large as the photo."""
        return Region([ring * factor for ring in self.rings])

    @property
    def area(self) -> float:
        """Square pixels, without the holes."""
        outline, *holes = map(_area, self.rings)
        return outline - sum(holes)

    @property
    def path(self) -> str:
        """The outline and the holes as data of an SVG path, to whole pixels, for ``fill-rule="evenodd"``."""
        return " ".join("M" + " ".join(f"{x:.0f},{y:.0f}" for x, y in ring[:-1]) + "Z" for ring in self.rings)

    @property
    def extent(self) -> float:
        """Largest distance between two of its points, pixels; up to a tile more than that of the crack in it."""
        outline = self.rings[0]
        return float(pdist(outline[ConvexHull(outline).vertices]).max())


def find_regions(heat: np.ndarray, threshold: float, cell: float, height: int, width: int) -> list[Region]:
    """Returns the regions where `heat`, linear between the middles of its cells, reaches `threshold`; largest first.

    Args:
        heat: (h, w) float32 probabilities, one a cell.
        threshold: of the probability, above 0.
        cell: side of a cell, pixels of the photo.
        height: of the photo, pixels.
        width: of the photo, pixels.
    """
    beyond = np.pad(np.pad(heat, 1, "edge"), 1, constant_values=-1.0)
    rows, columns = ((np.arange(count) - 1.5) * cell for count in beyond.shape)
    contours = contour_generator(columns, rows, beyond, fill_type=FillType.OuterOffset)
    regions = []
    for points, offsets in zip(*contours.filled(threshold, 2.0), strict=True):
        rings = [np.clip(ring, 0, (width, height)) for ring in np.split(points, offsets[1:-1])]
        if _area(rings[0]) > 0:
            regions.append(Region(rings))
    return sorted(regions, key=lambda region: -region.area)


def _area(ring: np.ndarray) -> float:
    """Shoelace formula."""
    x, y = ring.T
    return float(abs(x[:-1] @ y[1:] - x[1:] @ y[:-1]) / 2)
