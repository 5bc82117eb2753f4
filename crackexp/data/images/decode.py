"""Reads an image file as upright 8-bit RGB, or says why it cannot be read."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crackexp.data.images.headers import check_size
from crackexp.data.images.pixels import MAX_PIXELS, DecodedImage, TooManyPixelsError, UnusableImageError, decode
from crackexp.utils.errors import DataError

PIXELS_VERSION = 3
"""A version that is raised whenever decoding or resizing gives other pixels; it is part of the key of embeddings."""


class ImageError(DataError):
    """A file cannot be used as an image.

    Attributes:
        reason: Why it cannot be used, in a few words.
    """

    def __init__(self, reason: str, path: Path) -> None:
        super().__init__(f"This image cannot be used: {reason}. Received: {path}")
        self.reason = reason


class ImageTooLargeError(ImageError):
    """An image has more pixels than are decoded at once."""


@dataclass(frozen=True)
class CheckedFile:
    """The result of checking a file.

    Attributes:
        digest: The blake2b-128 digest of the file's bytes, 32 hex digits; "" where they cannot be read.
        reason: Why the file cannot be used as an image; None where it can.
        doubts: What is odd about an image that can be used, a few words each.
    """

    digest: str
    reason: str | None = None
    doubts: tuple[str, ...] = ()


def load_image(path: Path, page: int = 0, digest: str | None = None) -> np.ndarray:
    """Returns the pixels of `read_image`, a uint8 array (height, width, 3).

    Raises:
        ImageError: The file cannot be read or decoded, or its digest is not `digest`.
    """
    return read_image(path, page, digest).pixels


def read_image(path: Path, page: int = 0, digest: str | None = None, max_pixels: int = MAX_PIXELS) -> DecodedImage:
    """Reads one page of an image file, see `decode`.

    Args:
        path: An image file.
        page: The number of the page, from 0.
        digest: The digest of the file when its dataset was listed, see `CheckedFile`. Results are stored by the digest
            of an image, so a file that has changed since must not be read. None to read the file as it is.
        max_pixels: The largest number of pixels; a larger image is refused before it is decoded. Of a file with more
            bytes than that, only the header is read first.

    Raises:
        ImageTooLargeError: The image is larger.
        ImageError: The file cannot be read or decoded, or its digest is not `digest`.
    """
    try:
        if Path(path).stat().st_size > max_pixels:
            with Path(path).open("rb") as stream:
                check_size(stream, max_pixels, page)
        return decode(_read_bytes(path, digest), max_pixels, page)
    except OSError as error:
        reason = describe(error)
    except TooManyPixelsError as error:
        raise ImageTooLargeError(str(error), path) from None
    except UnusableImageError as error:
        reason = str(error)
    raise ImageError(reason, path)


def require_unchanged(path: Path, digest: str) -> None:
    """Raises ImageError where a file cannot be read, or its digest is not `digest`; see `read_image`."""
    try:
        _read_bytes(path, digest)
    except OSError as error:
        raise ImageError(describe(error), path) from None
    except UnusableImageError as error:
        raise ImageError(str(error), path) from None


def check_file(path: Path) -> CheckedFile:
    """Reads a file once, and returns its digest, whether it can be used as an image, and doubts about it."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        return CheckedFile("", describe(error))
    digest = _digest(data)
    try:
        image = decode(data)
    except UnusableImageError as error:
        return CheckedFile(digest, str(error))
    pages = (f"it has {image.pages} pages, of which the first is used",) if image.pages > 1 else ()
    return CheckedFile(digest, None, (*image.doubts, *pages))


def _read_bytes(path: Path, digest: str | None) -> bytes:
    """Returns the bytes of a file; raises UnusableImageError where their digest is another one than `digest`."""
    data = Path(path).read_bytes()
    if digest is not None and _digest(data) != digest:
        raise UnusableImageError("it was changed since its dataset was listed; start the command again")
    return data


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def describe(error: OSError) -> str:
    """Returns why a file or folder cannot be read, in a few words."""
    return f"cannot be read ({error.strerror or error})"
