"""Thumbnails of images, kept by content digest: they show copies, blur and brightness."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import loky
import numpy as np

from crackexp.data.digests import root_key
from crackexp.data.images.decode import PIXELS_VERSION, load_image
from crackexp.data.index import ImageIndex
from crackexp.utils.arrays import ArrayCache
from crackexp.utils.progress import progress

SIDE = 64
"""The side of a thumbnail in pixels."""
_CHUNK = 64
_RULES = 1000 + PIXELS_VERSION
"""A version that is raised when thumbnails are made in another way, so that all are made again."""
_LAYOUT = {
    "digests": ("U", ("n",)),
    "pictures": ("u", ("n", SIDE, SIDE)),
    "sharpness": ("f", ("n",)),
    "shapes": ("i", ("n", 2)),
}


@dataclass(frozen=True)
class Thumbnails:
    """The thumbnails of n images.

    Attributes:
        pictures: The thumbnails, (n, 64, 64) uint8 of gray; each shows the whole image, whatever its shape.
        sharpness: The variance of the Laplacian of each gray image at its own size, (n,) float32 (Pech-Pacheco et al.
            2000).
        shapes: The height and the width of each image in pixels, (n, 2) int32.
    """

    pictures: np.ndarray
    sharpness: np.ndarray
    shapes: np.ndarray

    def __getitem__(self, rows: np.ndarray) -> "Thumbnails":
        """Returns the thumbnails of some rows, (m,) int."""
        return Thumbnails(self.pictures[rows], self.sharpness[rows], self.shapes[rows])

    def followed_by(self, others: "Thumbnails") -> "Thumbnails":
        """Returns these thumbnails followed by others."""
        pairs = zip(vars(self).values(), vars(others).values(), strict=True)
        return Thumbnails(*(np.concatenate(pair) for pair in pairs))


def thumbnails(index: ImageIndex, cache: Path) -> Thumbnails:
    """Returns a thumbnail of each image; those that were made before are read from `cache/duplicates`.

    Args:
        index: The n images.
        cache: The folder that thumbnails are kept in.
    """
    digests, first, rows = np.unique(index.digests, return_index=True, return_inverse=True)
    file = Path(cache) / "duplicates" / f"thumbnails-{root_key(index.root)}.npz"
    arrays = ArrayCache(file, _RULES, _LAYOUT, "every thumbnail is made again")
    table = arrays.read() or {"digests": np.empty(0, "<U32"), **vars(_empty(0))}
    known, stored = table.pop("digests"), Thumbnails(**table)
    missing = np.flatnonzero(~np.isin(digests, known))
    if len(missing):
        new = _make(index, first[missing])
        stored = stored.followed_by(new) if len(known) else new
        known = np.concatenate([known, digests[missing]])
        arrays.write({"digests": known, **vars(stored)})
    order = np.argsort(known)
    return stored[order[np.searchsorted(known, digests, sorter=order)][rows]]


def _make(index: ImageIndex, rows: np.ndarray) -> Thumbnails:
    new = _empty(len(rows))

    def draw(start: int) -> int:
        chunk = rows[start : start + _CHUNK]
        for place, row in enumerate(chunk, start):
            grey = cv2.cvtColor(load_image(index.path(int(row)), digest=str(index.digests[row])), cv2.COLOR_RGB2GRAY)
            new.shapes[place] = grey.shape
            new.sharpness[place] = cv2.Laplacian(grey, cv2.CV_32F).var()
            new.pictures[place] = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        return len(chunk)

    with progress("Making thumbnails", len(rows)) as advance, ThreadPoolExecutor(loky.cpu_count()) as pool:
        for done in pool.map(draw, range(0, len(rows), _CHUNK)):
            advance(done)
    return new


def _empty(count: int) -> Thumbnails:
    return Thumbnails(
        np.empty((count, SIDE, SIDE), np.uint8), np.empty(count, np.float32), np.empty((count, 2), np.int32)
    )
