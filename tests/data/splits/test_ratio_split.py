import csv
import random
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path

import pytest
import splitfolders

from crackexp.data.index import ImageIndex, build_index
from crackexp.data.sources.folder import class_members
from crackexp.data.splits.ratio_split import RatioSplit
from crackexp.data.splits.split_folder import SplitDataset
from crackexp.utils.errors import DataError
from tests.composing import outcome

DrawTree = Callable[..., Path]
RECIPE = (0.7, 0.2, 0.1)


def _index(root: Path, cache: Path, **options: object) -> ImageIndex:
    return build_index(root, class_members(root), "Positive", cache, **options)


def _split(index: ImageIndex, cache: Path, ratio=RECIPE, seed: int = 1337) -> SplitDataset:
    return RatioSplit(ratio=ratio, seed=seed, cache=cache).split(index)


def _tree(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.suffix == ".jpg"}


@pytest.fixture
def root(tmp_path: Path, draw_tree: DrawTree) -> Path:
    return draw_tree(tmp_path / "images", {"Positive": 40, "Negative": 53})


@pytest.mark.parametrize("ratio", [RECIPE, (0.6, 0.2, 0.2), (0.81, 0.1, 0.09)])
def test_it_is_the_split_of_splitfolders(root: Path, tmp_path: Path, ratio) -> None:
    split = _split(_index(root, tmp_path), tmp_path, ratio)
    splitfolders.ratio(root, tmp_path / "direct", seed=1337, ratio=ratio)
    assert _tree(split.folder) == _tree(tmp_path / "direct")
    for name in ("train", "val", "test"):
        part: ImageIndex = getattr(split, name)
        assert set(part.files.tolist()) == _tree(tmp_path / "direct" / name)


@pytest.mark.slow
def test_real_images_are_split_as_by_splitfolders(real_data: Path, tmp_path: Path) -> None:
    root = real_data / "mendeley-sample"
    split = _split(_index(root, tmp_path), tmp_path)
    splitfolders.ratio(root, tmp_path / "direct", seed=1337, ratio=RECIPE, move="symlink")
    assert _tree(split.folder) == _tree(tmp_path / "direct")
    assert [len(part) for part in (split.train, split.val, split.test)] == [2800, 800, 400]


def test_parts_are_disjoint_and_whole(root: Path, tmp_path: Path) -> None:
    index = _index(root, tmp_path, groups=[f"photo {i // 5}" for i in range(93)])
    split = _split(index, tmp_path)
    row_of = {file: row for row, file in enumerate(index.files.tolist())}
    seen: list[str] = []
    for part in (split.train, split.val, split.test):
        rows = [row_of[file] for file in part.files.tolist()]
        assert part.groups.tolist() == index.groups[rows].tolist()
        assert part.digests.tolist() == index.digests[rows].tolist()
        assert part.labels.tolist() == index.labels[rows].tolist()
        seen += part.files.tolist()
    assert sorted(seen) == index.files.tolist()


def test_links_lead_to_the_images(root: Path, tmp_path: Path) -> None:
    split = _split(_index(root, tmp_path), tmp_path)
    for file in split.val.files.tolist():
        link = split.folder / "val" / file
        assert link.is_symlink()
        assert link.resolve() == (root / file).resolve()
    assert [path.name for path in split.folder.parent.iterdir() if path.is_dir()] == [split.folder.name]


def test_the_manifest_lists_every_image_once(root: Path, tmp_path: Path) -> None:
    index = _index(root, tmp_path)
    split = _split(index, tmp_path)
    with split.manifest.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["split", "class", "file", "digest"]
    assert sorted(row["file"] for row in rows) == index.files.tolist()
    digest_of = dict(zip(index.files.tolist(), index.digests.tolist(), strict=True))
    for row in rows:
        assert row["digest"] == digest_of[row["file"]]
        assert row["class"] == row["file"].split("/")[0]
        assert row["file"] in getattr(split, row["split"]).files


def test_a_whole_split_is_read_and_a_broken_one_made_anew(root: Path, tmp_path: Path) -> None:
    index = _index(root, tmp_path)
    first = _split(index, tmp_path)
    made = first.manifest.stat().st_mtime_ns
    assert _split(index, tmp_path).manifest.stat().st_mtime_ns == made

    stray = first.folder / "test" / first.train.files[0]
    stray.symlink_to(first.train.path(0))
    second = _split(index, tmp_path)
    assert not stray.exists()
    (first.folder / "val" / first.val.files[0]).unlink()
    third = _split(index, tmp_path)
    assert (first.folder / "val" / first.val.files[0]).exists()
    for part in ("train", "val", "test"):
        files = [getattr(split, part).files.tolist() for split in (first, second, third)]
        assert files[0] == files[1] == files[2]


