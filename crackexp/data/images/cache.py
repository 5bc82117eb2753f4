"""Decoded and resized images, kept on disk within a budget, so that each file is decoded once."""

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
from filelock import FileLock

from crackexp.data.images.decode import PIXELS_VERSION, ImageError, describe, load_image, require_unchanged
from crackexp.data.images.pixels import resize
from crackexp.utils.shards import (
    Shard,
    is_whole,
    modified,
    read_shards,
    remove_abandoned,
    remove_shard,
    shard_size,
    write_shard,
)

SHARD_BYTES = 64e6
"""The bytes of pixels that are gathered before they are written."""
DECODERS = ("opencv-python-headless", "pillow", "pi-heif")
"""The libraries that decode and resize; other versions of them may give other pixels."""

_log = logging.getLogger(__name__)


class _Image(NamedTuple):
    """The pixels of an image, (S, S, 3) uint8, and the place of the shard that they are in, if they are in one."""

    pixels: np.ndarray
    place: Path | None


class ImageCache:
    """Loads images of one size, and decodes each content once, within a budget, for all processes and runs.

    The pixels are in shards, which are mapped into memory, in ``<cache>/images/<size>px-<version>``. Their key is the
    digest of the file, so they are those of the file that was listed. A file that was changed or removed after that is
    noticed whenever it is loaded: its size and time of change are compared with those of the first time, and its digest
    is computed where they differ.

    Several processes may load and write at the same time; images that two of them decode at once are stored twice.

    Args:
        image_size: The side S of the images in pixels; images are resized to (S, S).
        cache: The folder that holds ``images/``.
        budget: The bytes that the images of all sizes may take. The shards that were not used for longest are removed
            first. Images that do not fit are decoded each time.

    Example:
        >>> from crackexp.data.digests import check_files
        >>> from crackexp.data.synthetic import draw_dataset
        >>> draw_dataset(Path("patches"), count=4, seed=0, size=32)
        >>> (checked,) = check_files(Path("patches"), np.array(["Positive/00001.jpg"]), Path("cache"))
        >>> images = ImageCache(16, Path("cache"), budget=1e6)
        >>> images.load(Path("patches/Positive/00001.jpg"), checked.digest).shape
        (16, 16, 3)
    """

    def __init__(self, image_size: int, cache: Path, budget: float) -> None:
        self.image_size = image_size
        self.root = Path(cache) / "images"
        self.budget = budget
        versions = "-".join([str(PIXELS_VERSION), *map(version, DECODERS)])
        self.folder = self.root / f"{image_size}px-{versions}"
        self._lock = threading.Lock()
        self._images: dict[str, _Image] | None = None
        self._unsaved: list[str] = []
        self._used: set[Path] = set()
        self._full = False
        self._stamps: dict[str, tuple[str, int, int]] = {}

    def load(self, path: Path, digest: str) -> np.ndarray:
        """Returns the resized image in a file, (S, S, 3) uint8 RGB, which must not be written to.

        Args:
            path: An image file.
            digest: The digest of the file when its dataset was listed, see `CheckedFile`.

        Raises:
            ImageError: The file cannot be read or decoded, or its digest is not `digest`.
        """
        try:
            status = path.stat()
        except OSError as error:
            raise ImageError(describe(error), path) from None
        name, stamp = str(path), (digest, status.st_size, status.st_mtime_ns)
        image = self._stored(digest)
        if image is None:
            image = resize(load_image(path, digest=digest), self.image_size)
            image.flags.writeable = False
            self._add(digest, image)
        elif self._stamps.get(name) != stamp:
            require_unchanged(path, digest)
        self._stamps[name] = stamp
        return image

    def save(self) -> None:
        """Writes the images that were decoded and are not stored yet, as far as the budget allows."""
        with self._lock:
            digests, self._unsaved = self._unsaved, []
        if not digests:
            return
        images = self._opened()
        rows = np.stack([images[digest].pixels for digest in digests])
        try:
            with self._gate():
                if self._fits(rows.nbytes):
                    shard = write_shard(self.folder, np.asarray(digests), rows, seconds=0.0)
                    self._used.add(shard.place)
                    images.update(_images_of(shard))
                    return
            _log.info("Stored images take the %.3g GB of images_gb; others are decoded each time", self.budget / 1e9)
        except OSError as error:  # the disk is full, or another process has cleared the cache
            _log.warning("Images are not stored any more, and are decoded each time: %s", error)
        self._full = True
        for digest in digests:
            del images[digest]

    def _stored(self, digest: str) -> np.ndarray | None:
        """Returns an image that was decoded before, or None."""
        image = self._opened().get(digest)
        if image is None:
            return None
        if image.place is not None and image.place not in self._used and not self._use(image.place):
            return None
        return image.pixels

    def _use(self, place: Path) -> bool:
        """Marks a shard as used, and returns whether it is whole; the images of a damaged one are forgotten."""
        with self._lock:
            if place in self._used:
                return True
            images = self._images
            assert images is not None
            if not is_whole(place, "images"):
                for digest in [digest for digest, image in images.items() if image.place == place]:
                    del images[digest]
                return False
            self._used.add(place)
        with suppress(FileNotFoundError):
            os.utime(place)
        return True

    def _opened(self) -> dict[str, _Image]:
        """Returns the images by their digests; the first call reads what is stored."""
        with self._lock:
            if self._images is None:
                with self._gate():
                    self._fits(0)
                shards = read_shards(self.folder, "images", rows=False)  # 10 GB of them would take a minute
                self._images = {digest: image for shard in shards for digest, image in _images_of(shard)}
        return self._images

    def _add(self, digest: str, pixels: np.ndarray) -> None:
        """Keeps a decoded image, and writes what is kept once it is large enough."""
        with self._lock:
            assert self._images is not None
            if self._full or digest in self._images:
                return
            self._images[digest] = _Image(pixels, None)
            self._unsaved.append(digest)
            enough = len(self._unsaved) * pixels.nbytes >= SHARD_BYTES
        if enough:
            self.save()

    def _gate(self) -> FileLock:
        """Returns the lock of the process that removes and adds shards."""
        self.root.mkdir(parents=True, exist_ok=True)
        return FileLock(self.root / "lock")

    def _fits(self, size: int) -> bool:
        """Removes shards until `size` more bytes fit into the budget, and returns whether they do.

        The shards that were not used for longest go first. Those that this process uses stay.
        """
        for folder in self.root.glob("*/"):
            remove_abandoned(folder)
        places = sorted(self.root.glob("*/*.json"), key=modified)
        sizes = {place: shard_size(place) for place in places}
        total = sum(sizes.values()) + size
        for place in places:
            if total > self.budget and place not in self._used:
                remove_shard(place)
                total -= sizes[place]
        return total <= self.budget


def _images_of(shard: Shard) -> Iterator[tuple[str, _Image]]:
    """Yields the digest and the image of each row of a shard."""
    digests = shard.keys.astype(str).tolist()
    return zip(digests, (_Image(pixels, shard.place) for pixels in np.asarray(shard.rows)), strict=True)
