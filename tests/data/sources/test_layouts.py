"""Where labelled images may lie: class folders, parts of a given split, exports of Roboflow, surfaces of SDNET2018."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from crackexp.data.index import ImageIndex
from crackexp.data.sources.image_folder import ImageFolder
from crackexp.data.sources.part_folders import part_of
from crackexp.utils.errors import DataError

DrawTree = Callable[..., Path]


def dataset(path: Path, cache: Path, **options: object) -> ImageFolder:
    given = {"positive": None, "limit": None, "on_bad_file": "error", **options}
    return ImageFolder(name="folder", path=path, cache=cache, **given)


def counted(index: ImageIndex) -> Counter[tuple[str, str]]:
    """Returns how many images of each class stand in each part."""
    assert index.parts is not None
    names = [index.class_names[label] for label in index.labels]
    return Counter(zip(index.parts.tolist(), names, strict=True))


SIX = {(part, name): count for part, count in (("train", 3), ("val", 2), ("test", 1)) for name in ("crack", "no_crack")}


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [
        ("train", "val", "test"),
        ("Training", "Validation", "Testing"),
        ("train", "valid", "test"),
        ("TRAIN", "dev", "TEST"),
        ("training_set", "val set", "test-set"),
        ("archive/train", "archive/val", "archive/test"),
        ("archive/dataset/train", "archive/dataset/val", "archive/dataset/test"),
    ],
)
def test_folders_of_a_given_split_are_found(
    tmp_path: Path, draw_tree: DrawTree, train: str, val: str, test: str
) -> None:
    counts = {f"{train}/crack": 3, f"{train}/no_crack": 3, f"{val}/crack": 2, f"{val}/no_crack": 2}
    root = draw_tree(tmp_path / "a", counts | {f"{test}/crack": 1, f"{test}/no_crack": 1})
    (root / "README.dataset.txt").write_text("exported")
    index = dataset(root, tmp_path).prepare()
    assert counted(index) == SIX
    assert index.class_names == ("crack", "no_crack")
    assert index.positives == ("crack",)
    assert index.path(0).is_file()
    assert index.account.ignored[".txt"] == (0 if "/" in train else 1)


def test_parts_may_stand_in_the_class_folders(tmp_path: Path, draw_tree: DrawTree) -> None:
    root = draw_tree(tmp_path / "a", {f"{name}/{part}": count for (part, name), count in SIX.items()})
    assert counted(dataset(root, tmp_path).prepare()) == SIX
    draw_tree(root, {"crack": 1})
    with pytest.raises(DataError, match=r"1 image, such as crack/00000\.jpg"):
        dataset(root, tmp_path).prepare()


def test_deeper_folders_of_other_names_are_no_parts(tmp_path: Path, draw_tree: DrawTree) -> None:
    root = draw_tree(tmp_path / "a", {"crack/wall 1": 2, "crack/test": 1, "sound/train": 2})
    assert dataset(root, tmp_path).prepare().parts is None


def test_parts_can_be_merged(tmp_path: Path, draw_tree: DrawTree) -> None:
    root = draw_tree(tmp_path / "a", {f"{part}/{name}": count for (part, name), count in SIX.items()})
    merged = dataset(root, tmp_path, merge_parts=True)
    index = merged.prepare()
    assert len(index) == 12
    assert index.parts is None
    assert merged.given_parts() == []
    assert dataset(root, tmp_path).given_parts() == ["train", "val", "test"]
    assert index.fingerprint != dataset(root, tmp_path).prepare().fingerprint


def test_the_fingerprint_follows_the_parts(tmp_path: Path, draw_tree: DrawTree) -> None:
    trees = [
        draw_tree(tmp_path / name, {"x/train/crack": 2, "x/train/sound": 2, f"x/{part}/crack": 1, f"x/{part}/sound": 1})
        for name, part in (("a", "val"), ("b", "test"))
    ]
    one, other = (dataset(tree, tmp_path).prepare() for tree in trees)
    assert one.fingerprint != other.fingerprint


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({"train/crack": 1, "train/sound": 1, "training/crack": 1, "training/sound": 1}, "train and training"),
        ({"train/crack": 1, "train/sound": 1, "extra/crack": 1}, "beside them images in extra"),
        ({"train/crack": 1, "train/sound": 1, "test/Crack": 1, "test/sound": 1}, "test holds Crack, sound"),
        ({"train/crack": 1, "train/sound": 1, "test": 2}, "2 images .*test itself"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(
    tmp_path: Path, draw_tree: DrawTree, counts: dict[str, int], said: str
) -> None:
    root = draw_tree(tmp_path / "a", counts)
    with pytest.raises(DataError, match=said) as caught:
        dataset(root, tmp_path).prepare()
    assert "Received: dataset.path=" in str(caught.value)


def test_classes_that_the_user_names_are_no_parts(tmp_path: Path, draw_tree: DrawTree) -> None:
    root = draw_tree(tmp_path / "a", {"crack": 2, "sound": 2, "test": 2})
    index = dataset(root, tmp_path, classes=["crack", "sound"]).prepare()
    assert index.parts is None
    assert len(index) == 4


def test_what_stands_beside_the_parts_is_accounted_for(tmp_path: Path, draw_tree: DrawTree) -> None:
    root = draw_tree(tmp_path / "a", {f"{part}/{name}": count for (part, name), count in SIX.items()} | {".": 1})
    (root / "train" / "crack" / "00000.dng").write_bytes(b"raw")
    (root / "annotations").mkdir()
    with pytest.raises(DataError, match=r"00000\.jpg: it is beside the parts"):
        dataset(root, tmp_path).prepare()
    index = dataset(root, tmp_path, on_bad_file="skip").prepare()
    assert {one.file for one in index.account.left_out} == {"00000.jpg", "train/crack/00000.dng"}
    assert index.account.used == 12


@pytest.mark.parametrize("surfaces", [("D", "P", "W"), ("Decks", "Pavements", "Walls"), ("Decks", "Walls")])
def test_the_layout_of_sdnet2018_names_its_dataset(
    tmp_path: Path, draw_tree: DrawTree, surfaces: tuple[str, ...]
) -> None:
    letters = {surface: surface[0] for surface in surfaces}
    counts = {f"{surface}/{kind}{letter}": 1 for surface, letter in letters.items() for kind in "CU"}
    root = draw_tree(tmp_path / "a", counts)
    with pytest.raises(DataError, match=f"dataset=sdnet2018 dataset.path={root}"):
        dataset(root, tmp_path).prepare()


def test_codes_of_one_surface_are_classes(tmp_path: Path, draw_tree: DrawTree) -> None:
    root = draw_tree(tmp_path / "D", {"CD": 1, "UD": 2})
    assert dataset(root, tmp_path).prepare().positives == ("CD",)


def write_roboflow(root: Path, part: str, rows: list[str]) -> None:
    (root / part / "_classes.csv").write_text("\n".join(["filename, crack, no_crack", *rows]))


def test_a_multi_class_export_of_roboflow_is_read(tmp_path: Path, draw_tree: DrawTree) -> None:
    root = draw_tree(tmp_path / "a", {"train": 4, "valid": 2, "test": 3})
    (root / "README.roboflow.txt").write_text("exported")
    write_roboflow(root, "train", [f"{i:05d}.jpg, {i % 2}, {1 - i % 2}" for i in range(4)])
    write_roboflow(root, "valid", ["00000.jpg, 1, 0", "00001.jpg, 0, 1"])
    write_roboflow(root, "test", ["00000.jpg, 1, 0", "00001.jpg, 0, 1"])
    with pytest.raises(DataError, match=r"test/00002\.jpg: _classes\.csv does not name it"):
        dataset(root, tmp_path).prepare()
    index = dataset(root, tmp_path, on_bad_file="skip").prepare()
    assert counted(index) == {
        (part, name): count for part, count in (("train", 2), ("val", 1), ("test", 1)) for name in ("crack", "no_crack")
    }
    labels = dict(zip(index.files.tolist(), index.labels.tolist(), strict=True))
    assert [labels[f"train/{i:05d}.jpg"] for i in range(4)] == [1, 0, 1, 0]


def test_an_image_of_several_classes_is_refused(tmp_path: Path, draw_tree: DrawTree) -> None:
    root = draw_tree(tmp_path / "a", {"train": 2, "test": 2})
    for part in ("train", "test"):
        write_roboflow(root, part, ["00000.jpg, 1, 1", "00001.jpg, 0, 0"])
    with pytest.raises(DataError, match=r"line 2: .*one class, not 2: crack, no_crack\n.*line 3.*none"):
        dataset(root, tmp_path).prepare()


@pytest.mark.parametrize(
    ("name", "part"),
    [("Train", "train"), ("val_images", "val"), ("TestSet", "test"), ("testimony", None), ("crack", None), ("", None)],
)
def test_names_of_parts(name: str, part: str | None) -> None:
    assert part_of(name) == part
