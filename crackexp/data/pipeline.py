"""Reads image files as uint8 batches of one fixed shape; grain's threads decode and augment them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, islice
from typing import Any

import numpy as np

from crackexp.data.augmentation import View
from crackexp.data.images.cache import ImageCache
from crackexp.data.images.decode import ImageError, load_image
from crackexp.data.images.pixels import DecodedImage, resize
from crackexp.data.index import ImageIndex

MAX_CHUNK = 16
"""The largest number of images that a thread reads in one go. What grain does for each go holds Python's lock for about
100 microseconds, which is half as long as it takes to decode and augment a small image."""


def image_batches(
    index: ImageIndex, image_size: int, batch_size: int, view: View | None = None, cache: ImageCache | None = None
) -> Iterator[np.ndarray]:
    """Yields each image of an index once, in order.

    Args:
        index: The n images.
        image_size: The side S of the images in pixels; images are resized to (S, S).
        batch_size: The number B of images in a batch.
        view: The view that the images are augmented by after resizing; None to leave them as they are.
        cache: The cache that decoded images of this size are taken from and added to; None to decode each time.

    Yields:
        ceil(n / B) arrays (B, S, S, 3) uint8 of RGB; the last one is filled up with black images.
    """

    def load(row: int) -> np.ndarray:
        return _load(index, row, image_size, view, cache)

    def stack(images: list[np.ndarray]) -> np.ndarray:
        return _filled(images, image_size, batch_size)

    yield from _stream(range(len(index)), load, batch_size, stack, drop_remainder=False)
    if cache:
        cache.save()


@dataclass(frozen=True)
class ReadResult:
    """Says whether a file could be read as an image.

    Attributes:
        height: The height of the image in pixels; 0 where it was not read.
        width: The width of the image in pixels; 0 where it was not read.
        doubts: What is odd about the image, in a few words each.
        reason: Why the file was not read; None where it was.
    """

    height: int = 0
    width: int = 0
    doubts: tuple[str, ...] = ()
    reason: str | None = None


def readable_batches(
    readers: Sequence[Callable[[], DecodedImage]], image_size: int, batch_size: int
) -> Iterator[tuple[np.ndarray, list[ReadResult]]]:
    """Yields each of n images once, in order; what cannot be read as an image does not stop it.

    Args:
        readers: Functions that each read an image, or raise ImageError.
        image_size: The side S of the images in pixels; images are resized to (S, S).
        batch_size: The number B of images in a batch.

    Yields:
        ceil(n / B) batches: the images (B, S, S, 3) uint8 of RGB, black where there is none, and the result of each
        one in the batch.
    """

    def load(row: int) -> tuple[np.ndarray, ReadResult]:
        try:
            image = readers[row]()
        except ImageError as error:
            return np.zeros((image_size, image_size, 3), np.uint8), ReadResult(reason=error.reason)
        height, width = image.pixels.shape[:2]
        return resize(image.pixels, image_size), ReadResult(height, width, image.doubts)

    def stack(items: list[Any]) -> tuple[np.ndarray, list[ReadResult]]:
        images, results = zip(*items, strict=True)
        return _filled(images, image_size, batch_size), list(results)

    yield from _stream(range(len(readers)), load, batch_size, stack, drop_remainder=False)


def training_batches(
    index: ImageIndex,
    image_size: int,
    batch_size: int,
    epochs: int,
    order: Callable[[int], np.ndarray],
    view: Callable[[int], View],
    weights: np.ndarray,
    first_epoch: int = 0,
    first_batch: int = 0,
    rows: range | None = None,
    cache: ImageCache | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yields the shuffled batches of several epochs as one stream; the incomplete last batch of an epoch is dropped.

    Args:
        index: The n images, at least B of them.
        image_size: The side S of the images in pixels; images are resized to (S, S).
        batch_size: The number B of images in a batch.
        epochs: The number of epochs.
        order: A function that returns the order of an epoch, a permutation of the n rows.
        view: A function that returns the view of an epoch, which augments its images.
        weights: The weight of each image, (n,) float32.
        first_epoch: The number of the first epoch.
        first_batch: The first batch of the first epoch that is read.
        rows: The b rows of each batch that are read, as one of several processes reads them; None for all B.
        cache: The cache that decoded images of this size are taken from and added to; None to decode each time.

    Yields:
        Images (b, S, S, 3) uint8 of RGB, labels (b,) int32 and weights (b,) float32.
    """
    steps = len(index) // batch_size
    rows = rows or range(batch_size)
    cached_order = lru_cache(maxsize=2)(order)

    def load(position: int) -> tuple[np.ndarray, np.int32, np.float32]:
        batch, place = divmod(position, len(rows))
        epoch, step = divmod(batch, steps)
        row = int(cached_order(first_epoch + epoch)[step * batch_size + rows[place]])
        image = _load(index, row, image_size, view(first_epoch + epoch), cache)
        return image, index.labels[row], weights[row]

    def stack(items: list[Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        images, labels, item_weights = zip(*items, strict=True)
        return np.stack(images), np.asarray(labels), np.asarray(item_weights)

    positions = range(first_batch * len(rows), epochs * steps * len(rows))
    batches = _stream(positions, load, len(rows), stack, drop_remainder=True)
    for number, batch in enumerate(batches, first_batch + 1):
        if cache and number % steps == 0:
            cache.save()
        yield batch


def resized_images(index: ImageIndex, rows: Sequence[int] | np.ndarray, image_size: int) -> np.ndarray:
    """Returns the images in some rows of an index as figures show them, (k, S, S, 3) uint8 RGB."""
    return np.stack([resize(load_image(index.path(int(row))), image_size) for row in rows])


def _filled(images: Sequence[np.ndarray], image_size: int, batch_size: int) -> np.ndarray:
    """Returns a batch of `batch_size` images, filled up with black ones."""
    batch = np.zeros((batch_size, image_size, image_size, 3), np.uint8)
    batch[: len(images)] = images
    return batch


def _load(
    index: ImageIndex, row: int, image_size: int, view: View | None, cache: ImageCache | None = None
) -> np.ndarray:
    """Reads, resizes and augments one image; raises ImageError where its file was changed since it was listed."""
    path, digest = index.path(row), str(index.digests[row])
    image = cache.load(path, digest) if cache else resize(load_image(path, digest=digest), image_size)
    return view(image, digest) if view else image


def _stream(
    positions: range,
    load: Callable[[int], Any],
    batch_size: int,
    stack: Callable[[list[Any]], Any],
    drop_remainder: bool,
) -> Iterator[Any]:
    """Yields batches of what `load` returns for each position, read ahead by grain's threads and joined by `stack`."""
    import cv2
    import grain
    import loky

    cv2.setNumThreads(1)  # every core has a thread of its own here
    cores = loky.cpu_count()
    ahead = 2 * max(batch_size, cores)
    chunk = max(min(ahead // cores, len(positions) // (4 * cores), MAX_CHUNK), 1)
    threads = grain.ReadOptions(num_threads=cores, prefetch_buffer_size=ahead // chunk)

    def load_chunk(number: int) -> list[Any]:
        return [load(position) for position in positions[number * chunk : (number + 1) * chunk]]

    chunks = grain.MapDataset.range(-(-len(positions) // chunk)).map(load_chunk)
    items = chain.from_iterable(chunks.to_iter_dataset(threads))
    while batch := list(islice(items, batch_size)):
        if len(batch) == batch_size or not drop_remainder:
            yield stack(batch)
