"""Depths, pages and kinds of image files: what is read, and what is said to be in doubt."""

import io
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
import pyvips
from PIL import Image, PngImagePlugin, TiffImagePlugin

from crackexp.data.images.headers import count_pages
from crackexp.data.images.pixels import UnusableImageError, decode
from crackexp.data.synthetic import draw_patch
from crackexp.utils.seeds import generator

HEIC = Path(__file__).parents[1] / "fixtures" / "heic"


def samples(bits: int, *shape: int) -> np.ndarray:
    """Returns noise that reaches the brightest sample of a depth."""
    noise = generator(0, "pixels test", bits).integers(0, 2**bits, shape, dtype=np.uint16)
    noise.reshape(-1)[0] = 2**bits - 1
    return noise


def scaled(values: np.ndarray, white: int) -> np.ndarray:
    return np.floor(values.astype(np.float64) * 255 / white + 0.5).astype(np.uint8)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def tiff(values: np.ndarray) -> bytes:
    return pyvips.Image.new_from_array(values).tiffsave_buffer()


def png(values: np.ndarray) -> bytes:
    return cv2.imencode(".png", values)[1].tobytes()


@pytest.mark.parametrize(("bits", "doubted"), [(8, True), (10, True), (12, True), (14, True), (16, False)])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_gray_of_fewer_bits_in_a_16_bit_file_is_scaled_and_doubted(bits: int, doubted: bool, kind: str) -> None:
    values = samples(bits, 20, 30)
    found = decode(saved(Image.fromarray(values), kind))
    np.testing.assert_array_equal(found.pixels[..., 2], scaled(values, 2**bits - 1))
    assert any(f"{bits} bits" in doubt for doubt in found.doubts) == doubted
    assert len(found.doubts) == doubted


@pytest.mark.parametrize("bits", [10, 12, 16])
@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_colour_of_fewer_bits_in_a_16_bit_file_is_scaled_too(bits: int, channels: int, suffix: str) -> None:
    values = samples(bits, 20, 30, channels)
    values[..., 3:] = 65535
    found = decode(cv2.imencode(suffix, values)[1].tobytes())
    np.testing.assert_array_equal(found.pixels, scaled(values[..., 2::-1], 2**bits - 1))
    assert len(found.doubts) == (bits < 16)


def test_the_same_picture_in_8_12_and_16_bits_is_the_same() -> None:
    patch = draw_patch(3, 1, True, 64).mean(axis=2).astype(np.int64)
    patch[0, 0] = 255
    eight = decode(saved(Image.fromarray(patch.astype(np.uint8)), "PNG")).pixels
    for bits in (12, 16):
        deep = np.rint(patch * (2**bits - 1) / 255).astype(np.uint16)
        np.testing.assert_array_equal(decode(png(deep)).pixels, eight)


def test_a_png_that_declares_its_bits_is_not_doubted() -> None:
    values = samples(12, 20, 30) // 3
    info = PngImagePlugin.PngInfo()
    info.add(b"sBIT", b"\x0c")
    found = decode(saved(Image.fromarray(values), "PNG", pnginfo=info))
    np.testing.assert_array_equal(found.pixels[..., 0], scaled(values, 4095))
    assert found.doubts == ()


def test_a_png_that_declares_its_bits_and_is_scaled_up_is_read_so() -> None:
    """The PNG specification asks for samples that fill the depth of the file, whatever sBIT says."""
    values = samples(12, 20, 30) * 16
    info = PngImagePlugin.PngInfo()
    info.add(b"sBIT", b"\x0c")
    found = decode(saved(Image.fromarray(values), "PNG", pnginfo=info))
    np.testing.assert_array_equal(found.pixels[..., 0], scaled(values, 65535))


@pytest.mark.parametrize("tags", [{281: 3000}, {340: 500, 341: 3500}])
def test_a_tiff_that_declares_its_range_is_scaled_by_it(tags: dict[int, int]) -> None:
    values = samples(11, 20, 30)
    found = decode(saved(Image.fromarray(values), "TIFF", tiffinfo=tags))
    low, high = tags.get(340, 0), tags.get(341, tags.get(281, 0))
    expected = scaled(np.clip(values.astype(int) - low, 0, high - low), high - low)
    np.testing.assert_array_equal(found.pixels[..., 0], expected)
    assert found.doubts == ()


@pytest.mark.parametrize("kind", ["AVIF", "GIF", "JPEG2000", "WEBP"])
def test_other_kinds_of_images_are_read(kind: str) -> None:
    patch = draw_patch(3, 1, True, 64)
    pixels = decode(saved(Image.fromarray(patch), kind)).pixels
    assert pixels.shape == patch.shape
    assert np.abs(pixels.astype(int) - patch).mean() < 12


def test_heic_is_read_upright() -> None:
    found = decode((HEIC / "one.heic").read_bytes())
    patch = np.rot90(draw_patch(7, 1, True, 64)[:48], -1)
    assert found.pixels.shape == (64, 48, 3)
    assert np.abs(found.pixels.astype(int) - patch).mean() < 6


@pytest.mark.parametrize("kind", ["TIFF", "GIF", "WEBP", "AVIF", "PNG"])
def test_each_page_is_read_by_its_number(kind: str) -> None:
    pages = [Image.fromarray(draw_patch(3, number, True, 64)) for number in range(3)]
    data = saved(pages[0], kind, save_all=True, append_images=pages[1:])
    assert count_pages(io.BytesIO(data)) == 3
    for number, page in enumerate(pages):
        found = decode(data, page=number)
        assert found.pages == 3
        assert np.abs(found.pixels.astype(int) - np.asarray(page)).mean() < 15
    with pytest.raises(UnusableImageError, match="no page 4"):
        decode(data, page=3)


