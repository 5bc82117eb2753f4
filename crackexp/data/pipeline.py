"""From image files to uint8 batches of one fixed shape, decoded and augmented by grain's threads."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from crackexp.data.images.decode import ImageError, load_image, read_image
from crackexp.data.images.pixels import resize
from crackexp.data.index import ImageIndex

Transform = Callable[[np.ndarray, str], np.ndarray]
"""Maps a (S, S, 3) uint8 image and its content digest to a (S, S, 3) uint8 image."""


def image_batches(
    index: ImageIndex, image_size: int, batch_size: int, transform: Transform | None = None
) -> Iterator[np.ndarray]:
    """Yields each image of `index` once, in order.

    Args:
        index: n images.
        image_size: S in pixels.
        batch_size: B.
        transform: applied after resizing; None leaves the image as it is.

    Yields:
        ceil(n / B) arrays of (B, S, S, 3) uint8; the last is filled up with black images.
    """

    def load(row: int) -> np.ndarray:
        return _load(index, row, image_size, transform)

    def stack(images: list[np.ndarray]) -> np.ndarray:
        return _filled(images, image_size, batch_size)

    yield from _stream(range(len(index)), load, batch_size, stack, drop_remainder=False)


@dataclass(frozen=True)
class ReadResult:
    """What became of a file that may be an image.

    Attributes:
        height: The height of the image in pixels; 0 where it was not read.
        width: The width of the image in pixels; 0 where it was not read.
        doubts: What is odd about the image, a few words each.
        reason: Why the file was not read; None where it was.
    """

    height: int = 0
    width: int = 0
    doubts: tuple[str, ...] = ()
    reason: str | None = None


def readable_batches(
    files: Sequence[tuple[Path, int]], image_size: int, batch_size: int
) -> Iterator[tuple[np.ndarray, list[ReadResult]]]:
    """Yields each of n pages once, in order, and what became of it; a file that is no image stops nothing.

    Args:
        files: Files that may be images, each with the number of a page from 0.
        image_size: S in pixels.
        batch_size: B.

    Yields:
        ceil(n / B) times images (B, S, S, 3) uint8, black where there is none, and the result of each page of the
        batch.
    """

    def load(row: int) -> tuple[np.ndarray, ReadResult]:
        try:
            image = read_image(*files[row])
        except ImageError as error:
            return np.zeros((image_size, image_size, 3), np.uint8), ReadResult(reason=error.reason)
        height, width = image.pixels.shape[:2]
        return resize(image.pixels, image_size), ReadResult(height, width, image.doubts)

    def stack(items: list[Any]) -> tuple[np.ndarray, list[ReadResult]]:
        images, results = zip(*items, strict=True)
        return _filled(images, image_size, batch_size), list(results)

    yield from _stream(range(len(files)), load, batch_size, stack, drop_remainder=False)


def training_batches(
    index: ImageIndex,
    image_size: int,
    batch_size: int,
    epochs: int,
    order: Callable[[int], np.ndarray],
    transform: Callable[[int], Transform],
    weights: np.ndarray,
    first_epoch: int = 0,
    first_batch: int = 0,
    rows: range | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yields shuffled batches of `epochs` epochs as one stream; an epoch's incomplete last batch is dropped.

    Args:
        index: n images, n at least B.
        image_size: S in pixels.
        batch_size: B.
        epochs: how many.
        order: maps an epoch to a permutation of n rows.
        transform: maps an epoch to its augmentation.
        weights: (n,) float32 sample weights.
        first_epoch: number of the first epoch.
        first_batch: of the first epoch; those before it are not read.
        rows: b of each batch that are wanted; None for all.

    Yields:
        images (b, S, S, 3) uint8, labels (b,) int32, weights (b,) float32.
    """
    steps = len(index) // batch_size
    rows = rows or range(batch_size)
    cached_order = lru_cache(maxsize=2)(order)

    def load(position: int) -> tuple[np.ndarray, np.int32, np.float32]:
        batch, place = divmod(position, len(rows))
        epoch, step = divmod(batch, steps)
        row = int(cached_order(first_epoch + epoch)[step * batch_size + rows[place]])
        image = _load(index, row, image_size, transform(first_epoch + epoch))
        return image, index.labels[row], weights[row]

    def stack(items: list[Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        images, labels, item_weights = zip(*items, strict=True)
        return np.stack(images), np.asarray(labels), np.asarray(item_weights)

    positions = range(first_batch * len(rows), epochs * steps * len(rows))
    yield from _stream(positions, load, len(rows), stack, drop_remainder=True)


def _filled(images: Sequence[np.ndarray], image_size: int, batch_size: int) -> np.ndarray:
    batch = np.zeros((batch_size, image_size, image_size, 3), np.uint8)
    batch[: len(images)] = images
    return batch


def _load(index: ImageIndex, row: int, image_size: int, transform: Transform | None) -> np.ndarray:
    digest = str(index.digests[row])
    image = resize(load_image(index.path(row), digest=digest), image_size)
    return transform(image, digest) if transform else image


def _stream(
    positions: range,
    load: Callable[[int], Any],
    batch_size: int,
    stack: Callable[[list[Any]], Any],
    drop_remainder: bool,
) -> Iterator[Any]:
    import grain
    import joblib

    cores = joblib.cpu_count()
    threads = grain.ReadOptions(num_threads=cores, prefetch_buffer_size=2 * max(batch_size, cores))
    dataset = grain.MapDataset.range(positions.start, positions.stop).map(load).to_iter_dataset(threads)
    yield from dataset.batch(batch_size, drop_remainder=drop_remainder, batch_fn=stack)
