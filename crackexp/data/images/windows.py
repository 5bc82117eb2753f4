"""Reads photos of any size from the top to the bottom: small ones whole, large ones a band of rows at a time."""

import logging
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from PIL import Image, TiffImagePlugin

from crackexp.data.images.decode import ImageError, ImageTooLargeError, describe, read_image
from crackexp.data.images.headers import OF_ANY_SIZE, exif_of, open_image
from crackexp.data.images.pixels import (
    EXIF_ORIENTATION,
    FLOAT,
    MAX_PIXELS,
    UnusableImageError,
    declared_range,
    deep_rgb,
    depth_range,
    flatness,
    flatness_step,
    reasons,
    turn_to,
    usual_rgb,
    white_is_zero,
)

PICTURE_SIDE = 8192
"""The largest length in pixels of the longer side of the reduced picture of a large photo."""

_TYPES = {"uchar": np.uint8, "ushort": np.uint16, "short": np.int16, "int": np.int32, "uint": np.uint32}
_HEADER_BYTES = 2**20


class PhotoSource(Protocol):
    """A photo whose rows are read from the top to the bottom."""

    @property
    def height(self) -> int:
        """The height of the photo in pixels."""

    @property
    def width(self) -> int:
        """The width of the photo in pixels."""

    @property
    def reduction(self) -> int:
        """The side, in pixels of the photo, of the square that is one pixel of `picture`."""

    @property
    def picture(self) -> np.ndarray:
        """The photo, reduced by averaging, (ceil(height / reduction), ceil(width / reduction), 3) uint8 RGB.

        It is complete after the last row was read.
        """

    @property
    def doubts(self) -> tuple[str, ...]:
        """What is odd about the photo, in a few words each; known after the last row was read."""

    def rows(self, top: int, bottom: int) -> np.ndarray:
        """Returns the pixels of some rows, (bottom - top, width, 3) uint8 RGB.

        Args:
            top: The first row. Neither it nor `bottom` is ever above that of the call before.
            bottom: The row after the last one. No row may be left out between two calls.
        """


@dataclass(frozen=True)
class WholePhoto:
    """A photo in memory.

    Attributes:
        picture: The photo, (height, width, 3) uint8 RGB, upright.
        doubts: What is odd about it, a few words each.
    """

    picture: np.ndarray
    doubts: tuple[str, ...] = ()
    reduction: int = 1

    @property
    def height(self) -> int:
        """The height of the photo in pixels."""
        return self.picture.shape[0]

    @property
    def width(self) -> int:
        """The width of the photo in pixels."""
        return self.picture.shape[1]

    def rows(self, top: int, bottom: int) -> np.ndarray:
        """See `PhotoSource`."""
        return self.picture[top:bottom]


