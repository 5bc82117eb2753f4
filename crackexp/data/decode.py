"""Reads an image file into upright 8-bit RGB, and says why where it cannot."""

import hashlib
from pathlib import Path

import numpy as np

from crackexp.data.pixels import UnusableImageError, decode
from crackexp.errors import DataError

IMAGE_SUFFIXES = frozenset({".bmp", ".jfif", ".jpeg", ".jpg", ".jpe", ".png", ".tif", ".tiff", ".webp"})
"""Lower-case suffixes of the files that count as images; other files beside them are ignored."""

PIXELS_VERSION = 1
"""Raised by one whenever decoding or resizing begins to give other pixels: stored embeddings carry it in their key."""


class ImageError(DataError):
    """A file cannot be used as an image.

    Attributes:
        reason: why, in a few words.
    """

    def __init__(self, reason: str, path: Path) -> None:
        super().__init__(f"This image cannot be used: {reason}. Received: {path}")
        self.reason = reason


def load_image(path: Path) -> np.ndarray:
    """Reads an image file, see `decode`.

    Args:
        path: a JPEG, PNG, BMP, TIFF or WebP file.

    Returns:
        uint8 array (height, width, 3), RGB, 0 to 255.

    Raises:
        ImageError: the file cannot be read or decoded.
    """
    try:
        return decode(Path(path).read_bytes())
    except OSError as error:
        reason = _describe(error)
    except UnusableImageError as error:
        reason = str(error)
    raise ImageError(reason, path)


def check_image(path: Path) -> str | None:
    """Returns why the file cannot be used as an image, None where it can; decodes it in full."""
    return read_digest(path)[1]


def read_digest(path: Path) -> tuple[str, str | None]:
    """Reads a file once, for its digest and its fitness as an image.

    Returns:
        The digest of the bytes (blake2b-128, 32 hex digits; "" where they cannot be read) and the
        reason why they cannot be used, None where they can.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        return "", _describe(error)
    digest = hashlib.blake2b(data, digest_size=16).hexdigest()
    try:
        decode(data)
    except UnusableImageError as error:
        return digest, str(error)
    return digest, None


def _describe(error: OSError) -> str:
    return f"cannot be read ({error.strerror or error})"
