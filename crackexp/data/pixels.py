"""From the bytes of an image file to upright 8-bit RGB pixels of a model's size.

This file is copied beside logged models, so that they read images as training does: it imports nothing of crackexp.
"""

import io

import cv2
import numpy as np
from PIL import Image, ImageOps

MAX_PIXELS = 178_956_970
"""Larger images are refused: decoding one takes more than half a gigabyte of memory."""

_FORMATS = ("BMP", "JPEG", "PNG", "TIFF", "WEBP")
_EXIF_ORIENTATION = 0x0112
_JPEG_END = b"\xff\xd9"

# Pillow warns above this number and refuses above twice as much: its default warns at half of what
# is read here without complaint.
Image.MAX_IMAGE_PIXELS = MAX_PIXELS


class UnusableImageError(Exception):
    """The bytes cannot be used as an image; the text is the reason."""


def decode(data: bytes, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Decodes an image file.

    EXIF rotation is applied; gray, palette, CMYK and 16-bit gray (divided by 257) are converted;
    transparent pixels are laid over white.

    Args:
        data: the bytes of a JPEG, PNG, BMP, TIFF or WebP file.
        max_pixels: a larger image is refused before it is decoded, at most `MAX_PIXELS`.

    Returns:
        uint8 array (height, width, 3), RGB, 0 to 255.

    Raises:
        UnusableImageError: they are none, or damaged, or too many pixels.
    """
    if not data:
        raise UnusableImageError("the file is empty (zero bytes)")
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            if image.width * image.height > max_pixels:
                raise UnusableImageError(f"{image.width} x {image.height} pixels are more than {max_pixels:,}")
            if _is_plain_jpeg(image, data):
                pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
                if pixels is not None:
                    return pixels
            return _to_rgb(ImageOps.exif_transpose(image))
    except (UnusableImageError, MemoryError):
        raise
    except Image.UnidentifiedImageError:
        raise UnusableImageError("not a JPEG, PNG, BMP, TIFF or WebP image") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise UnusableImageError(f"more than {max_pixels:,} pixels") from None
    except Exception as error:  # Pillow's decoders raise a dozen types on broken bytes
        raise UnusableImageError(f"damaged: {error or type(error).__name__}") from error


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
        raise UnusableImageError("32-bit float pixels have no fixed range; save it as 8 or 16 bit")
    if image.mode.startswith("I"):
        gray = np.asarray(image).astype(np.int64)
        if gray.min() < 0 or gray.max() > 65535:
            raise UnusableImageError("32-bit gray pixels outside 0 to 65535")
        return np.repeat(((gray + 128) // 257).astype(np.uint8)[..., None], 3, axis=2)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.array(image.convert("RGB"))
