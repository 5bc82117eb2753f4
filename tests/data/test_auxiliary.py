"""Other datasets in train: whose images, with which labels and weights, in which order."""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from crackexp.data.augmentation import Augmentation
from crackexp.data.auxiliary import AuxiliaryDataset
from crackexp.data.datamodule import DataModule
from crackexp.data.sources import ImageFolder
from crackexp.data.splits.ratio_split import RatioSplit
from crackexp.utils.errors import DataError

MakeData = Callable[..., DataModule]


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., ImageFolder]:
    def make(path: Path, name: str, positive: str | None = None) -> ImageFolder:
        return ImageFolder(
            name=name, path=path, positive=positive, limit=None, on_bad_file="error", cache=tmp_path / "cache"
        )

    return make


@pytest.fixture
def make_data(tmp_path: Path, draw_tree: Callable[..., Path], folder: Callable[..., ImageFolder]) -> MakeData:
    """Makes a datamodule of 10 sound and 10 cracked images, 6 of each to train, with others mixed in."""
    root = draw_tree(tmp_path / "main", {"Negative": 10, "Positive": 10})

    def make(*mix: AuxiliaryDataset, batch_size: int = 4) -> DataModule:
        split = RatioSplit(ratio=[0.6, 0.2, 0.2], seed=1337, cache=str(tmp_path / "cache"))
        data = DataModule(folder(root, "main"), split, Augmentation({}, None), 32, batch_size, 0, mix)
        data.prepare()
        data.setup()
        return data

    return make


@pytest.fixture
def site(tmp_path: Path, draw_tree: Callable[..., Path]) -> Path:
    """A folder of 3 sound and 6 cracked images with class names of its own."""
    return draw_tree(tmp_path / "site", {"crack": 6, "sound": 3})


def test_mixed_images_are_added_to_train_alone(
    make_data: MakeData, folder: Callable[..., ImageFolder], site: Path
) -> None:
    plain, mixed = make_data(), make_data(AuxiliaryDataset(folder(site, "site"), 0.5))
    assert len(plain.train) == 12
    assert len(mixed.train) == 21
    assert mixed.steps_per_epoch == 5
    assert sorted(mixed.order(0)) == list(range(21))
    for part in ("val", "test"):
        np.testing.assert_array_equal(getattr(mixed, part).digests, getattr(plain, part).digests)
    assert mixed.split.key == plain.split.key
    np.testing.assert_array_equal(mixed.train.digests[:12], plain.train.digests)
    for row in range(12, 21):
        cracked = mixed.train.path(row).parent.name == "crack"
        assert mixed.train.damaged[row] == cracked
    images = np.concatenate(list(mixed.images(mixed.train, 7)))
    np.testing.assert_array_equal(images[:12], np.concatenate(list(plain.images(plain.train, 12))))


def test_each_image_weighs_what_its_dataset_does(
    make_data: MakeData, folder: Callable[..., ImageFolder], site: Path
) -> None:
    data = make_data(AuxiliaryDataset(folder(site, "site"), 0.25))
    np.testing.assert_array_equal(data.weights, [1] * 12 + [0.25] * 9)
    assert data.weights.dtype == np.float32
    batches = list(data.train_batches(1, 0, data.weights))
    seen = np.concatenate([weights for _, _, weights in batches])
    np.testing.assert_array_equal(seen, data.weights[data.order(0)[:20]])


def test_balanced_classes_count_the_same_with_all_weights(
    make_data: MakeData, folder: Callable[..., ImageFolder], site: Path
) -> None:
    data = make_data(AuxiliaryDataset(folder(site, "site"), 2.0))
    weights = data.weights * data.class_weights()[data.train.labels]
    sums = np.bincount(data.train.labels, weights)
    np.testing.assert_allclose(sums, data.weights.sum() / 2, rtol=1e-6)
    almost_none = make_data(AuxiliaryDataset(folder(site, "site"), 1e-7))
    np.testing.assert_allclose(almost_none.class_weights(), make_data().class_weights(), rtol=1e-6)


def test_images_of_val_and_test_are_left_out_and_counted(
    make_data: MakeData, folder: Callable[..., ImageFolder], site: Path, caplog: pytest.LogCaptureFixture
) -> None:
    held = make_data()
    for number, (part, row) in enumerate([(held.val, 0), (held.val, 3), (held.test, 1), (held.train, 0)]):
        shutil.copy(part.path(row), site / "crack" / f"copy{number}.jpg")
    with caplog.at_level(logging.WARNING):
        data = make_data(AuxiliaryDataset(folder(site, "site"), 1))
    assert "left out 3 of 13 images of site: they are in val or test" in caplog.text
    assert len(data.train) == 12 + 10
    assert not np.isin(data.train.digests, [*data.val.digests, *data.test.digests]).any()


def test_a_dataset_of_which_nothing_is_left_is_refused(
    make_data: MakeData, folder: Callable[..., ImageFolder], tmp_path: Path
) -> None:
    held = make_data().test
    for row in range(len(held)):
        copied = tmp_path / "copy" / held.class_names[held.labels[row]] / f"{row}.jpg"
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(held.path(row), copied)
    with pytest.raises(DataError, match=r"All images .* in val or test.*Received: copy of 4 images in mix"):
        make_data(AuxiliaryDataset(folder(tmp_path / "copy", "copy"), 1))


def test_classes_that_do_not_match_are_refused(
    make_data: MakeData, folder: Callable[..., ImageFolder], tmp_path: Path, draw_tree: Callable[..., Path]
) -> None:
    root = draw_tree(tmp_path / "three", {"crack": 1, "spall": 1, "sound": 1})
    with pytest.raises(DataError, match=r"three in mix: .*Received: crack, sound, spall"):
        make_data(AuxiliaryDataset(folder(root, "three", "crack"), 1))


def test_the_fingerprint_covers_the_content_of_all(
    make_data: MakeData, folder: Callable[..., ImageFolder], site: Path, tmp_path: Path
) -> None:
    plain, mixed = make_data(), make_data(AuxiliaryDataset(folder(site, "site"), 1))
    assert plain.fingerprint == plain.index.fingerprint != mixed.fingerprint
    moved = shutil.copytree(site, tmp_path / "moved")
    assert make_data(AuxiliaryDataset(folder(moved, "site"), 1)).fingerprint == mixed.fingerprint
    (moved / "crack" / "00000.jpg").unlink()
    assert make_data(AuxiliaryDataset(folder(moved, "site"), 1)).fingerprint != mixed.fingerprint


def test_a_batch_may_be_as_large_as_the_whole_train(
    make_data: MakeData, folder: Callable[..., ImageFolder], site: Path
) -> None:
    assert make_data(AuxiliaryDataset(folder(site, "site"), 1), batch_size=21).steps_per_epoch == 1
    with pytest.raises(DataError, match="21 training images"):
        make_data(AuxiliaryDataset(folder(site, "site"), 1), batch_size=22)
