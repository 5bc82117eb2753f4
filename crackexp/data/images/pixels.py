"""Decodes the bytes of an image file to upright 8-bit RGB pixels, and resizes them.

This file is copied beside logged models, so that they read images as training does. So it imports nothing of crackexp.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import pi_heif
from PIL import Image, ImageOps, PngImagePlugin, TiffImagePlugin

MAX_PIXELS = 178_956_970
"""Larger images are refused: decoding one takes more than half a gigabyte of memory."""

FORMATS = "JPEG, PNG, TIFF, HEIC, AVIF, WebP, JPEG 2000, GIF or BMP"
FLOAT = "32-bit float pixels have no fixed range; save it as 8 or 16 bit"
FLAT = 2.0
"""An image is nearly one colour where its brightness has a smaller standard deviation, in gray levels of 255. The
flattest of 6,000 real patches of concrete has 2.5."""
DARK, BRIGHT = 24, 245
"""An image is nearly black where 99 % of its pixels are darker than the first, nearly white where 99 % are brighter
than the second."""

READ_BY_PILLOW = ("AVIF", "BMP", "GIF", "HEIF", "JPEG", "JPEG2000", "PNG", "TIFF", "WEBP")
EXIF_ORIENTATION = 0x0112
_JPEG_END = b"\xff\xd9"
_PNG_COLOUR_TYPES = (2, 4, 6)
_DEPTHS = (8, 10, 12, 14, 16)
_SIGNED, _SEPARATE = 2, 2
_NEW_SUBFILE_TYPE, _SUBFILE_TYPE, _BITS_PER_SAMPLE, _PHOTOMETRIC, _PLANAR = 254, 255, 258, 262, 284
_MAX_SAMPLE_VALUE, _SUB_IFDS, _SAMPLE_FORMAT, _S_MIN, _S_MAX, _DNG_VERSION = 281, 330, 339, 340, 341, 50706

pi_heif.register_heif_opener()
# Pillow warns above this number and refuses above twice as much: its default warns at half of what
# is read here without complaint.
Image.MAX_IMAGE_PIXELS = MAX_PIXELS
# Of damaged metadata, which says neither which file it is about nor anything that a user could mend.
warnings.filterwarnings("ignore", module=r"PIL\.")


class UnusableImageError(Exception):
    """The bytes cannot be used as an image; the text is the reason."""


class TooManyPixelsError(UnusableImageError):
    """The image has more pixels than are decoded at once."""

    def __init__(self, told: str) -> None:
        super().__init__(f"{told}; crackexp.survey reads TIFF, PNG and JPEG files of any size")


@dataclass(frozen=True)
class DecodedImage:
    """One page of an image file.

    Attributes:
        pixels: A uint8 array (height, width, 3) of RGB, 0 to 255, upright.
        depth_doubts: What is odd about the depth of the samples, a few words each.
        pages: How many pages or frames the file has; the pixels are those of one.
    """

    pixels: np.ndarray
    depth_doubts: tuple[str, ...]
    pages: int

    @cached_property
    def doubts(self) -> tuple[str, ...]:
        """What is odd about the image, a few words each: a guessed bit depth, nearly one colour.

        They are computed when they are asked for, because this takes longer than decoding a small JPEG.
        """
        step = flatness_step(*self.pixels.shape[:2])
        return (*self.depth_doubts, *flatness(self.pixels[::step, ::step]))


def decode(data: bytes, max_pixels: int = MAX_PIXELS, page: int = 0) -> DecodedImage:
    """Decodes one page of an image file.

    EXIF rotation is applied, and gray, palette and CMYK images are converted. Samples of more than 8 bits are scaled
    from the range that the file declares (``sBIT`` in PNG; ``BitsPerSample``, ``MaxSampleValue`` and ``SMin``- and
    ``SMaxSampleValue`` in TIFF). Where it declares none, the range is that of the smallest usual bit depth that holds
    the brightest sample, and a depth below 16 is a doubt. Transparent pixels are laid over white.

    Args:
        data: The bytes of a JPEG, PNG, TIFF, HEIC, AVIF, WebP, JPEG 2000, GIF or BMP file.
        max_pixels: A larger image is refused before it is decoded; at most `MAX_PIXELS`.
        page: The number of the page, from 0.

    Raises:
        TooManyPixelsError: The image is larger.
        UnusableImageError: The bytes are no image, or are damaged.
    """
    if not data:
        raise UnusableImageError("the file is empty (zero bytes)")
    with reasons(max_pixels), Image.open(io.BytesIO(data), formats=READ_BY_PILLOW) as image:
        pages = turn_to(image, page)
        require_at_most(image, max_pixels)
        pixels = None
        doubts: list[str] = []
        if _is_plain_jpeg(image, data):
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
        if pixels is None:
            pixels, doubts = _to_rgb(image, data, pages[page])
    return DecodedImage(pixels, tuple(doubts), len(pages))


def resize(image: np.ndarray, size: int) -> np.ndarray:
    """Scales an image to a square, whatever its shape.

    The interpolation is bilinear. Where a side shrinks to less than half, pixels are averaged over areas instead,
    because bilinear interpolation would alias.

    Args:
        image: The image, (height, width, 3) uint8.
        size: The side of the result in pixels, at least 1.

    Returns:
        The resized image, (size, size, 3) uint8.
    """
    height, width = image.shape[:2]
    if (height, width) == (size, size):
        return image
    shrinks = max(height, width) > 2 * size
    return cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def turn_to(image: Image.Image, page: int) -> list[int]:
    """Turns an opened image to a page, and returns the frames that are its pages.

    Raises:
        UnusableImageError: There is no such page.
    """
    pages = pages_in(image)
    if page >= len(pages):
        raise UnusableImageError(f"it has {len(pages)} pages, and no page {page + 1}")
    if image.tell() != pages[page]:
        image.seek(pages[page])
    if _is_raw(image):
        raise UnusableImageError("a camera raw file; export it as JPEG or TIFF")
    return pages


def require_at_most(image: Image.Image, max_pixels: int) -> None:
    """Raises TooManyPixelsError where the page that an opened image was turned to has more pixels."""
    if image.width * image.height > max_pixels:
        raise TooManyPixelsError(f"{image.width} x {image.height} pixels are more than {max_pixels:,}")


def _is_raw(image: Image.Image) -> bool:
    """Returns whether a TIFF is a camera raw file, of which Pillow would read the thumbnail instead of the photo."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return False
    thumbnail = _tag(image, _NEW_SUBFILE_TYPE, 0) & 1
    return _DNG_VERSION in image.tag_v2 or bool(thumbnail and _SUB_IFDS in image.tag_v2)


