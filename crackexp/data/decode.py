"""Reads an image file into upright 8-bit RGB, and says why where it cannot."""

import hashlib
import io
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from crackexp.errors import DataError

IMAGE_SUFFIXES = frozenset({".bmp", ".jfif", ".jpeg", ".jpg", ".jpe", ".png", ".tif", ".tiff", ".webp"})
"""Lower-case suffixes of the files that count as images; other files beside them are ignored."""

MAX_PIXELS = 178_956_970
"""Larger images are refused: decoding one takes more than half a gigabyte of memory."""

PIXELS_VERSION = 1
"""Raised by one whenever decoding or resizing begins to give other pixels: stored embeddings carry it in their key."""

_FORMATS = ("BMP", "JPEG", "PNG", "TIFF", "WEBP")
_EXIF_ORIENTATION = 0x0112
_JPEG_END = b"\xff\xd9"

# Pillow warns above this number and refuses above twice as much: its default warns at half of what
# is read here without complaint.
Image.MAX_IMAGE_PIXELS = MAX_PIXELS


class ImageError(DataError):
    """A file cannot be used as an image.

    Attributes:
        reason: why, in a few words.
    """

    def __init__(self, reason: str, path: Path) -> None:
        super().__init__(f"This image cannot be used: {reason}. Received: {path}")
        self.reason = reason


class _UnusableImageError(Exception):
    """The bytes cannot be used as an image; the text is the reason."""


def load_image(path: Path) -> np.ndarray:
    """Reads an image file.

    EXIF rotation is applied; gray, palette, CMYK and 16-bit gray (divided by 257) are converted;
    transparent pixels are laid over white.

    Args:
        path: a JPEG, PNG, BMP, TIFF or WebP file.

    Returns:
        uint8 array (height, width, 3), RGB, 0 to 255.

    Raises:
        ImageError: the file cannot be read or decoded.
    """
    try:
        return _decode(Path(path).read_bytes())
    except OSError as error:
        reason = _describe(error)
    except _UnusableImageError as error:
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
        _decode(data)
    except _UnusableImageError as error:
        return digest, str(error)
    return digest, None


def resize(image: np.ndarray, size: int) -> np.ndarray:
    """Scales an image to a square, whatever its shape.

    Bilinear; by area averaging where a side shrinks to less than half, which bilinear would alias.

    Args:
        image: uint8 array (height, width, 3).
        size: side of the result in pixels, at least 1.

    Returns:
        uint8 array (size, size, 3).
    """
    height, width = image.shape[:2]
    if (height, width) == (size, size):
        return image
    shrinks = max(height, width) > 2 * size
    return cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def _decode(data: bytes) -> np.ndarray:
    if not data:
        raise _UnusableImageError("the file is empty (zero bytes)")
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise _UnusableImageError(f"{image.width} x {image.height} pixels are more than {MAX_PIXELS:,}")
            if _is_plain_jpeg(image, data):
                pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
                if pixels is not None:
                    return pixels
            return _to_rgb(ImageOps.exif_transpose(image))
    except (_UnusableImageError, MemoryError):
        raise
    except Image.UnidentifiedImageError:
        raise _UnusableImageError("not a JPEG, PNG, BMP, TIFF or WebP image") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _UnusableImageError(f"more than {MAX_PIXELS:,} pixels") from None
    except Exception as error:  # Pillow's decoders raise a dozen types on broken bytes
        raise _UnusableImageError(f"damaged: {error or type(error).__name__}") from error


def _is_plain_jpeg(image: Image.Image, data: bytes) -> bool:
    """Whether OpenCV reads the very pixels that Pillow reads, in half of the time."""
    return (
        image.format == "JPEG"
        and image.mode == "RGB"
        and image.getexif().get(_EXIF_ORIENTATION, 1) == 1
        and _JPEG_END in data[-64:]
    )


def _to_rgb(image: Image.Image) -> np.ndarray:
    if image.mode == "F":
        raise _UnusableImageError("32-bit float pixels have no fixed range; save it as 8 or 16 bit")
    if image.mode.startswith("I"):
        gray = np.asarray(image).astype(np.int64)
        if gray.min() < 0 or gray.max() > 65535:
            raise _UnusableImageError("32-bit gray pixels outside 0 to 65535")
        return np.repeat(((gray + 128) // 257).astype(np.uint8)[..., None], 3, axis=2)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.array(image.convert("RGB"))


def _describe(error: OSError) -> str:
    return f"cannot be read ({error.strerror or error})"
