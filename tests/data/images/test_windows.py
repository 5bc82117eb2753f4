"""A photo that is read a band at a time has the pixels of one that is read whole."""

import logging
import struct
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import pyvips
from PIL import Image

from crackexp.data.images.decode import ImageError, load_image, read_image
from crackexp.data.images.windows import WholePhoto, WindowedPhoto, open_photo
from crackexp.utils.seeds import generator
from tests.odd_names import ODD, draw_oddly_named

HEIGHT, WIDTH = 150, 217
Save = Callable[[Path], None]


def scene(channels: int = 3) -> np.ndarray:
    """A gradient on the left, noise on the right."""
    rng = generator(0, "windows test")
    pixels = rng.integers(0, 256, (HEIGHT, WIDTH, channels), np.uint8)
    pixels[:, :100] = np.linspace(0, 255, HEIGHT)[:, None, None] + np.arange(channels)
    return pixels


def pillow(mode: str = "RGB", **options: object) -> Save:
    channels = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}
    if mode in channels:
        image = Image.fromarray(scene(channels[mode]).squeeze())
    elif mode == "I;16":
        image = Image.fromarray(scene(1)[..., 0].astype(np.uint16) * 251)
    else:
        image = Image.fromarray(scene()).convert(mode)
    return lambda path: image.save(path, **options)


def vips(**options: object) -> Save:
    return lambda path: pyvips.Image.new_from_array(scene()).write_to_file(str(path), **options)


def vips_gray(kind: type[np.generic], factor: int) -> Save:
    return lambda path: pyvips.Image.new_from_array(scene(1)[..., 0].astype(kind) * factor).write_to_file(str(path))


def deep(bits: int, channels: int, **tags: object) -> Save:
    """Samples of `bits` in a file of 16 bits a sample."""

    def save(path: Path) -> None:
        samples = generator(0, "windows test").integers(0, 2**bits, (HEIGHT, WIDTH, channels), np.uint16)
        samples[..., 3:] *= 2 ** (16 - bits)
        samples[-1, -1, :] = 2**bits - 1
        if channels == 1:
            Image.fromarray(samples[..., 0]).save(path, **tags)
        else:
            pyvips.Image.new_from_array(samples).copy(interpretation="rgb16").write_to_file(str(path))

    return save


def extra_samples(kind: int) -> Save:
    """A TIFF whose fourth sample is of a kind: 0 nothing, 1 opacity that the colours are multiplied with."""

    def save(path: Path) -> None:
        pixels = scene(4)
        pixels[..., :3] = pixels[..., :3].astype(int) * pixels[..., 3:] // 255
        Image.fromarray(pixels).save(path)
        data = bytearray(path.read_bytes())
        data[data.find(struct.pack("<HH", 338, 3)) + 8] = kind
        path.write_bytes(data)

    return save


KINDS: dict[str, Save] = {
    "rgb.png": pillow(),
    "gray.png": pillow("L"),
    "two colours.png": pillow("1"),
    "palette.png": pillow("P"),
    "clear colour of a palette.png": pillow("P", transparency=3),
    "clear colour.png": pillow(transparency=(10, 11, 12)),
    "opacity.png": pillow("RGBA"),
    "gray with opacity.png": pillow("LA"),
    "16 bit.png": pillow("I;16"),
    "4-4-4.jpg": pillow(quality=85, subsampling=0),
    "4-2-2.jpg": pillow(quality=85, subsampling=1),
    "4-2-0.jpg": pillow(quality=85, subsampling=2),
    "gray.jpg": pillow("L"),
    "cmyk.jpg": pillow("CMYK"),
    "rgb.tif": pillow(),
    "deflate.tif": pillow(compression="tiff_deflate"),
    "jpeg in strips.tif": pillow(compression="jpeg"),
    "gray.tif": pillow("L", compression="tiff_lzw"),
    "white is zero.tif": pillow("L", tiffinfo={262: 0}),
    "two colours.tif": pillow("1", compression="group4"),
    "palette.tif": pillow("P"),
    "opacity.tif": pillow("RGBA"),
    "a fourth sample.tif": extra_samples(0),
    "cmyk.tif": pillow("CMYK"),
    "16 bit.tif": pillow("I;16"),
    "12 bit gray.png": deep(12, 1),
    "12 bit gray.tif": deep(12, 1),
    "white is zero in 16 bit.tif": pillow("I;16", tiffinfo={262: 0}),
    "white is zero in 12 bit.tif": deep(12, 1, tiffinfo={262: 0}),
    "signed 16 bit.tif": vips_gray(np.int16, 127),
    "unsigned 32 bit.tif": vips_gray(np.uint32, 251),
    "clear shade of 16 bit.png": pillow("I;16", transparency=251 * 7),
    "declared gray.tif": deep(12, 1, tiffinfo={281: 5000}),
    "16 bit colours.png": deep(16, 3),
    "16 bit colours.tif": deep(16, 3),
    "10 bit colours.png": deep(10, 3),
    "10 bit colours with opacity.png": deep(10, 4),
    "16 bit colours with opacity.tif": deep(16, 4),
    "32 bit gray.tif": lambda path: Image.fromarray(scene(1)[..., 0].astype(np.int32) * 99).save(path),
    "one colour.png": lambda path: Image.new("RGB", (WIDTH, HEIGHT), (9, 9, 9)).save(path),
    "BigTIFF.tif": vips(bigtiff=True, compression="lzw"),
    "tiles.tif": vips(tile=True, tile_width=64, tile_height=64, compression="deflate", predictor="horizontal"),
    "jpeg in tiles.tif": vips(tile=True, compression="jpeg"),
    "pyramid.tif": vips(tile=True, pyramid=True, tile_width=32, tile_height=32),
}


