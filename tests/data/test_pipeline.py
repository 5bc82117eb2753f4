"""Batches of pixels: fixed shapes, every image once, a new order each epoch that a seed repeats."""

import threading
from pathlib import Path

import numpy as np
import pytest

from crackexp.data.images.cache import ImageCache
from crackexp.data.images.decode import load_image
from crackexp.data.images.pixels import resize
from crackexp.data.index import ImageIndex
from crackexp.data.pipeline import image_batches, training_batches
from crackexp.data.sources import ImageFolder
from crackexp.utils.seeds import generator


@pytest.fixture
def index(patches: Path, tmp_path: Path) -> ImageIndex:
    folder = ImageFolder(name="p", path=str(patches), positive=None, limit=22, on_bad_file="error", cache=str(tmp_path))
    return folder.prepare()


def order(epoch: int) -> np.ndarray:
    return generator(0, "shuffle", epoch).permutation(22)


def test_evaluation_yields_each_image_once_in_order_and_fills_the_last_batch_up(index: ImageIndex) -> None:
    batches = list(image_batches(index, 32, 8))
    assert [batch.shape for batch in batches] == [(8, 32, 32, 3)] * 3
    assert {batch.dtype for batch in batches} == {np.dtype("uint8")}
    images = np.concatenate(batches)
    for row in range(22):
        np.testing.assert_array_equal(images[row], resize(load_image(index.path(row)), 32))
    assert not images[22:].any()


def test_small_batches_keep_many_cores_busy(index: ImageIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = np.concatenate(list(image_batches(index, 32, 2)))
    monkeypatch.setattr("loky.cpu_count", lambda: 11)
    loading = threading.Barrier(11)

    def view(image: np.ndarray, digest: str) -> np.ndarray:
        loading.wait(timeout=60)
        return image

    np.testing.assert_array_equal(np.concatenate(list(image_batches(index, 32, 2, view))), expected)


def test_training_yields_whole_batches_of_shuffled_epochs_as_one_stream(index: ImageIndex) -> None:
    weights = np.arange(22, dtype=np.float32)
    stream = training_batches(index, 32, 8, 3, order, lambda epoch: lambda image, digest: image, weights)
    batches = list(stream)
    assert [batch[0].shape for batch in batches] == [(8, 32, 32, 3)] * 6
    seen = np.concatenate([batch[2] for batch in batches]).astype(int)
    for epoch in range(3):
        np.testing.assert_array_equal(seen[epoch * 16 : (epoch + 1) * 16], order(epoch)[:16])
    labels = np.concatenate([batch[1] for batch in batches])
    np.testing.assert_array_equal(labels, index.labels[seen])
    assert (order(0) != order(1)).any()


def test_a_stream_may_begin_at_a_later_epoch(index: ImageIndex) -> None:
    def mark(epoch: int):
        return lambda image, digest: np.full_like(image, epoch)

    weights = np.arange(22, dtype=np.float32)
    first = next(training_batches(index, 32, 8, 1, order, mark, weights, first_epoch=5))
    np.testing.assert_array_equal(first[2].astype(int), order(5)[:8])
    assert (first[0] == 5).all()


def test_a_stream_may_begin_within_an_epoch(index: ImageIndex) -> None:
    weights = np.arange(22, dtype=np.float32)
    arguments = (index, 32, 8, 2, order, lambda epoch: lambda image, digest: image, weights)
    whole, rest = list(training_batches(*arguments)), list(training_batches(*arguments, first_batch=1))
    assert len(rest) == len(whole) - 1
    for one, other in zip(rest, whole[1:], strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_batches_are_equal_with_and_without_a_cache_of_images(index: ImageIndex, tmp_path: Path) -> None:
    def view(image: np.ndarray, digest: str) -> np.ndarray:
        return 255 - image

    def read(cache: ImageCache | None) -> list[np.ndarray]:
        evaluated = [batch for one in (None, view) for batch in image_batches(index, 32, 8, one, cache)]
        trained = training_batches(index, 32, 8, 2, order, lambda epoch: view, np.ones(22, np.float32), cache=cache)
        return [*evaluated, *(array for batch in trained for array in batch)]

    plain = read(None)
    for _ in range(2):
        for mine, expected in zip(read(ImageCache(32, tmp_path, 1e9)), plain, strict=True):
            np.testing.assert_array_equal(mine, expected)
    assert len(list((tmp_path / "images").rglob("*.json"))) == 1


def test_images_of_an_epoch_are_stored_before_its_last_batch_is_trained_on(index: ImageIndex, tmp_path: Path) -> None:
    cache = ImageCache(32, tmp_path, 1e9)
    weights = np.ones(22, np.float32)
    stream = training_batches(index, 32, 8, 1, order, lambda epoch: lambda image, digest: image, weights, cache=cache)
    next(stream)
    next(stream)
    assert list((tmp_path / "images").rglob("*.json"))