class WindowedPhoto:
    """A photo in a file, of which one band of rows is in memory at a time.

    Every pixel equals the pixel that `decode` gives; only where a TIFF holds colours premultiplied with a partial
    opacity, one in thousands differs by 1. libvips decodes; what the samples mean is read from the header of the file
    by Pillow, which also converts them. The file is decoded once, or twice where the range of samples of more than 8
    bits is that of the brightest one.

    A photo that EXIF turns by a right angle or by 180 degrees cannot be read from the top: libvips first decodes it
    into a temporary file, of its pixels' size, in the folder that TMPDIR names.

    Args:
        file: A TIFF, BigTIFF, PNG or JPEG file.
        page: The number of the page, from 0.
        picture_side: The longer side of `picture` has at most so many pixels.

    Attributes:
        height: The height of the photo in pixels.
        width: The width of the photo in pixels.
        reduction: See `PhotoSource`.
        picture: See `PhotoSource`.

    Raises:
        ImageError: The file is none of these, or one that can only be decoded as a whole, or its pixels cannot be
            converted.
    """

    def __init__(self, file: Path, page: int = 0, picture_side: int = PICTURE_SIDE) -> None:
        import pyvips

        logging.getLogger("pyvips").setLevel(logging.ERROR)  # its warnings tell of what is raised as an error too
        pyvips.cache_set_max(0)  # else a file that was replaced would be answered with the old pixels
        self._file = file
        try:
            self._samples = _Samples(file, page)
            image = self._samples.open()
        except OSError as error:
            raise ImageError(describe(error), file) from None
        except (UnusableImageError, pyvips.Error) as error:
            raise ImageError(_reason(error), file) from None
        self.height, self.width = image.height, image.width
        self.reduction = math.ceil(max(self.height, self.width) / picture_side)
        size = math.ceil(self.height / self.reduction), math.ceil(self.width / self.reduction)
        self.picture = np.empty((*size, 3), np.uint8)
        self._image, self._region = image, pyvips.Region.new(image)
        self._top, self._band = 0, np.empty((0, self.width, 3), np.uint8)
        self._looked_at: list[np.ndarray] = []

    @property
    def doubts(self) -> tuple[str, ...]:
        """See `PhotoSource`."""
        return (*self._samples.doubts, *flatness(np.concatenate(self._looked_at)))

    def rows(self, top: int, bottom: int) -> np.ndarray:
        """See `PhotoSource`.

        Raises:
            ImageError: The file is damaged.
        """
        read = self._top + len(self._band)
        if bottom > read:
            self._band = np.concatenate([self._band[top - self._top :], self._read(read, bottom)])
            self._top = top
        return self._band[top - self._top : bottom - self._top]

    def _read(self, top: int, bottom: int) -> np.ndarray:
        """Decodes the rows from `top` to `bottom` at least, as far as a row of `picture` ends."""
        import pyvips

        side = self.reduction
        bottom = min(math.ceil(bottom / side) * side, self.height)
        shape = bottom - top, self.width, self._image.bands
        try:
            data = self._region.fetch(0, top, self.width, bottom - top)
        except pyvips.Error as error:
            raise ImageError(_reason(error, self._samples.turned), self._file) from None
        pixels = self._samples.convert(np.frombuffer(data, _TYPES[self._image.format]).reshape(shape))
        step = flatness_step(self.height, self.width)
        self._looked_at.append(pixels[-top % step :: step, ::step].copy())
        whole = cv2.copyMakeBorder(pixels, 0, -len(pixels) % side, 0, -self.width % side, cv2.BORDER_REPLICATE)
        size = whole.shape[1] // side, whole.shape[0] // side
        self.picture[top // side :][: size[1]] = cv2.resize(whole, size, interpolation=cv2.INTER_AREA)
        return pixels


def open_photo(file: Path, page: int = 0, max_pixels: int = MAX_PIXELS) -> PhotoSource:
    """Opens a page of a photo: whole up to `max_pixels`, else in windows.

    Raises:
        ImageError: The file is no image, or one that cannot be used.
    """
    try:
        image = read_image(file, page, max_pixels=max_pixels)
    except ImageTooLargeError:
        return WindowedPhoto(file, page)
    return WholePhoto(image.pixels, image.doubts)


class _Samples:
    """The samples of a page of a file, with their conversion to RGB.

    Args:
        file: A TIFF, PNG or JPEG file.
        page: The number of the page, from 0.

    Attributes:
        doubts: What is odd about the depth of the samples.
        turned: Whether the stored image must be turned in a way that does not go from its top to its bottom.

    Raises:
        OSError: The file cannot be read.
        UnusableImageError: The file is no such image, or one that can only be decoded as a whole.
        pyvips.Error: The file is damaged.
    """

    def __init__(self, file: Path, page: int) -> None:
        with file.open("rb") as stream:
            start = stream.read(_HEADER_BYTES)
            with reasons(MAX_PIXELS), open_image(stream) as header:
                frames = turn_to(header, page)
                is_tiff = isinstance(header, TiffImagePlugin.TiffImageFile)
                if not isinstance(header, OF_ANY_SIZE) or (page and not is_tiff):
                    raise UnusableImageError(f"a {header.format} file of this size is not read; save it as a TIFF")
                if header.info.get("interlace") or header.info.get("progressive"):
                    reason = "an interlaced or progressive image of this size can only be decoded as a whole"
                    raise UnusableImageError(f"{reason}; save it as a TIFF")
                self._options: dict[str, Any] = {"fail_on": "error", "unlimited": True}
                if is_tiff:
                    # Unless libvips fails on warnings, it fills a damaged tile with black and goes on. Of a JPEG or PNG
                    # it also warns of what OpenCV and Pillow read without complaint.
                    self._options |= {"page": frames[page], "fail_on": "warning"}
                self._file = os.fsencode(file)
                self._orientation = exif_of(header).get(EXIF_ORIENTATION, 1)
                self.turned = self._orientation in range(3, 9)
                self._cmyk, self._alpha = header.mode == "CMYK", header.has_transparency_data
                self._inverted = white_is_zero(header)
                if header.mode == "YCbCr":
                    raise UnusableImageError("a TIFF of this size with plain YCbCr samples is not read; save it as RGB")
                declared = declared_range(header, start)
        image = self._stored("sequential")
        if image.format in ("float", "double"):
            raise UnusableImageError(FLOAT)
        deep = image.format != "uchar"
        gray_alone = image.format in ("short", "int", "uint") and image.bands > 1
        if image.format not in _TYPES or (deep and self._cmyk) or gray_alone:
            raise UnusableImageError(f"{image.bands} samples of the type {image.format} a pixel are not read")
        self._colours = 4 if self._cmyk else 1 if image.bands <= 2 else 3
        self._range = 0, 255
        self.doubts: list[str] = []
        if deep:
            extremes = image.extract_band(0, n=self._colours).stats()
            darkest, brightest = (int(extremes(column, 0)[0]) for column in (0, 1))
            black, white, self.doubts = depth_range(darkest, brightest, *declared)
            self._range = (white, black) if self._inverted else (black, white)

    def open(self) -> Any:
        """Returns the upright image of libvips, whose pixels are still to be read."""
        import pyvips

        image = self._stored("random" if self.turned else "sequential")
        if self._orientation not in range(2, 9):
            return image
        image = image.copy()
        image.set_type(pyvips.GValue.gint_type, "orientation", self._orientation)
        return image.autorot()

    def convert(self, samples: np.ndarray) -> np.ndarray:
        """Converts samples, (h, w, bands), as `decode` does, to (h, w, 3) uint8 RGB."""
        samples = samples[..., : self._colours + (self._alpha and samples.shape[2] > self._colours)]
        if samples.dtype != np.uint8:
            if samples.shape[2] == 2:
                samples = samples[..., [0, 0, 0, 1]]
            return deep_rgb(samples, *self._range)
        if self._cmyk:
            return usual_rgb(Image.fromarray(samples, "CMYK"))
        return usual_rgb(Image.fromarray(np.ascontiguousarray(samples[..., 0] if samples.shape[2] == 1 else samples)))

    def _stored(self, access: str) -> Any:
        """Returns the image of libvips as it is stored, without turning a negative into a positive."""
        import pyvips

        # A source, since `Image.new_from_file` takes brackets at the end of a name for options.
        source = pyvips.Source.new_from_file(self._file)
        image = pyvips.Image.new_from_source(source, "", access=access, **self._options)
        return image.invert() if self._inverted else image


def _reason(error: Any, turned: bool = False) -> str:
    """Returns the last line of the message of libvips; the lines before it may be about earlier errors."""
    if isinstance(error, UnusableImageError):
        return str(error)
    lines = str(error.detail).strip().splitlines() or [str(error.message)]
    way = " by way of a temporary file, since its EXIF turns it" if turned else ""
    return f"cannot be decoded to its end{way}: {lines[-1].strip()}"