def read(photo: WindowedPhoto, step: int = 40, side: int = 64) -> np.ndarray:
    """Reads overlapping bands as the tiles of a survey do, and returns the photo that they make together."""
    pixels = np.zeros((photo.height, photo.width, 3), np.uint8)
    for top in [*range(0, photo.height - side, step), photo.height - side]:
        pixels[top : top + side] = photo.rows(top, top + side)
    return pixels


@pytest.mark.parametrize("name", KINDS)
def test_pixels_are_those_of_the_whole_photo(name: str, tmp_path: Path) -> None:
    KINDS[name](tmp_path / name)
    photo, whole = WindowedPhoto(tmp_path / name), read_image(tmp_path / name)
    np.testing.assert_array_equal(read(photo), whole.pixels)
    assert photo.doubts == whole.doubts


def test_premultiplied_colours_are_divided_by_their_opacity(tmp_path: Path) -> None:
    """libtiff rounds a quotient otherwise than Pillow."""
    extra_samples(1)(tmp_path / "a.tif")
    difference = read(WindowedPhoto(tmp_path / "a.tif")).astype(int) - load_image(tmp_path / "a.tif")
    assert np.abs(difference).max() <= 1
    assert np.mean(difference != 0) < 0.001


def test_each_page_is_read_by_its_number(tmp_path: Path) -> None:
    pages = [Image.fromarray(scene()), Image.fromarray(scene()[::-1, :200])]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    for number, page in enumerate(pages):
        np.testing.assert_array_equal(read(WindowedPhoto(tmp_path / "a.tif", number)), np.asarray(page))


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_a_turned_photo_is_upright(orientation: int, suffix: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned.{suffix}"
    Image.fromarray(scene()).save(path, exif=exif)
    np.testing.assert_array_equal(read(WindowedPhoto(path)), load_image(path))


def test_a_turned_photo_of_16_bit_colours_is_upright(tmp_path: Path) -> None:
    deep(16, 3)(tmp_path / "a.tif")
    stored, image = load_image(tmp_path / "a.tif"), pyvips.Image.new_from_file(str(tmp_path / "a.tif")).copy()
    image.set_type(pyvips.GValue.gint_type, "orientation", 6)
    image.write_to_file(str(tmp_path / "turned.tif"))
    np.testing.assert_array_equal(load_image(tmp_path / "turned.tif"), np.rot90(stored, -1))
    np.testing.assert_array_equal(read(WindowedPhoto(tmp_path / "turned.tif")), np.rot90(stored, -1))


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_an_orientation_that_exif_does_not_know_turns_nothing(suffix: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 9
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(scene()).save(path, exif=exif)
    np.testing.assert_array_equal(read(WindowedPhoto(path)), load_image(path))


def test_the_picture_is_the_mean_of_squares_and_small(tmp_path: Path) -> None:
    Image.fromarray(scene()).save(tmp_path / "a.png")
    photo = WindowedPhoto(tmp_path / "a.png", picture_side=50)
    read(photo)
    assert photo.reduction == 5
    assert photo.picture.shape == (30, 44, 3)
    squares = scene()[:, :215].reshape(30, 5, 43, 5, 3).mean(axis=(1, 3))
    assert np.abs(photo.picture[:, :43] - squares).max() <= 0.5
    np.testing.assert_allclose(photo.picture[:, 43], scene()[:, 215:].reshape(30, 5, 2, 3).mean((1, 2)), atol=90)


def test_a_photo_is_opened_whole_up_to_a_size(tmp_path: Path) -> None:
    Image.fromarray(scene()).save(tmp_path / "a.png")
    assert isinstance(open_photo(tmp_path / "a.png", max_pixels=HEIGHT * WIDTH), WholePhoto)
    assert isinstance(open_photo(tmp_path / "a.png", max_pixels=HEIGHT * WIDTH - 1), WindowedPhoto)


def test_a_file_that_was_replaced_is_read_anew(tmp_path: Path) -> None:
    for shade in (10, 200):
        Image.new("RGB", (80, 80), (shade,) * 3).save(tmp_path / "a.png")
        assert (read(WindowedPhoto(tmp_path / "a.png")) == shade).all()


def test_a_file_of_any_name_is_read(tmp_path: Path) -> None:
    for file in draw_oddly_named(tmp_path, (*ODD, "wall[page=3].png"), side=80):
        np.testing.assert_array_equal(read(WindowedPhoto(file)), load_image(file))
    bracketed = file.rename(tmp_path / "wall.png[page=3]")
    np.testing.assert_array_equal(read(WindowedPhoto(bracketed)), load_image(bracketed))


def large(path: Path) -> bytes:
    """Writes an image of some hundred rows of blocks or tiles and returns its bytes."""
    rng = generator(0, "damaged windows")
    pixels = rng.integers(0, 256, (2000, 600, 3), np.uint8)
    if path.stem == "tiles":
        pyvips.Image.new_from_array(pixels).write_to_file(str(path), tile=True, compression="deflate")
    else:
        Image.fromarray(pixels).save(path, **({"compression": "tiff_deflate"} if path.suffix == ".tif" else {}))
    return path.read_bytes()


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "strips.tif", "tiles.tif"])
def test_a_damaged_photo_is_refused_with_a_reason(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    data = large(path)
    middle = len(data) // 2
    broken = data[:middle] if path.suffix == ".jpg" else data[:middle] + bytes(3000) + data[middle + 3000 :]
    path.write_bytes(broken)
    with caplog.at_level(logging.DEBUG), pytest.raises(ImageError, match="cannot be decoded to its end") as caught:
        read(WindowedPhoto(path))
    assert "\n" not in caught.value.reason
    assert not [record for record in caplog.records if record.name.startswith("pyvips")]
    assert "VIPS" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("a.jpg", {"progressive": True}, "progressive"),
        ("a.bmp", {}, "BMP file of this size"),
        ("a.webp", {}, "WEBP file of this size"),
        ("ycbcr.tif", {}, "YCbCr"),
    ],
)
def test_what_cannot_be_read_in_bands_is_refused(
    name: str, options: dict[str, bool], reason: str, tmp_path: Path
) -> None:
    Image.fromarray(scene()).convert("YCbCr" if name == "ycbcr.tif" else "RGB").save(tmp_path / name, **options)
    with pytest.raises(ImageError, match=reason):
        WindowedPhoto(tmp_path / name)