@contextmanager
def reasons(max_pixels: int) -> Iterator[None]:
    """Raises an UnusableImageError for any error that an image causes in the `with` block."""
    try:
        yield
    except (UnusableImageError, MemoryError):
        raise
    except Image.UnidentifiedImageError:
        reason = f"not a {FORMATS} image, of a rare kind of these, or damaged at its beginning"
        raise UnusableImageError(reason) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise TooManyPixelsError(f"it has more than {max_pixels:,} pixels") from None
    except Exception as error:  # Pillow's decoders raise a dozen types on broken bytes
        raise UnusableImageError(f"damaged: {error or type(error).__name__}") from error


def pages_in(image: Image.Image) -> list[int]:
    """Returns the frames that are pages: no reduced copies or masks, as TIFF files and phones carry them."""
    frames = list(range(getattr(image, "n_frames", 1)))
    if len(frames) == 1:
        return frames
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        own = []
        for frame in frames:
            image.seek(frame)
            reduced_or_mask = _tag(image, _NEW_SUBFILE_TYPE, 0) & 0b101 or _tag(image, _SUBFILE_TYPE, 0) == 2
            if not reduced_or_mask:
                own.append(frame)
        image.seek(0)
        return own or [0]
    entries = getattr(image, "mpinfo", {}).get(0xB002, [])
    small = {number for number, entry in enumerate(entries) if "Thumbnail" in str(entry["Attribute"].get("MPType"))}
    return [frame for frame in frames if frame not in small] or [0]


