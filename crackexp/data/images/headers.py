"""Reads the headers of image files of any size: the size of the image, the number of pages, and EXIF."""

import warnings
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from PIL import Image, JpegImagePlugin, PngImagePlugin, TiffImagePlugin

from crackexp.data.images.pixels import (
    MAX_PIXELS,
    READ_BY_PILLOW,
    UnusableImageError,
    pages_in,
    reasons,
    require_at_most,
    turn_to,
)

OF_ANY_SIZE = (TiffImagePlugin.TiffImageFile, PngImagePlugin.PngImageFile, JpegImagePlugin.JpegImageFile)
"""Pillow's classes of the formats of which a photo of a survey may have any size."""

# Pillow warns of a size that is checked here before anything is decoded, and that a photo of a survey may have.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


def open_image(stream: BinaryIO) -> Image.Image:
    """Opens an image file, whose pixels are still to be decoded; a TIFF, PNG or JPEG file of any size.

    Raises:
        UnidentifiedImageError: The file is no image.
        DecompressionBombError: The image is of another format and has more than twice `MAX_PIXELS`.
    """
    try:
        return Image.open(stream, formats=READ_BY_PILLOW)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        for plugin in OF_ANY_SIZE:
            stream.seek(0)
            with suppress(SyntaxError):
                return plugin(stream)
        raise


def check_size(stream: BinaryIO, max_pixels: int, page: int = 0) -> None:
    """Raises the error of `decode` where a page of an image file is too large, or does not exist."""
    with reasons(max_pixels), open_image(stream) as image:
        turn_to(image, page)
        require_at_most(image, max_pixels)


def exif_of(image: Image.Image) -> Image.Exif:
    """Returns the EXIF of a header alone; `getexif` of a PNG would decode the pixels to look behind them."""
    return Image.Image.getexif(image)


def count_pages(stream: BinaryIO) -> int:
    """Returns the number of pages or frames of an image file, without decoding them; 1 where it cannot be read.

    Reduced copies and masks of a page, as TIFF files and phones carry them, are not counted.
    """
    try:
        with reasons(MAX_PIXELS), open_image(stream) as image:
            return len(pages_in(image))
    except UnusableImageError:
        return 1


def pages_of(path: Path) -> int:
    """Returns `count_pages` of a file."""
    try:
        with path.open("rb") as stream:
            return count_pages(stream)
    except OSError:
        return 1