def test_every_split_has_its_own_folder_and_key(root: Path, tmp_path: Path, draw_tree: DrawTree) -> None:
    index = _index(root, tmp_path)
    splits = [
        _split(index, tmp_path),
        _split(index, tmp_path, (0.6, 0.2, 0.2)),
        _split(index, tmp_path, seed=0),
        _split(_index(root, tmp_path, limit=60), tmp_path),
    ]
    assert len({split.folder for split in splits}) == 4
    assert len({split.key for split in splits}) == 4
    assert set(splits[0].test.files.tolist()) != set(splits[2].test.files.tolist())
    for split in splits:
        assert len(_tree(split.folder)) == sum(len(part) for part in (split.train, split.val, split.test))


def test_a_copy_elsewhere_has_the_same_key_and_links_of_its_own(root: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(root, tmp_path / "moved")
    one, two = (_split(_index(folder, tmp_path), tmp_path) for folder in (root, moved))
    assert one.key == two.key
    assert one.folder != two.folder
    assert (two.folder / "test" / two.test.files[0]).resolve().is_relative_to(moved)


def test_test_parts_of_one_seed_are_nested(root: Path, tmp_path: Path) -> None:
    index = _index(root, tmp_path)
    ratios = [(0.5, 0.2, 0.3), (0.6, 0.2, 0.2), (0.7, 0.2, 0.1), (0.8, 0.1, 0.1), (0.9, 0.05, 0.05)]
    tests = [set(_split(index, tmp_path, ratio).test.files.tolist()) for ratio in ratios]
    trains = [set(_split(index, tmp_path, ratio).train.files.tolist()) for ratio in ratios]
    for (large, small), (short, long) in zip(combinations(tests, 2), combinations(trains, 2), strict=True):
        assert small <= large
        assert short <= long
    assert tests[-1] < tests[0]


def test_nested_trees_get_unique_names(tmp_path: Path, draw_tree: DrawTree) -> None:
    counts = {f"{name}/{photo}": 10 for name in ("Positive", "Negative") for photo in ("a", "b")}
    index = _index(draw_tree(tmp_path / "images", counts), tmp_path)
    split = _split(index, tmp_path)
    assert len(_tree(split.folder)) == 40
    assert len(split.train) == 28
    targets = {path.resolve() for path in (split.folder / "test").rglob("*.jpg")}
    assert targets == {split.test.path(i).resolve() for i in range(len(split.test))}


def test_python_s_own_random_numbers_are_left_alone(root: Path, tmp_path: Path) -> None:
    random.seed(5)
    expected = random.Random(5).random()
    _split(_index(root, tmp_path), tmp_path)
    assert random.random() == expected


def test_the_bar_of_splitfolders_is_not_shown(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def loud(**arguments: object) -> None:
        raise AssertionError("a bar was made")

    monkeypatch.setattr(splitfolders.split, "use_tqdm", True)
    monkeypatch.setattr(splitfolders.split, "tqdm", loud, raising=False)
    _split(_index(root, tmp_path), tmp_path)
    assert splitfolders.split.use_tqdm is True


def test_runs_at_once_make_one_split(root: Path, tmp_path: Path) -> None:
    index = _index(root, tmp_path)
    with ThreadPoolExecutor(4) as pool:
        splits = [pool.submit(_split, index, tmp_path) for _ in range(6)]
        parts = {tuple(split.result().test.files.tolist()) for split in splits}
    assert len(parts) == 1


def test_too_few_images_are_refused_by_class(tmp_path: Path, draw_tree: DrawTree) -> None:
    root = draw_tree(tmp_path / "images", {"Positive": 4, "Negative": 20})
    with pytest.raises(DataError, match="The class Positive has 4 images: 2 to train, 0 to val"):
        _split(_index(root, tmp_path), tmp_path)
    assert not (tmp_path / "splits").exists()


@pytest.mark.parametrize("split", ["ratio", "grouped"])
@pytest.mark.parametrize("ratio", ["[0.7,0.3]", "[0.7,0.2,0.2]", "[1,0,0]", "[1.2,-0.1,-0.1]", "[0.25,0.25,0.25,0.25]"])
def test_a_ratio_that_is_none_is_refused(split: str, ratio: str) -> None:
    told = outcome("train", [f"split={split}", f"split.ratio={ratio}"])
    assert isinstance(told, str)
    assert told.count("split.ratio") >= 2, told  # the key, and what was received
