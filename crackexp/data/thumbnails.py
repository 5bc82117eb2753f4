"""Small grey pictures of images, kept by content digest: enough to tell copies, blur and light."""

import logging
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import joblib
import numpy as np

from crackexp.data.decode import PIXELS_VERSION, load_image
from crackexp.data.digests import root_key
from crackexp.data.index import ImageIndex
from crackexp.files import replacing
from crackexp.progress import progress

SIDE = 64
"""Pixels of a thumbnail's side."""
_CHUNK = 64
_log = logging.getLogger(__name__)


def thumbnails(index: ImageIndex, cache: Path) -> tuple[np.ndarray, np.ndarray]:
    """Returns a thumbnail of each picture; one that was made before is read from `cache/duplicates`.

    Args:
        index: n images.
        cache: folder.

    Returns:
        (n, 64, 64) uint8 grey, the whole image whatever its shape, and (n,) float32 sharpness: the variance of the
        Laplacian of the grey image in its own size (Pech-Pacheco et al. 2000).
    """
    digests, first, rows = np.unique(index.digests, return_index=True, return_inverse=True)
    file = Path(cache) / "duplicates" / f"thumbnails-{root_key(index.root)}.npz"
    known, pictures, sharpness = _read(file)
    missing = np.flatnonzero(~np.isin(digests, known))
    if len(missing):
        made, sharp = _make(index, first[missing])
        pictures = np.concatenate([pictures, made]) if len(known) else made
        known, sharpness = np.concatenate([known, digests[missing]]), np.concatenate([sharpness, sharp])
        with replacing(file) as temporary, temporary.open("wb") as stream:
            np.savez(stream, rules=PIXELS_VERSION, digests=known, pictures=pictures, sharpness=sharpness)
    order = np.argsort(known)
    place = order[np.searchsorted(known, digests, sorter=order)][rows]
    return pictures[place], sharpness[place]


def _make(index: ImageIndex, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    pictures = np.empty((len(rows), SIDE, SIDE), np.uint8)
    sharpness = np.empty(len(rows), np.float32)

    def draw(start: int) -> int:
        chunk = rows[start : start + _CHUNK]
        for place, row in enumerate(chunk, start):
            grey = cv2.cvtColor(load_image(index.path(int(row))), cv2.COLOR_RGB2GRAY)
            sharpness[place] = cv2.Laplacian(grey, cv2.CV_32F).var()
            pictures[place] = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        return len(chunk)

    with progress("Making thumbnails", len(rows)) as advance, ThreadPoolExecutor(joblib.cpu_count()) as pool:
        for done in pool.map(draw, range(0, len(rows), _CHUNK)):
            advance(done)
    return pictures, sharpness


def _read(file: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if file.exists():
        try:
            with file.open("rb") as stream, np.load(stream) as table:
                if table["rules"] == PIXELS_VERSION:
                    return table["digests"], table["pictures"], table["sharpness"]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            _log.warning("%s is damaged (%s); every thumbnail is made anew", file, error)
    return np.empty(0, "<U32"), np.empty((0, SIDE, SIDE), np.uint8), np.empty(0, np.float32)