def _is_plain_jpeg(image: Image.Image, data: bytes) -> bool:
    """Returns whether OpenCV reads the same pixels as Pillow, which it does in half of the time."""
    return (
        image.format == "JPEG"
        and image.mode == "RGB"
        and image.getexif().get(EXIF_ORIENTATION, 1) == 1
        and _JPEG_END in data[-64:]
    )


def _to_rgb(image: Image.Image, data: bytes, frame: int) -> tuple[np.ndarray, list[str]]:
    """Returns the pixels, (height, width, 3) uint8, and doubts about their depth."""
    if image.mode == "F":
        raise UnusableImageError(FLOAT)
    turned_already = isinstance(image, TiffImagePlugin.TiffImageFile)
    if image.mode.startswith("I"):
        samples, turned_already = np.asarray(ImageOps.exif_transpose(image))[..., None], True
        hidden = image.info.get("transparency")
        if hidden is not None:
            opacity = np.where(samples == hidden, 0, 65535).astype(np.uint16)
            samples = np.concatenate([samples, samples, samples, opacity], axis=2)
    elif _is_deep_colour(image, data):
        samples = _deep_samples(data, frame)[..., : 4 if image.has_transparency_data else 3]
    elif _tag(image, _SAMPLE_FORMAT, 1) == _SIGNED:
        raise UnusableImageError("its samples are signed 8-bit numbers; save it as unsigned 8 bit")
    else:
        return usual_rgb(ImageOps.exif_transpose(image)), []
    colours = samples[..., :3]
    black, white, doubts = depth_range(int(colours.min()), int(colours.max()), *declared_range(image, data))
    pixels = deep_rgb(samples, *((white, black) if white_is_zero(image) else (black, white)))
    if turned_already:
        return pixels, doubts
    upright = Image.fromarray(pixels)
    upright.getexif()[EXIF_ORIENTATION] = image.getexif().get(EXIF_ORIENTATION, 1)
    return np.array(ImageOps.exif_transpose(upright)), doubts


def usual_rgb(image: Image.Image) -> np.ndarray:
    """Returns the pixels of an upright image of 8 bits, uint8 (height, width, 3)."""
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.array(image.convert("RGB"))


