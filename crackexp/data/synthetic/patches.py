"""The drawn dataset: concrete-like patches with and without cracks, made from a seed."""

import os
import shutil
import signal
from collections.abc import Callable, Generator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path

import cv2
import joblib
import numpy as np

from crackexp.data.synthetic.camera import photograph
from crackexp.data.synthetic.crack import STYLES, Cracks, draw_crack
from crackexp.data.synthetic.marks import draw_marks
from crackexp.data.synthetic.texture import draw_surface
from crackexp.errors import ConfigError, DataError
from crackexp.seeds import generator

DEFAULT_SIZE = 227
MINIMUM_SIZE = 32
QUALITY = 92
_PARALLEL_FROM = 1000
_CHUNK = 100


def draw_patch(seed: int, index: int, cracked: bool, size: int = DEFAULT_SIZE, cracks: Cracks = "plain") -> np.ndarray:
    """Draws one patch of concrete; equal arguments give equal pixels (same NumPy and OpenCV).

    Args:
        seed: the seed of the dataset.
        index: which patch, from 0.
        cracked: whether it shows a crack.
        size: side in pixels; drawn details scale with it.
        cracks: see `draw_crack`; a sound patch is the same whatever they are.

    Returns:
        (size, size, 3) uint8 RGB.

    Raises:
        ConfigError: `size` is below 32, or there are no such `cracks`.
    """
    _check(size, cracks)
    rng = generator(seed, "synthetic", "cracked" if cracked else "plain", int(index))
    surface = draw_surface(rng, size)
    draw_marks(surface, rng)
    if cracked:
        draw_crack(surface, rng, cracks)
    return photograph(surface, rng)


def draw_dataset(
    folder: Path,
    count: int,
    seed: int,
    size: int = DEFAULT_SIZE,
    progress: Callable[[int], None] | None = None,
    cracks: Cracks = "plain",
) -> None:
    """Writes `count` patches as ``Positive/00001.jpg``... and ``Negative/00001.jpg``...

    Half are cracked (of an odd count one fewer). A file depends on `seed`, `size`, `cracks`, its class and
    its number alone, so a larger set begins with the images of a smaller one. The folder appears
    whole or not at all: it is built beside its place and renamed. Sets of 1,000 and more are drawn
    by one process a core.

    Args:
        folder: where to; it must not exist, or be empty.
        count: number of images, at least 2.
        seed: the seed of the dataset.
        size: side in pixels.
        progress: called with the number of images written so far.
        cracks: see `draw_crack`.

    Raises:
        ConfigError: `count` or `size` is too small, or there are no such `cracks`.
        DataError: `folder` has something in it.
    """
    _check(size, cracks)
    if count < 2:
        raise ConfigError(
            f"A drawn dataset needs an image of each class: give a count of 2 or more. Received: count={count}"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(
            "The drawn dataset is not written over what is there: delete the folder, or choose "
            f"another. Received: folder={folder}"
        )
    folder = folder.absolute()
    building = folder.with_name(f".{folder.name}.{os.getpid()}.building")
    shutil.rmtree(building, ignore_errors=True)
    for name in ("Positive", "Negative"):
        (building / name).mkdir(parents=True)
    try:
        done = 0
        with closing(_draw_all(building, count, seed, size, cracks)) as chunks:
            for written in chunks:
                done += written
                if progress is not None:
                    progress(done)
        building.replace(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _check(size: int, cracks: Cracks) -> None:
    if size < MINIMUM_SIZE:
        raise ConfigError(
            f"A patch of fewer than {MINIMUM_SIZE} pixels has no room for a crack: give a size of "
            f"{MINIMUM_SIZE} or more. Received: size={size}"
        )
    if cracks not in STYLES:
        raise ConfigError(f"Drawn cracks are {' or '.join(STYLES)}. Received: cracks={cracks}")


def _draw_all(folder: Path, count: int, seed: int, size: int, cracks: Cracks) -> Generator[int, None, None]:
    """Draws every image and yields how many each finished chunk held."""
    chunks = [(start, min(start + _CHUNK, count)) for start in range(0, count, _CHUNK)]
    if count < _PARALLEL_FROM:
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        try:
            for first, last in chunks:
                yield _draw_chunk(folder, first, last, seed, size, cracks)
        finally:
            cv2.setNumThreads(threads)
        return
    pool = ProcessPoolExecutor(joblib.cpu_count(), get_context("spawn"), _start_worker)
    try:
        tasks = [pool.submit(_draw_chunk, folder, *chunk, seed, size, cracks) for chunk in chunks]
        for task in as_completed(tasks):
            yield task.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    """One thread a process, and Ctrl-C is the parent's to handle."""
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _draw_chunk(folder: Path, first: int, last: int, seed: int, size: int, cracks: Cracks) -> int:
    for number in range(first, last):
        cracked = number % 2 == 1
        image = draw_patch(seed, number // 2, cracked, size, cracks)
        _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        path = folder / ("Positive" if cracked else "Negative") / f"{number // 2 + 1:05d}.jpg"
        path.write_bytes(data.tobytes())
    return last - first
