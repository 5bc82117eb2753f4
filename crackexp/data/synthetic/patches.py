"""Draws patches that look like concrete, with and without cracks, from a seed."""

from collections.abc import Callable, Generator
from concurrent.futures import as_completed
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Literal, get_args

import cv2
import loky
import numpy as np

from crackexp.data.synthetic.camera import photograph
from crackexp.data.synthetic.crack import STYLES, Cracks, draw_crack
from crackexp.data.synthetic.marks import draw_marks
from crackexp.data.synthetic.texture import draw_surface
from crackexp.data.synthetic.varied_marks import draw_varied_marks
from crackexp.utils.errors import ConfigError, DataError
from crackexp.utils.files import replacing_folder
from crackexp.utils.processes import process_pool
from crackexp.utils.seeds import generator

Surfaces = Literal["plain", "varied"]

DEFAULT_SIZE = 227
MINIMUM_SIZE = 32
QUALITY = 92
_PARALLEL_FROM = 1000
_CHUNK = 100


def draw_patch(
    seed: int,
    index: int,
    cracked: bool,
    size: int = DEFAULT_SIZE,
    cracks: Cracks = "plain",
    surfaces: Surfaces = "plain",
) -> np.ndarray:
    """Draws one patch of concrete. Equal arguments give equal pixels with the same versions of NumPy and OpenCV.

    Args:
        seed: The seed of the dataset.
        index: The number of the patch, which counts from 0.
        cracked: Whether the patch shows a crack.
        size: The side of the patch in pixels, to which the drawn details are scaled.
        cracks: How cracks look, see `draw_crack`; it does not change a patch without a crack.
        surfaces: "plain" for concrete like that of the Mendeley set, or "varied" for concrete and masonry of many kinds
            in any light: with lines, joints, grooves, stones, water marks, plants and shadows, and details of 0.4 to
            1.6 times the size.

    Returns:
        The patch, (size, size, 3) uint8 of RGB.

    Raises:
        ConfigError: `size` is below 32, or `cracks` or `surfaces` is unknown.

    Example:

    >>> patch = draw_patch(seed=0, index=0, cracked=True, size=64)
    >>> patch.shape, patch.dtype
    ((64, 64, 3), dtype('uint8'))
    """
    _check(size, cracks, surfaces)
    varied = surfaces == "varied"
    rng = generator(seed, "synthetic", "cracked" if cracked else "plain", int(index))
    surface = draw_surface(rng, size, varied)
    draw_marks(surface, rng)
    if varied:
        draw_varied_marks(surface, rng)
    if cracked:
        draw_crack(surface, rng, cracks)
    return photograph(surface, rng, varied)


def draw_dataset(
    folder: Path,
    count: int,
    seed: int,
    size: int = DEFAULT_SIZE,
    progress: Callable[[int], None] | None = None,
    cracks: Cracks = "plain",
    surfaces: Surfaces = "plain",
) -> None:
    """Writes patches as JPEG files ``Positive/00001.jpg``... and ``Negative/00001.jpg``...

    Half of the patches are cracked, one fewer where `count` is odd. A file depends on `seed`, `size`, `cracks`,
    `surfaces`, its class and its number alone, so a larger set holds the images of a smaller one. The folder is written
    under a temporary name and renamed, so that it is never incomplete. 1,000 patches and more are drawn by one process
    on each core.

    Args:
        folder: The folder to write, which must not exist or be empty.
        count: The number of patches, at least 2.
        seed: The seed of the dataset.
        size: The side of the patches in pixels.
        progress: A function that is called with the number of patches written so far; None for no calls.
        cracks: How cracks look, see `draw_crack`.
        surfaces: What the concrete looks like, see `draw_patch`.

    Raises:
        ConfigError: `count` or `size` is too small, or `cracks` or `surfaces` is unknown.
        DataError: `folder` is not empty.

    Example:

    >>> draw_dataset(Path("patches"), count=4, seed=0, size=32)
    >>> sorted(file.as_posix() for file in Path("patches").rglob("*.jpg"))[0]
    'patches/Negative/00001.jpg'
    """
    _check(size, cracks, surfaces)
    if count < 2:
        raise ConfigError(
            f"A drawn dataset needs an image of each class: give a count of 2 or more. Received: count={count}"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(
            "The drawn dataset is not written over what is there: delete the folder, or choose "
            f"another. Received: folder={folder}"
        )
    with replacing_folder(folder) as building:
        for name in ("Positive", "Negative"):
            (building / name).mkdir()
        draw = partial(draw_patch, seed, size=size, cracks=cracks, surfaces=surfaces)
        done = 0
        with closing(_draw_all(building, count, draw)) as chunks:
            for written in chunks:
                done += written
                if progress is not None:
                    progress(done)


def _check(size: int, cracks: Cracks, surfaces: Surfaces) -> None:
    """Raises ConfigError where a patch cannot be drawn so."""
    if size < MINIMUM_SIZE:
        raise ConfigError(
            f"A patch of fewer than {MINIMUM_SIZE} pixels has no room for a crack: give a size of "
            f"{MINIMUM_SIZE} or more. Received: size={size}"
        )
    if cracks not in STYLES:
        raise ConfigError(f"Drawn cracks are {', '.join(STYLES)}. Received: cracks={cracks}")
    if surfaces not in get_args(Surfaces):
        raise ConfigError(f"Drawn surfaces are {', '.join(get_args(Surfaces))}. Received: surfaces={surfaces}")


def _draw_all(folder: Path, count: int, draw: Callable[[int, bool], np.ndarray]) -> Generator[int, None, None]:
    """Draws all patches, and yields the number of patches of each finished chunk."""
    chunks = [(start, min(start + _CHUNK, count)) for start in range(0, count, _CHUNK)]
    if count < _PARALLEL_FROM:
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        try:
            for first, last in chunks:
                yield _draw_chunk(folder, first, last, draw)
        finally:
            cv2.setNumThreads(threads)
        return
    pool = process_pool(loky.cpu_count(), partial(cv2.setNumThreads, 1))
    try:
        tasks = [pool.submit(_draw_chunk, folder, *chunk, draw) for chunk in chunks]
        for task in as_completed(tasks):
            yield task.result()
    finally:
        pool.shutdown(kill_workers=True)


def _draw_chunk(folder: Path, first: int, last: int, draw: Callable[[int, bool], np.ndarray]) -> int:
    """Writes the patches from `first` to `last` - 1, of which every second one is cracked, and returns their number."""
    for number in range(first, last):
        cracked = number % 2 == 1
        image = draw(number // 2, cracked)
        _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        path = folder / ("Positive" if cracked else "Negative") / f"{number // 2 + 1:05d}.jpg"
        path.write_bytes(data.tobytes())
    return last - first
