"""Overlapping square tiles of a photo, and the mean of the maps of the tiles over each cell."""

from dataclasses import dataclass

import cv2
import numpy as np

CELLS = 16
"""The number of cells of a heat map along a side of a tile."""


@dataclass(frozen=True)
class Tiling:
    """How photos are cut into tiles.

    Attributes:
        side: The side of a tile in pixels of the photo.
        overlap: The smallest share of its side that a tile has in common with the next one, in [0, 1).

    Example:

    >>> Tiling(side=100, overlap=0.0).boxes(height=100, width=250).tolist()
    [[0, 0, 100, 100], [75, 0, 175, 100], [150, 0, 250, 100]]
    """

    side: int
    overlap: float

    def boxes(self, height: int, width: int) -> np.ndarray:
        """Returns the tiles of a photo, row by row.

        The tiles are spread evenly, so that the first and the last touch the edges and each pixel lies in a tile. Along
        an axis on which the photo is smaller than a tile there is one tile, as long as the photo.

        Args:
            height: The height of the photo in pixels.
            width: The width of the photo in pixels.

        Returns:
            (n, 4) int32, the left, top, right and bottom of each tile in pixels.
        """
        lefts, tops = self._starts(width), self._starts(height)
        left, top = (axis.ravel() for axis in np.meshgrid(lefts, tops))
        right, bottom = np.minimum(left + self.side, width), np.minimum(top + self.side, height)
        return np.stack([left, top, right, bottom], axis=1).astype(np.int32)

    def _starts(self, length: int) -> np.ndarray:
        room = max(length - self.side, 0)
        return np.round(np.linspace(0, room, int(np.ceil(room / self.step)) + 1)).astype(int)

    @property
    def step(self) -> float:
        """The largest distance from a tile to the next, in pixels of the photo."""
        return max(self.side * (1 - self.overlap), 1)

    @property
    def cell(self) -> float:
        """The side of a cell of the heat map, in pixels of the photo."""
        return self.side / CELLS


class MeanMap:
    """A map of a photo, each cell of which is the mean of the maps of the tiles over it. Tiles are added in batches.

    Maps of one value, the probability of their tile, make it a vote of the tiles on each cell.

    Args:
        tiling: The tiling of the photo.
        height: The height of the photo in pixels.
        width: The width of the photo in pixels.
    """

    def __init__(self, tiling: Tiling, height: int, width: int) -> None:
        self._cell, self._size = tiling.cell, (height, width)
        shape = int(np.ceil(height / self._cell)), int(np.ceil(width / self._cell))
        self._total, self._count = np.zeros(shape, np.float64), np.zeros(shape, np.uint16)

    def add(self, boxes: np.ndarray, maps: np.ndarray) -> None:
        """Adds the maps of some tiles.

        Args:
            boxes: The tiles, (n, 4) int from `Tiling.boxes`; each tile is added once.
            maps: The map of each tile, (n, k, k) float32, which is resized to its tile.
        """
        (height, width), (rows, columns) = self._size, self._total.shape
        cells = np.round(boxes / self._cell).astype(int)
        cells[:, 2] = np.where(boxes[:, 2] == width, columns, cells[:, 2])
        cells[:, 3] = np.where(boxes[:, 3] == height, rows, cells[:, 3])
        for (left, top, right, bottom), values in zip(cells, maps, strict=True):
            self._total[top:bottom, left:right] += cv2.resize(values, (right - left, bottom - top))
            self._count[top:bottom, left:right] += 1

    def mean(self) -> np.ndarray:
        """Returns the map, (ceil(height / cell), ceil(width / cell)) float32, once all tiles were added."""
        return (self._total / self._count).astype(np.float32)
