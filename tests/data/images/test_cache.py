"""Decoded images on disk: equal to the bit, within a budget, checked when they are read."""

import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from crackexp.data.images import cache as image_cache
from crackexp.data.images.cache import ImageCache
from crackexp.data.images.decode import ImageError, load_image
from crackexp.data.images.pixels import resize
from crackexp.utils import shards

SIZE = 16
BYTES = SIZE * SIZE * 3


@pytest.fixture
def files(patches: Path, tmp_path: Path) -> list[Path]:
    """Ten images that may be changed."""
    return sorted(Path(shutil.copytree(patches / "Positive", tmp_path / "files")).iterdir())[:10]


def digest(file: Path) -> str:
    return hashlib.blake2b(file.read_bytes(), digest_size=16).hexdigest()


def expected(file: Path) -> np.ndarray:
    return resize(load_image(file), SIZE)


def stored(root: Path) -> list[Path]:
    return sorted((root / "images").rglob("*.json"))


def fill(files: list[Path], root: Path, budget: float = 1e9) -> ImageCache:
    """Loads images through a new cache, and writes them."""
    images = ImageCache(SIZE, root, budget)
    for file in files:
        images.load(file, digest(file))
    images.save()
    return images


def count_decoding(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Returns a list to which each file is added that is decoded from now on."""
    decoded = []

    def load(path: Path, digest: str) -> np.ndarray:
        decoded.append(path)
        return load_image(path, digest=digest)

    monkeypatch.setattr(image_cache, "load_image", load)
    return decoded


def test_each_content_is_decoded_once_by_all_processes(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = count_decoding(monkeypatch)
    twin = shutil.copy(files[0], tmp_path / "twin.jpg")
    digests = [digest(file) for file in files]
    for number in range(3):
        images = ImageCache(SIZE, tmp_path, 1e9)
        for file, key in zip(files * 2, digests * 2, strict=True):
            np.testing.assert_array_equal(images.load(file, key), expected(file))
        np.testing.assert_array_equal(images.load(twin, digests[0]), expected(twin))
        if number == 0:
            images.save()
            np.testing.assert_array_equal(images.load(files[3], digests[3]), expected(files[3]))
    assert decoded == files
    assert len(stored(tmp_path)) == 1


def test_other_sizes_have_images_of_their_own(files: list[Path], tmp_path: Path) -> None:
    fill(files, tmp_path)
    assert ImageCache(24, tmp_path, 1e9).load(files[0], digest(files[0])).shape == (24, 24, 3)


def test_images_are_written_as_soon_as_they_fill_a_shard(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_cache, "SHARD_BYTES", 4 * BYTES)
    fill(files, tmp_path)
    assert len(stored(tmp_path)) == 3


@pytest.mark.parametrize("loaded", [True, False])
@pytest.mark.parametrize("change", ["changed", "removed", "replaced"])
def test_a_file_that_does_not_stay_the_same_is_noticed(
    files: list[Path], tmp_path: Path, change: str, loaded: bool
) -> None:
    images, key = fill(files, tmp_path), digest(files[0])
    if not loaded:
        images = ImageCache(SIZE, tmp_path, 1e9)
    if change == "changed":
        files[0].write_bytes(files[0].read_bytes()[:-1] + b"x")
    elif change == "removed":
        files[0].unlink()
    else:
        shutil.copy(files[1], files[0])
    with pytest.raises(ImageError, match="No such file" if change == "removed" else "changed since"):
        images.load(files[0], key)


def test_a_file_with_another_time_and_the_same_bytes_is_the_same(files: list[Path], tmp_path: Path) -> None:
    images = fill(files, tmp_path)
    os.utime(files[0], (1, 1))
    np.testing.assert_array_equal(images.load(files[0], digest(files[0])), expected(files[0]))


def test_what_does_not_fit_is_decoded_each_time(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_cache, "SHARD_BYTES", 2 * BYTES)
    decoded = count_decoding(monkeypatch)
    images = fill(files, tmp_path, budget=8 * BYTES)
    size = sum(file.stat().st_size for file in (tmp_path / "images").rglob("*") if file.is_file())
    assert 4 * BYTES < size <= 8 * BYTES
    for file in files:
        np.testing.assert_array_equal(images.load(file, digest(file)), expected(file))
    assert len(decoded) == 10 + 10 - 2 * len(stored(tmp_path))


def test_images_that_were_not_used_for_longest_make_room(files: list[Path], tmp_path: Path) -> None:
    places = []
    for number in range(3):
        fill(files[3 * number : 3 * number + 3], tmp_path)
        (place,) = set(stored(tmp_path)) - set(places)
        os.utime(place, (number, number))
        places.append(place)
    budget = 3 * shards.shard_size(places[0])
    ImageCache(SIZE, tmp_path, budget).load(files[0], digest(files[0]))
    fill(files[9:], tmp_path, budget)
    assert places[1] not in stored(tmp_path)
    assert {places[0], places[2]} < set(stored(tmp_path))
    fill(files[9:], tmp_path, budget=1)
    assert not stored(tmp_path)


def test_a_damaged_shard_is_named_and_its_images_are_decoded_again(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fill(files, tmp_path)
    (rows,) = (tmp_path / "images").rglob("*.rows.npy")
    content = bytearray(rows.read_bytes())
    content[-100] ^= 1
    rows.write_bytes(content)
    monkeypatch.setattr(shards, "_verified", set())
    images = ImageCache(SIZE, tmp_path, 1e9)
    for file in files:
        np.testing.assert_array_equal(images.load(file, digest(file)), expected(file))
    assert "Stored images are damaged" in caplog.text
    assert rows.stem.partition(".")[0] in caplog.text
    images.save()
    assert len(stored(tmp_path)) == 1


def test_two_processes_may_decode_the_same_images_at_once(files: list[Path], tmp_path: Path) -> None:
    one, other = ImageCache(SIZE, tmp_path, 1e9), ImageCache(SIZE, tmp_path, 1e9)
    for file in files:
        for images in (one, other):
            np.testing.assert_array_equal(images.load(file, digest(file)), expected(file))
    one.save()
    other.save()
    later = ImageCache(SIZE, tmp_path, 1e9)
    for images in (one, other, later):
        np.testing.assert_array_equal(images.load(files[0], digest(files[0])), expected(files[0]))


def test_images_that_another_process_removes_stay_readable(files: list[Path], tmp_path: Path) -> None:
    images = fill(files, tmp_path)
    shutil.rmtree(tmp_path / "images")
    for file in files:
        np.testing.assert_array_equal(images.load(file, digest(file)), expected(file))
    another = tmp_path / "files" / "020.jpg"
    images.load(another, digest(another))
    images.save()
    assert len(stored(tmp_path)) == 1