def deep_rgb(samples: np.ndarray, black: int, white: int) -> np.ndarray:
    """Returns samples of more than 8 bits as pixels, uint8 (height, width, 3).

    Args:
        samples: An integer array (height, width, 1, 3 or 4): gray, RGB, or RGB and opacity.
        black: The colour sample that means black.
        white: The colour sample that means white, which may be the smaller one.
    """
    span = white - black
    shades = np.clip(samples[..., :3].astype(np.int64), min(black, white), max(black, white)) - black
    colours = (shades * 255 + span // 2) // span
    colours = colours.astype(np.uint8)
    if samples.shape[2] == 4:
        alpha = samples[..., 3:].astype(np.float32) / 65535
        colours = np.round(colours * alpha + 255 * (1 - alpha)).astype(np.uint8)
    return np.repeat(colours, 3, axis=2) if samples.shape[2] == 1 else colours


def white_is_zero(image: Image.Image) -> bool:
    """Returns whether the samples of a gray TIFF of more than 8 bits are those of a negative, which Pillow ignores."""
    return image.mode.startswith("I") and _tag(image, _PHOTOMETRIC, 1) == 0


def _tag(image: Image.Image, number: int, default: int) -> int:
    """Returns the first value of a tag of the present page of a TIFF, and `default` where there is none."""
    value = image.tag_v2.get(number) if isinstance(image, TiffImagePlugin.TiffImageFile) else None
    value = value[0] if isinstance(value, tuple) else value
    return default if value is None else int(value)


def declared_range(image: Image.Image, data: bytes) -> tuple[int, int | None, int | None]:
    """Returns the smallest and the largest sample, and the number of bits, as far as the file declares them."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        depth = _tag(image, _BITS_PER_SAMPLE, 16)
        high = _tag(image, _S_MAX, 0) or _tag(image, _MAX_SAMPLE_VALUE, 0) or None
        if high is None and depth < 16:
            high = 2**depth - 1
        signed = depth == 16 and _tag(image, _SAMPLE_FORMAT, 1) == _SIGNED
        return _tag(image, _S_MIN, 0) if high else 0, high, 15 if signed else None
    if isinstance(image, PngImagePlugin.PngImageFile):
        start = data.find(b"sBIT", 0, data.find(b"IDAT"))
        return 0, None, data[start + 4] if start > 0 else None
    return 0, None, None


def depth_range(
    darkest: int, brightest: int, low: int, high: int | None, bits: int | None
) -> tuple[int, int, list[str]]:
    """Returns the smallest and the largest sample of the depth, and the doubt about it where it is guessed.

    Args:
        darkest: The smallest colour sample of the image.
        brightest: The largest colour sample of the image.
        low: The smallest sample that the file declares.
        high: The largest sample that the file declares; None where it does not say.
        bits: The significant bits that the file declares; None where it does not say.

    Raises:
        UnusableImageError: The samples do not fit into 16 bits.
    """
    if darkest < 0 or brightest > 65535:
        raise UnusableImageError("gray samples outside 0 to 65535 have no fixed range; save it as 8 or 16 bit")
    if high is not None and low < high:
        return low, high, []
    depth = next(depth for depth in sorted({*_DEPTHS, bits or 16}) if brightest < 2**depth)
    guessed = depth < 16 and depth != bits
    doubt = f"its brightest sample is {brightest:,} of 65,535, so it was read as {depth} bits"
    return 0, 2**depth - 1, [doubt] if guessed else []


def _is_deep_colour(image: Image.Image, data: bytes) -> bool:
    """Returns whether the colour samples have 16 bits, of which Pillow would keep the upper 8 only."""
    if isinstance(image, PngImagePlugin.PngImageFile):
        return data[24] == 16 and data[25] in _PNG_COLOUR_TYPES
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        bits = image.tag_v2.get(_BITS_PER_SAMPLE, (8,))
        if len(bits) < 3 or max(bits) <= 8:
            return False
        if _tag(image, _PLANAR, 1) == _SEPARATE:
            raise UnusableImageError("its samples of more than 8 bits lie in a plane for each colour; interleave them")
        return True
    return False


def _deep_samples(data: bytes, frame: int) -> np.ndarray:
    """Returns the samples of a colour image of 16 bits, uint16 (height, width, 3 or 4), RGB or RGBA."""
    found, pages = cv2.imdecodemulti(
        np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION, range=(frame, frame + 1)
    )
    if not found or pages[0].ndim != 3 or pages[0].dtype != np.uint16:
        raise UnusableImageError("its colour samples of more than 8 bits cannot be read; save it as 8 bit")
    return cv2.cvtColor(pages[0], cv2.COLOR_BGR2RGB if pages[0].shape[2] == 3 else cv2.COLOR_BGRA2RGBA)


def flatness_step(height: int, width: int) -> int:
    """Returns the distance of the rows and columns that `flatness` is computed from."""
    return max(min(height, width) // 64, 1)


def flatness(pixels: np.ndarray) -> list[str]:
    """Returns a doubt about an image that shows nothing, such as a lens cap; else an empty list.

    Args:
        pixels: Every `flatness_step`-th row and column of the image, (h, w, 3) uint8.
    """
    brightness = pixels.mean(axis=2, dtype=np.float32)
    first, last = np.quantile(brightness, (0.01, 0.99))
    if brightness.std() >= FLAT and last > DARK and first < BRIGHT:
        return []
    return [f"it is nearly one colour (brightness {first:.0f} to {last:.0f} of 255)"]
