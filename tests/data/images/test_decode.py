import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from crackexp.data.images.decode import check_file, load_image
from crackexp.data.images.pixels import resize
from crackexp.utils.errors import DataError
from crackexp.utils.seeds import generator


def _smooth(height: int = 24, width: int = 32) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 7, y * 9, (x + y) * 4], axis=2).astype(np.uint8)


def _noise(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    rng = generator(0, "decode test")
    return rng.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def test_lossless_rgb_is_read_as_written(tmp_path: Path) -> None:
    pixels = _noise(9, 13, 3)
    for suffix in (".png", ".bmp", ".tif"):
        path = tmp_path / f"a{suffix}"
        Image.fromarray(pixels).save(path)
        np.testing.assert_array_equal(load_image(path), pixels)


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_equals_pillow(tmp_path: Path, subsampling: int, progressive: bool) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(_noise(37, 51, 3)).save(path, quality=80, subsampling=subsampling, progressive=progressive)
    with Image.open(path) as image:
        np.testing.assert_array_equal(load_image(path), np.asarray(image))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_every_exif_orientation_ends_upright(tmp_path: Path, orientation: int, suffix: str) -> None:
    upright = _smooth()
    undo = {  # how a camera held so stores the scene
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a{suffix}"
    stored = np.ascontiguousarray(undo[orientation](upright))
    Image.fromarray(stored).save(path, exif=exif, quality=98, subsampling=0)
    loaded = load_image(path)
    assert loaded.shape == upright.shape
    assert np.abs(loaded.astype(int) - upright).mean() < 2


def test_gray_is_repeated(tmp_path: Path) -> None:
    gray = _noise(6, 7)
    Image.fromarray(gray).save(tmp_path / "a.png")
    np.testing.assert_array_equal(load_image(tmp_path / "a.png"), np.repeat(gray[..., None], 3, 2))


def test_16_bit_gray_is_divided_by_257(tmp_path: Path) -> None:
    gray = _noise(40, 40, dtype=np.uint16)
    gray[0, :2] = 0, 65535
    for suffix in (".png", ".tif"):
        Image.fromarray(gray).save(tmp_path / f"a{suffix}")
        loaded = load_image(tmp_path / f"a{suffix}")
        np.testing.assert_array_equal(loaded[..., 1], np.rint(gray / 257).astype(np.uint8))
        assert (loaded[0, 0, 0], loaded[0, 1, 0]) == (0, 255)


def test_alpha_is_laid_over_white(tmp_path: Path) -> None:
    pixels = _noise(5, 6, 4)
    Image.fromarray(pixels, "RGBA").save(tmp_path / "a.png")
    alpha = pixels[..., 3:] / 255
    expected = pixels[..., :3] * alpha + 255 * (1 - alpha)
    assert np.abs(load_image(tmp_path / "a.png") - expected).max() <= 1


def test_palette_with_and_without_a_transparent_colour(tmp_path: Path) -> None:
    image = Image.new("P", (4, 3), 1)
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((0, 0), 0)
    image.save(tmp_path / "plain.png")
    image.save(tmp_path / "clear.png", transparency=0)
    plain, clear = (load_image(tmp_path / f"{name}.png") for name in ("plain", "clear"))
    np.testing.assert_array_equal(plain[0, 0], [10, 20, 30])
    np.testing.assert_array_equal(clear[0, 0], [255, 255, 255])
    np.testing.assert_array_equal(plain[2, 3], [200, 100, 50])
    np.testing.assert_array_equal(clear[2, 3], [200, 100, 50])


def test_cmyk_jpeg_keeps_its_colours(tmp_path: Path) -> None:
    colour = Image.new("RGB", (16, 16), (200, 60, 20)).convert("CMYK")
    colour.save(tmp_path / "a.jpg", quality=98)
    assert np.abs(load_image(tmp_path / "a.jpg").astype(int) - [200, 60, 20]).max() < 8


def test_names_with_spaces_and_unicode(tmp_path: Path) -> None:
    path = tmp_path / "Riß im Beton 裂縫 #1.jpg"
    Image.fromarray(_smooth()).save(path)
    assert load_image(path).shape == (24, 32, 3)


def _encoded(kind: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(_noise(64, 64, 3)).save(stream, kind)
    return stream.getvalue()


def _hollow_png(width: int, height: int) -> bytes:
    """A PNG whose header claims a size and whose pixels are missing."""

    def chunk(name: bytes, data: bytes) -> bytes:
        body = name + data
        return len(data).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "zero bytes"),
        (b"a text file\n", "not a JPEG"),
        (_encoded("JPEG")[:-1200], "truncated"),
        (_encoded("JPEG")[:100], "damaged"),
        (_encoded("PNG")[:-4000], "truncated"),
        (_encoded("PNG")[:4000] + b"\0" * 40 + _encoded("PNG")[4040:], "damaged"),
        (_hollow_png(2**15, 2**14), "pixels"),
        (_hollow_png(15000, 14000), "pixels"),
    ],
    ids=["empty", "text", "cut jpeg", "jpeg head", "cut png", "broken png", "huge", "large"],
)
def test_what_is_no_whole_image_is_refused_with_the_reason(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    assert reason in str(check_file(path).reason)
    with pytest.raises(DataError, match=reason) as caught:
        load_image(path)
    assert str(path) in str(caught.value)


def test_a_jpeg_cut_anywhere_is_refused(tmp_path: Path) -> None:
    data = _encoded("JPEG")
    path = tmp_path / "a.jpg"
    for kept in range(50, len(data) - 2, len(data) // 40):
        path.write_bytes(data[:kept])
        assert check_file(path).reason is not None, f"{kept} of {len(data)} bytes"


def test_a_108_megapixel_photo_is_not_refused_for_its_size(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(_hollow_png(12000, 9000))
    assert "truncated" in str(check_file(path).reason)


def test_float_pixels_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "a.tif")
    assert "float" in str(check_file(tmp_path / "a.tif").reason)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    assert "No such file" in str(check_file(tmp_path / "a.jpg").reason)
    with pytest.raises(DataError, match="directory"):
        load_image(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(_smooth()).save(path)
    path.chmod(0)
    assert "Permission denied" in str(check_file(path).reason)


def test_resize_keeps_an_image_of_the_right_size() -> None:
    image = _noise(20, 20, 3)
    np.testing.assert_array_equal(resize(image, 20), image)


def test_shrinking_by_four_is_the_mean_of_squares() -> None:
    image = _noise(32, 32, 3)
    mean = image.reshape(8, 4, 8, 4, 3).mean(axis=(1, 3))
    assert np.abs(resize(image, 8) - mean).max() <= 0.5


@pytest.mark.parametrize("size", [24, 45])
def test_other_sizes_are_bilinear(size: int) -> None:
    """Against bilinear interpolation at half-pixel centres, written out."""
    image = _noise(32, 32, 3).astype(float)
    place = np.clip((np.arange(size) + 0.5) * 32 / size - 0.5, 0, 31)
    low = np.minimum(place.astype(int), 30)
    part = (place - low)[:, None, None]
    rows = image[low] * (1 - part) + image[low + 1] * part
    part = part.reshape(1, -1, 1)
    expected = rows[:, low] * (1 - part) + rows[:, low + 1] * part
    assert np.abs(resize(image.astype(np.uint8), size) - expected).max() <= 1


def test_resize_squashes_an_oblong(tmp_path: Path) -> None:
    result = resize(_noise(10, 40, 3), 16)
    assert result.shape == (16, 16, 3)
    assert result.dtype == np.uint8


def test_real_images_equal_pillow(real_data: Path) -> None:
    folder = real_data / "mendeley-sample" / "Positive"
    for path in sorted(folder.iterdir())[:200]:
        with Image.open(path) as image:
            expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
        np.testing.assert_array_equal(load_image(path), expected)