def test_an_interlaced_png_and_float_pixels_are_refused(tmp_path: Path) -> None:
    pyvips.Image.new_from_array(scene()).write_to_file(str(tmp_path / "a.png"), interlace=True)
    with pytest.raises(ImageError, match="interlaced"):
        WindowedPhoto(tmp_path / "a.png")
    Image.fromarray(np.ones((80, 80), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(ImageError, match="float"):
        read(WindowedPhoto(tmp_path / "a.tif"))


def test_tags_that_nobody_knows_are_no_damage(tmp_path: Path) -> None:
    """A map's TIFF has tags of its own, of which libtiff warns."""
    from PIL import TiffImagePlugin

    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[33550], tags.tagtype[33550] = (0.01, 0.01, 0.0), 12
    tags[65000], tags.tagtype[65000] = "nobody knows", 2
    Image.fromarray(scene()).save(tmp_path / "map.tif", tiffinfo=tags, compression="tiff_deflate")
    np.testing.assert_array_equal(read(WindowedPhoto(tmp_path / "map.tif")), scene())


def test_a_large_file_tells_its_size_before_its_bytes_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cv2.imwrite(str(tmp_path / "a.bmp"), scene())
    Image.fromarray(scene()).save(tmp_path / "a.tif")
    (tmp_path / "text.tif").write_text("no image" * 1000)
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail("all bytes were read"))
    for name in ("a.bmp", "a.tif"):
        with pytest.raises(ImageError, match="217 x 150 pixels are more than 5,000; crackexp"):
            read_image(tmp_path / name, max_pixels=5000)
    with pytest.raises(ImageError, match="not a JPEG"):
        read_image(tmp_path / "text.tif", max_pixels=5000)
