"""The split that comes with a dataset is used as it is, and what it lacks is cut from train."""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from crackexp.data.index import ImageIndex
from crackexp.data.sources.image_folder import ImageFolder
from crackexp.data.splits.base import check_split
from crackexp.data.splits.given_split import GivenSplit, only_part
from crackexp.data.splits.grouped_split import GroupedSplit
from crackexp.data.splits.ratio_split import RatioSplit
from crackexp.data.splits.split_folder import SplitDataset
from crackexp.utils.errors import ConfigError, DataError

DrawTree = Callable[..., Path]
CLASSES = ("crack", "sound")


def dataset(path: Path, cache: Path, **options: object) -> ImageFolder:
    given = {"positive": None, "limit": None, "on_bad_file": "error", **options}
    return ImageFolder(name="folder", path=path, cache=cache, **given)


def drawn(draw_tree: DrawTree, root: Path, size: int = 32, **counts: int) -> Path:
    return draw_tree(root, {f"{part}/{name}": n for part, n in counts.items() for name in CLASSES}, size=size)


def given(index: ImageIndex, cache: Path, **options: object) -> SplitDataset:
    return GivenSplit(**{"val": None, "test": None, "seed": None, "cache": cache, **options}).split(index)


def files(index: ImageIndex) -> set[str]:
    return set(index.files.tolist())


def test_the_parts_are_those_of_the_folders(tmp_path: Path, draw_tree: DrawTree) -> None:
    root = drawn(draw_tree, tmp_path / "a", train=4, valid=2, test=3)
    index = dataset(root, tmp_path).prepare()
    split = given(index, tmp_path)
    for part, folder in (("train", "train"), ("val", "valid"), ("test", "test")):
        assert files(getattr(split, part)) == {file for file in files(index) if file.startswith(f"{folder}/")}
    assert split.name == "given"
    table = pd.read_csv(split.manifest)
    assert table["split"].value_counts().to_dict() == {"train": 8, "val": 4, "test": 6}
    assert sum(path.is_symlink() for path in split.folder.rglob("*")) == 18
    assert given(index, tmp_path).key == split.key


def test_images_in_two_parts_are_told_as_leaks_and_kept(tmp_path: Path, draw_tree: DrawTree) -> None:
    root = drawn(draw_tree, tmp_path / "a", train=4, val=2, test=3)
    shutil.copy(root / "train/crack/00002.jpg", root / "test/crack/00001.jpg")
    split = given(dataset(root, tmp_path).prepare(), tmp_path)
    assert len(split.test) == 6
    assert split.leaks.copies == 1
    assert split.leaks.rows[0][:3] == ("test/crack/00001.jpg", "train/crack/00002.jpg", "identical")
    assert given(dataset(root, tmp_path).prepare(), tmp_path, check_leaks=False).leaks is None


@pytest.mark.parametrize(
    ("parts", "sizes"),
    [
        ({"train": 20, "test": 5}, (32, 8, 10)),
        ({"train": 20, "val": 5}, (36, 10, 4)),
        ({"train": 20}, (28, 8, 4)),
    ],
)
def test_what_is_not_given_is_cut_from_train(
    tmp_path: Path,
    draw_tree: DrawTree,
    caplog: pytest.LogCaptureFixture,
    parts: dict[str, int],
    sizes: tuple[int, int, int],
) -> None:
    root = drawn(draw_tree, tmp_path / "a", **parts)
    index = dataset(root, tmp_path).prepare()
    with caplog.at_level(logging.WARNING):
        split = given(index, tmp_path)
    assert (len(split.train), len(split.val), len(split.test)) == sizes
    for part in ("val", "test"):
        made = getattr(split, part)
        source = part if part in parts else "train"
        assert {file.split("/")[0] for file in files(made)} == {source}
        assert set(made.labels.tolist()) == {0, 1}
        assert (f"{len(made)} images of train are cut off as {part}" in caplog.text) is (part not in parts)
    again = given(index, tmp_path, seed=1337)
    assert files(again.train) == files(split.train)
    assert files(given(index, tmp_path, seed=1).train) != files(split.train)


def test_copies_stay_together_where_val_is_cut(tmp_path: Path, draw_tree: DrawTree) -> None:
    root = drawn(draw_tree, tmp_path / "a", train=12, test=2)
    for file in list((root / "train").rglob("*.jpg")):
        shutil.copy(file, file.with_name(f"{file.stem}-copy.jpg"))
    split = given(dataset(root, tmp_path).prepare(), tmp_path, val=0.5)
    assert not set(split.train.digests.tolist()) & set(split.val.digests.tolist())
    assert len(split.val) == 24


