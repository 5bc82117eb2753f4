"""What belongs together stays in one part, and the parts are what was asked for."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from crackexp.data.images.decode import load_image
from crackexp.data.index import ImageIndex, build_index
from crackexp.data.sources.folder import class_members
from crackexp.data.splits.grouped_split import GroupedSplit
from crackexp.data.splits.ratio_split import RatioSplit
from crackexp.data.splits.split_folder import SplitDataset
from crackexp.utils.errors import DataError
from tests.conftest import write_patches

RECIPE = (0.7, 0.2, 0.1)
BY = ("copies", "photos")


def indexed(root: Path, cache: Path, groups: Sequence[str] | None = None) -> ImageIndex:
    return build_index(root, class_members(root), "Positive", cache, groups=groups)


def grouped(index: ImageIndex, cache: Path, ratio=RECIPE, seed: int = 1337, by=BY) -> SplitDataset:
    return GroupedSplit(ratio=ratio, seed=seed, by=by, cache=cache).split(index)


def parts_of(split: SplitDataset) -> dict[str, str]:
    return {file: part for part in ("train", "val", "test") for file in getattr(split, part).files.tolist()}


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 patches a class, and copies of the first 10 of each: a mirrored one, and one a class away of the first two."""
    root = write_patches(tmp_path_factory.mktemp("mirrored"), ("Negative", "Positive"), 30)
    for name, other in (("Negative", "Positive"), ("Positive", "Negative")):
        for number in range(10):
            image = load_image(root / name / f"{number:03}.jpg")[..., ::-1]
            assert cv2.imwrite(str(root / name / f"{number:03}m.png"), image[:, ::-1])
            if number < 2:
                assert cv2.imwrite(str(root / other / f"{number:03}{name}.png"), image[::-1])
    return root


@pytest.mark.parametrize("seed", range(5))
def test_copies_stay_together_across_classes_too(mirrored: Path, cache: Path, seed: int) -> None:
    index = indexed(mirrored, cache)
    split = grouped(index, cache, seed=seed)
    part_of = parts_of(split)
    assert sorted(part_of) == index.files.tolist()
    for name, other in (("Negative", "Positive"), ("Positive", "Negative")):
        for number in range(10):
            part = part_of[f"{name}/{number:03}.jpg"]
            assert part_of[f"{name}/{number:03}m.png"] == part
            if number < 2:
                assert part_of[f"{other}/{number:03}{name}.png"] == part
    assert split.leaks is not None
    assert split.leaks.copies == 0
    assert split.leaks.rows == []
    for share, part in zip(RECIPE, (split.train, split.val, split.test), strict=True):
        assert abs(len(part) - share * len(index)) <= 3
        assert np.mean(part.labels) == pytest.approx(0.5, abs=0.15)


def test_photos_stay_together_and_ratio_and_classes_are_met(tmp_path: Path, patches: Path) -> None:
    """12 photos of 5 patches, some with more cracks than others."""
    photos = [f"photo {row % 12}" if row < 36 else f"photo {row % 6}" for row in range(60)]
    index = indexed(patches, tmp_path, photos)
    split = grouped(index, tmp_path)
    held = [set(part.groups.tolist()) for part in (split.train, split.val, split.test)]
    assert not held[0] & held[1] | held[0] & held[2] | held[1] & held[2]
    largest = max(np.unique(index.groups, return_counts=True)[1])
    for share, part in zip(RECIPE, (split.train, split.val, split.test), strict=True):
        assert abs(len(part) - share * 60) <= largest
        assert set(part.labels.tolist()) == {0, 1}
    assert split.leaks is not None
    assert split.leaks.photos == 0


def test_photos_and_copies_that_share_an_image_become_one_group(tmp_path: Path, mirrored: Path) -> None:
    count = len(class_members(mirrored))
    index = indexed(mirrored, tmp_path, [f"photo {row // 2}" for row in range(count)])
    photos = dict(zip(index.files.tolist(), index.groups.tolist(), strict=True))
    part_of = parts_of(grouped(index, tmp_path))
    for file, photo in photos.items():
        mates = [other for other in photos if photos[other] == photo or Path(other).stem == f"{Path(file).stem}m"]
        same = [other for other in mates if other.split("/")[0] == file.split("/")[0] or photos[other] == photo]
        assert {part_of[other] for other in same} == {part_of[file]}