def test_each_page_of_a_multi_picture_jpeg_and_of_heic_is_read() -> None:
    pages = [Image.fromarray(draw_patch(3, number, True, 64)) for number in range(2)]
    mpo = saved(pages[0], "MPO", save_all=True, append_images=pages[1:])
    for data in (mpo, (HEIC / "two.heic").read_bytes()):
        assert count_pages(io.BytesIO(data)) == 2
        first, second = (decode(data, page=number).pixels.astype(int) for number in range(2))
        assert np.abs(first - second).mean() > 4


def test_a_16_bit_page_is_read_by_its_number() -> None:
    values = [samples(16, 20, 30, 3), samples(16, 20, 30, 3) // 2 + 20000]
    found, data = cv2.imencodemulti(".tif", values)
    assert found
    for number, page in enumerate(values):
        np.testing.assert_array_equal(decode(data.tobytes(), page=number).pixels, scaled(page[..., ::-1], 65535))


@pytest.mark.parametrize("tag", [{254: 1}, {255: 2}])
@pytest.mark.parametrize("first", [True, False])
def test_a_reduced_copy_in_a_tiff_is_no_page(tag: dict[int, int], first: bool) -> None:
    image = Image.fromarray(draw_patch(3, 1, True, 64))
    small = image.resize((16, 16))
    image.encoderinfo, small.encoderinfo = {"tiffinfo": {254: 0}}, {"tiffinfo": tag}
    one, other = (small, image) if first else (image, small)
    data = saved(one, "TIFF", save_all=True, append_images=[other], tiffinfo=tag if first else {254: 0})
    with Image.open(io.BytesIO(data)) as opened:
        assert opened.n_frames == 2
    assert count_pages(io.BytesIO(data)) == 1
    found = decode(data)
    assert found.pages == 1
    np.testing.assert_array_equal(found.pixels, np.asarray(image))


@pytest.mark.parametrize("tags", [{254: 1, 330: (8,)}, {50706: b"\1\4\0\0"}])
def test_the_thumbnail_of_a_camera_raw_file_is_not_taken_for_the_photo(tags: dict[int, object]) -> None:
    info = TiffImagePlugin.ImageFileDirectory_v2()
    for number, value in tags.items():
        info[number] = value
    info.tagtype |= {330: 4} if 330 in tags else {}
    with pytest.raises(UnusableImageError, match="camera raw"):
        decode(saved(Image.fromarray(draw_patch(3, 1, True, 64)), "TIFF", tiffinfo=info))


@pytest.mark.parametrize("bits", [12, 16])
def test_a_deep_tiff_in_which_white_is_zero_is_a_positive(bits: int) -> None:
    values = samples(bits, 20, 30)
    found = decode(saved(Image.fromarray(values), "TIFF", tiffinfo={262: 0}))
    np.testing.assert_array_equal(found.pixels[..., 0], scaled(2**bits - 1 - values.astype(int), 2**bits - 1))


@pytest.mark.parametrize("bits", [12, 15])
def test_signed_samples_of_16_bits_are_scaled_by_what_they_can_hold(bits: int) -> None:
    values = samples(bits, 20, 30).astype(np.int16)
    found = decode(tiff(values))
    np.testing.assert_array_equal(found.pixels[..., 0], scaled(values, 2**bits - 1))
    assert len(found.doubts) == (bits < 15)


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.arange(-50, 50, dtype=np.int8).reshape(10, 10), "signed 8-bit"),
        (np.arange(-50, 50, dtype=np.int16).reshape(10, 10), "no fixed range"),
        (np.arange(100, dtype=np.uint32).reshape(10, 10) * 40_000_000, "no fixed range"),
        (np.arange(100, dtype=np.float64).reshape(10, 10), "rare kind"),
    ],
)
def test_samples_without_a_known_range_are_refused(samples: np.ndarray, reason: str) -> None:
    with pytest.raises(UnusableImageError, match=reason):
        decode(tiff(samples))


def test_planes_of_16_bits_are_refused() -> None:
    """OpenCV would read them as noise."""
    data = bytearray(tiff(samples(16, 20, 30, 3)))
    tag = data.find(struct.pack("<HHI", 284, 3, 1))
    data[tag + 8] = 2
    with pytest.raises(UnusableImageError, match="plane"):
        decode(bytes(data))


def test_a_transparent_shade_of_16_bits_is_laid_over_white() -> None:
    values = samples(16, 20, 30)
    values[5] = 777
    found = decode(saved(Image.fromarray(values), "PNG", transparency=777))
    assert (found.pixels[5] == 255).all()
    np.testing.assert_array_equal(found.pixels[6, :, 1], scaled(values[6], 65535))


@pytest.mark.parametrize("level", [0, 3, 128, 252, 255])
def test_an_image_of_one_colour_is_read_and_doubted(level: int) -> None:
    noise = generator(0, "lens cap").integers(-1, 2, (64, 64, 3))
    found = decode(png(np.clip(level + noise, 0, 255).astype(np.uint8)))
    assert found.pixels.shape == (64, 64, 3)
    assert ["one colour" in doubt for doubt in found.doubts] == [True]


@pytest.mark.parametrize("cracked", [False, True])
def test_patches_of_concrete_are_not_doubted(cracked: bool) -> None:
    for number in range(20):
        assert decode(png(draw_patch(3, number, cracked, 64))).doubts == ()


def test_real_patches_and_photos_are_not_doubted(real_data: Path) -> None:
    for name in ("mendeley-sample", "sdnet2018-sample", "photos"):
        files = sorted(file for file in (real_data / name).rglob("*") if file.suffix.lower() in (".jpg", ".png"))
        for file in files[:: max(len(files) // 100, 1)]:
            assert decode(file.read_bytes()).doubts == (), file