def test_options_that_would_change_nothing_are_refused(tmp_path: Path, draw_tree: DrawTree) -> None:
    index = dataset(drawn(draw_tree, tmp_path / "a", train=4, val=2, test=2), tmp_path).prepare()
    for option, value in (("val", 0.1), ("test", 0.1), ("seed", 3)):
        with pytest.raises(ConfigError, match=rf"Leave out split\.{option}\. Received: split\.{option}={value}"):
            given(index, tmp_path, **{option: value})
    with pytest.raises(ConfigError, match="leave no images to train on"):
        given(index, tmp_path, val=0.5, test=0.5)


def test_a_part_without_a_class_and_a_set_without_train_are_refused(tmp_path: Path, draw_tree: DrawTree) -> None:
    root = drawn(draw_tree, tmp_path / "a", val=2, test=2)
    with pytest.raises(DataError, match="holds val and test, but no train"):
        given(dataset(root, tmp_path).prepare(), tmp_path)
    drawn(draw_tree, root, train=2)
    assert len(given(dataset(root, tmp_path, limit=6).prepare(), tmp_path).val) == 2
    with pytest.raises(DataError, match=r"type 6 or more .*dataset\.limit=5"):
        dataset(root, tmp_path, limit=5).prepare()
    table = root / "labels.csv"
    lines = [f"{part}/crack/00000.jpg,crack,{part}" for part in ("train", "val", "test")]
    table.write_text("\n".join(["file,label,split", "train/sound/00000.jpg,sound,train", *lines]))
    with pytest.raises(DataError, match=r"part val of .* no image of the class sound. Add .*merge_parts=true"):
        given(dataset(table, tmp_path).prepare(), tmp_path)
    table.write_text("\n".join(["file,label,split", "train/sound/00000.jpg,sound,train", *lines[:1]]))
    with pytest.raises(DataError, match=r"no image of the class .*another split\.val"):
        given(dataset(table, tmp_path).prepare(), tmp_path)
    plain = draw_tree(tmp_path / "b", {"crack": 2, "sound": 2})
    with pytest.raises(DataError, match="holds no split to use"):
        given(dataset(plain, tmp_path).prepare(), tmp_path)


@pytest.mark.parametrize("kind", ["ratio", "grouped"])
def test_a_given_split_is_not_lost_by_another(tmp_path: Path, draw_tree: DrawTree, kind: str) -> None:
    root = drawn(draw_tree, tmp_path / "a", train=10, val=2, test=3)
    options = {"ratio": (0.6, 0.2, 0.2), "seed": 1, "cache": tmp_path}
    splitter = RatioSplit(**options) if kind == "ratio" else GroupedSplit(by=("copies",), **options)
    source = dataset(root, tmp_path)
    for refused in (lambda: splitter.split(source.prepare()), lambda: check_split(source, splitter)):
        with pytest.raises(DataError, match="split already into train, val, test") as caught:
            refused()
        assert "split=given" in str(caught.value)
        assert "dataset.merge_parts=true" in str(caught.value)
    merged = dataset(root, tmp_path, merge_parts=True)
    check_split(merged, splitter)
    split = splitter.split(merged.prepare())
    assert len(split.train) + len(split.val) + len(split.test) == 30


def test_a_set_without_a_split_is_refused_before_an_image_is_read(tmp_path: Path, draw_tree: DrawTree) -> None:
    root = draw_tree(tmp_path / "a", {"crack": 2, "sound": 2})
    (root / "crack/00000.jpg").write_bytes(b"")
    splitter = GivenSplit(val=None, test=None, seed=None, cache=tmp_path)
    with pytest.raises(DataError, match=r"split=ratio or split=grouped .*split=given"):
        check_split(dataset(root, tmp_path), splitter)
    assert not (tmp_path / "index").exists()


def test_other_commands_take_one_part(tmp_path: Path, draw_tree: DrawTree, caplog: pytest.LogCaptureFixture) -> None:
    index = dataset(drawn(draw_tree, tmp_path / "a", train=4, test=2), tmp_path).prepare()
    with caplog.at_level(logging.WARNING):
        part = only_part(index, "test", "site")
    assert {file.split("/")[0] for file in files(part)} == {"test"}
    assert "4 of 12 images" in caplog.text
    with pytest.raises(DataError, match=r"site is split into train, test.*dataset\.merge_parts=true"):
        only_part(index, "val", "site")
    plain = dataset(draw_tree(tmp_path / "b", {"crack": 2, "sound": 2}), tmp_path).prepare()
    assert only_part(plain, "test", "plain") is plain