def test_test_parts_of_one_seed_are_nested(mirrored: Path, cache: Path) -> None:
    index = indexed(mirrored, cache)
    splits = [grouped(index, cache, ratio) for ratio in ((0.5, 0.2, 0.3), (0.6, 0.2, 0.2), (0.7, 0.2, 0.1))]
    for large, small in pairwise(splits):
        assert set(small.test.files.tolist()) <= set(large.test.files.tolist())
        assert set(large.train.files.tolist()) <= set(small.train.files.tolist())
    assert parts_of(grouped(index, cache, seed=1)) != parts_of(splits[-1])


def test_the_folder_and_the_manifest_are_those_of_any_split(mirrored: Path, cache: Path) -> None:
    index = indexed(mirrored, cache)
    split = grouped(index, cache)
    table = pd.read_csv(split.manifest).set_index("file")["split"].to_dict()
    assert table == parts_of(split)
    for file in split.test.files.tolist():
        assert (split.folder / "test" / file).resolve() == (mirrored / file).resolve()
    made = split.manifest.stat().st_mtime_ns
    again = grouped(index, cache)
    assert again.key == split.key
    assert again.manifest.stat().st_mtime_ns == made


def test_too_few_groups_are_refused_in_a_sentence(tmp_path: Path, patches: Path) -> None:
    index = indexed(patches, tmp_path, ["one wall"] * 50 + ["another"] * 10)
    with pytest.raises(DataError, match=r"2 groups, the largest of 50, .* split\.by=\[copies\]"):
        grouped(index, tmp_path)
    assert not (tmp_path / "splits").exists()


def test_photos_alone_must_be_known(tmp_path: Path, patches: Path) -> None:
    with pytest.raises(DataError, match=r"are not known. Type split\.by=\[copies\]"):
        grouped(indexed(patches, tmp_path), tmp_path, by=("photos",))


def test_a_random_split_tells_what_leaks(tmp_path: Path, mirrored: Path) -> None:
    count = len(class_members(mirrored))
    index = indexed(mirrored, tmp_path, [f"photo {row % 3}" for row in range(count)])
    split = RatioSplit(ratio=RECIPE, seed=1, cache=tmp_path).split(index)
    leaks, part_of = split.leaks, parts_of(split)
    assert leaks is not None
    copied = {file for file, _, kind, _ in leaks.rows if kind != "same photo"}
    expected = {
        file
        for file, part in part_of.items()
        for other, its in part_of.items()
        if part == "test" and its == "train" and Path(file).stem[:3] == Path(other).stem[:3] and file != other
        if (
            file.split("/")[0] == other.split("/")[0]
            or {Path(file).stem[3:], Path(other).stem[3:]} & {"Negative", "Positive"}
        )
    }
    assert copied <= expected
    assert len(copied) == leaks.copies > 0
    assert leaks.photos == leaks.tested == len(leaks.rows) == len(split.test)
    for _, mate, _, _ in leaks.rows:
        assert part_of[mate] == "train"
    unasked = RatioSplit(ratio=RECIPE, seed=1, cache=tmp_path, check_leaks=False).split(index)
    assert unasked.leaks is None


@pytest.mark.slow
@pytest.mark.parametrize("ratio", [RECIPE, (0.6, 0.2, 0.2)])
def test_copies_of_real_patches_never_stand_in_two_parts(real_data: Path, tmp_path: Path, ratio) -> None:
    index = indexed(real_data / "mendeley-sample", tmp_path)
    table = pd.read_csv(real_data / "mendeley-sample.manifest.csv").set_index("path")
    split = grouped(index, tmp_path, ratio)
    listed = [set(table["near_duplicate_group"][part.files]) for part in (split.train, split.val, split.test)]
    assert not listed[0] & listed[1] | listed[0] & listed[2] | listed[1] & listed[2]
    for share, part in zip(ratio, (split.train, split.val, split.test), strict=True):
        assert abs(len(part) - share * 4000) <= 4
        assert np.mean(part.labels) == pytest.approx(0.5, abs=0.01)
    random = RatioSplit(ratio=ratio, seed=1337, cache=tmp_path).split(index)
    trained = set(table["near_duplicate_group"][random.train.files])
    seen = sum(group in trained for group in table["near_duplicate_group"][random.test.files])
    assert random.leaks is not None
    assert random.leaks.copies >= seen > 0
