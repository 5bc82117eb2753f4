import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from crackexp.data.sources import ImageFolder, Synthetic
from crackexp.utils.errors import ConfigError, DataError

DrawTree = Callable[..., Path]


def _folder(path: Path, cache: Path, **options: object) -> ImageFolder:
    given = {"positive": None, "limit": None, "on_bad_file": "error", **options}
    return ImageFolder(name="folder", path=path, cache=cache, **given)


def _refused(path: Path, cache: Path, message: str, **options: object) -> None:
    with pytest.raises(DataError, match=message) as caught:
        _folder(path, cache, **options).prepare()
    assert "Received: dataset." in str(caught.value)


def test_a_folder_for_each_class(tmp_path: Path, draw_tree: DrawTree) -> None:
    root = draw_tree(tmp_path / "a", {"Positive": 3, "Negative": 4})
    index = _folder(root, tmp_path).prepare()
    assert index.class_names == ("Negative", "Positive")
    assert index.positives == ("Positive",)
    assert np.bincount(index.labels).tolist() == [4, 3]
    assert index.groups is None


def test_deeper_folders_and_all_suffixes(tmp_path: Path, draw_tree: DrawTree) -> None:
    root = draw_tree(tmp_path / "a", {"crack/wall 1/a": 2, "crack/wall 2": 1, "plain": 1})
    draw_tree(root, {"plain": 2}, suffix=".PNG")
    draw_tree(root, {"plain": 1}, suffix=".tiff")
    index = _folder(root, tmp_path).prepare()
    assert np.bincount(index.labels).tolist() == [3, 4]
    assert index.files[0] == "crack/wall 1/a/00000.jpg"


def test_litter_is_ignored(tmp_path: Path, draw_tree: DrawTree) -> None:
    root = draw_tree(tmp_path / "a", {"Positive": 1, "Negative": 1})
    litter = ("README.txt", ".DS_Store", "Positive/Thumbs.db", "Positive/labels.csv")
    litter += ("Positive/.hidden.jpg", "Negative/._00000.jpg", ".git/a.jpg")
    litter += ("__MACOSX/Positive/._1.jpg", "Negative/__MACOSX/1.jpg", "Negative/.thumbs/1.jpg")
    for name in litter:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("litter")
    assert _folder(root, tmp_path).prepare().files.tolist() == [
        "Negative/00000.jpg",
        "Positive/00000.jpg",
    ]


def test_linked_class_folders_and_a_loop(tmp_path: Path, draw_tree: DrawTree) -> None:
    elsewhere = draw_tree(tmp_path / "elsewhere", {"x": 2, "y": 2})
    root = tmp_path / "a"
    root.mkdir()
    (root / "defect").symlink_to(elsewhere / "x")
    (root / "fine").symlink_to(elsewhere / "y")
    (elsewhere / "x" / "loop").symlink_to(elsewhere / "x")
    assert len(_folder(root, tmp_path).prepare()) == 4


def test_unicode_and_spaces(tmp_path: Path, draw_tree: DrawTree) -> None:
    root = draw_tree(tmp_path / "B\u00f6den 1", {"ohne Ri\u00df": 1, "\u88c2\u7e2b": 2})
    index = _folder(root, tmp_path, positive="\u88c2\u7e2b").prepare()
    assert index.class_names == ("ohne Ri\u00df", "\u88c2\u7e2b")
    assert index.classes.indices == [1]


@pytest.mark.parametrize("name", ["POSITIVE", "crack", "Cracked", "defect"])
def test_the_positive_class_is_found_by_name(tmp_path: Path, draw_tree: DrawTree, name: str) -> None:
    root = draw_tree(tmp_path / "a", {name: 1, "Zebra": 1})
    assert _folder(root, tmp_path).prepare().positives == (name,)


def test_of_more_than_two_classes_those_that_are_damage_are_typed(tmp_path: Path, draw_tree: DrawTree) -> None:
    root = draw_tree(tmp_path / "a", {"crack": 1, "sound": 1, "spalling": 1})
    words = r"classes crack, sound, spalling .*dataset\.positive=\[crack,spalling\].*Received: dataset\.positive=null"
    _refused(root, tmp_path, words)
    assert _folder(root, tmp_path, positive="crack").prepare().positives == ("crack",)
    index = _folder(root, tmp_path, positive=["spalling", "crack"]).prepare()
    assert index.positives == ("crack", "spalling")
    assert index.damaged.tolist() == [True, False, True]
    _refused(root, tmp_path, r"Did you mean spalling\?.*positive=spaling", positive=["crack", "spaling"])
    _refused(root, tmp_path, "[Nn]ot all classes", positive=["crack", "sound", "spalling"])


@pytest.mark.parametrize(("names", "proposed"), [(("a", "b"), "NAME"), (("crack", "defect"), "crack")])
def test_or_asked_for(tmp_path: Path, draw_tree: DrawTree, names: tuple[str, str], proposed: str) -> None:
    root = draw_tree(tmp_path / "a", dict.fromkeys(names, 1))
    _refused(root, tmp_path, f"classes {', '.join(names)} .*dataset.positive={proposed}")


def test_a_slip_in_the_positive_class(tmp_path: Path, draw_tree: DrawTree) -> None:
    root = draw_tree(tmp_path / "a", {"Positive": 1, "Negative": 1})
    _refused(root, tmp_path, r"Did you mean Positive\?", positive="positve")
    _refused(root, tmp_path, r"Did you mean Positive\?", positive="positive")
    _refused(root, tmp_path, "classes Negative, Positive", positive="xyz")


def test_what_is_no_tree_of_classes(tmp_path: Path, draw_tree: DrawTree) -> None:
    root = tmp_path / "a"
    _refused(root / "b" / "c", tmp_path, "no such folder")
    root.mkdir()
    _refused(root, tmp_path, "folder is empty")
    (root / "note.txt").write_text("note")
    _refused(root / "note.txt", tmp_path, "this is a file")
    _refused(root, tmp_path, "holds no class folders")
    (root / "Negative").mkdir()
    (root / "Negative" / "labels.csv").touch()
    _refused(root, tmp_path, "folders Negative of .* hold no images")
    draw_tree(root, {"Negative": 1, ".": 2})
    _refused(root, tmp_path, "2 images .* itself, such as 00000.jpg")


def test_a_wrapped_tree_is_named(tmp_path: Path, draw_tree: DrawTree) -> None:
    root = draw_tree(tmp_path / "a", {"set/Positive": 1, "set/Negative": 1})
    _refused(root, tmp_path, f"Negative, Positive are the classes.*dataset.path={root}/set")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder")
def test_a_locked_folder(tmp_path: Path, draw_tree: DrawTree) -> None:
    root = draw_tree(tmp_path / "a", {"crack": 1, "plain/deep": 1})
    (root / "plain/deep").chmod(0)
    with pytest.raises(DataError, match=r"cannot be read .Permission denied"):
        _folder(root, tmp_path).prepare()
    (root / "plain/deep").chmod(0o755)


def test_limit_and_bad_files_are_passed_on(tmp_path: Path, draw_tree: DrawTree) -> None:
    root = draw_tree(tmp_path / "a", {"crack": 5, "plain": 5})
    assert len(_folder(root, tmp_path, limit=6).prepare()) == 6
    (root / "crack/00000.jpg").write_bytes(b"")
    assert len(_folder(root, tmp_path, on_bad_file="skip").prepare()) == 9


def _synthetic(cache: Path, **options: object) -> Synthetic:
    given = {"count": 6, "size": 32, "draw_seed": 0, "positive": "Positive", **options}
    return Synthetic(name="synthetic", limit=None, on_bad_file="error", cache=cache, **given)


def test_the_synthetic_set_is_drawn_once(tmp_path: Path) -> None:
    first = _synthetic(tmp_path).prepare()
    assert np.bincount(first.labels).tolist() == [3, 3]
    assert first.positives == ("Positive",)
    made = first.path(0).stat().st_mtime_ns
    assert _synthetic(tmp_path).prepare().fingerprint == first.fingerprint
    assert first.path(0).stat().st_mtime_ns == made


def test_every_argument_draws_a_set_of_its_own(tmp_path: Path) -> None:
    others = [{"count": 8}, {"size": 40}, {"draw_seed": 1}, {"cracks": "thin"}]
    indexes = [_synthetic(tmp_path, **changed).prepare() for changed in [{}, *others]]
    assert len({index.root for index in indexes}) == 5
    assert len({index.fingerprint for index in indexes}) == 5


def test_another_generator_draws_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _synthetic(tmp_path).path
    assert _synthetic(tmp_path).path == before
    black = np.zeros((32, 32, 3), np.uint8)
    monkeypatch.setattr("crackexp.data.sources.synthetic.draw_patch", lambda *arguments: black)
    assert _synthetic(tmp_path).path != before


def _renamed(root: Path, photos: int) -> Path:
    """Renames the images of a tree to PHOTO__NUMBER.jpg, of some photos in turn."""
    for file in root.glob("*/*"):
        file.rename(file.with_name(f"wall-{int(file.stem) % photos}__{file.name}"))
    return root


def test_the_photo_of_a_patch_is_read_from_its_name(tmp_path: Path, draw_tree: DrawTree) -> None:
    root = _renamed(draw_tree(tmp_path / "a", {"Positive": 3, "Negative": 4}), 2)
    index = _folder(root, tmp_path, photo="(.+)__").prepare()
    assert index.groups is not None
    assert [Path(file).name.partition("__")[0] for file in index.files] == index.groups.tolist()
    assert set(index.groups) == {"wall-0", "wall-1"}


def test_a_name_without_a_photo_is_refused(tmp_path: Path, draw_tree: DrawTree) -> None:
    root = _renamed(draw_tree(tmp_path / "a", {"Positive": 3, "Negative": 4}), 2)
    draw_tree(root, {"Positive": 1})
    _refused(root, tmp_path, r"no photo in the names of 1 of 8 files, such as 00000\.jpg", photo="(.+)__")
    _refused(root, tmp_path, r"no photo in the names of 8 of 8 files", photo="(x*)")


def test_a_table_names_its_groups_by_itself(tmp_path: Path, draw_tree: DrawTree) -> None:
    root = draw_tree(tmp_path / "a", {"Positive": 2, "Negative": 2})
    rows = [f"{file.relative_to(root)},{file.parent.name},wall" for file in sorted(root.glob("*/*"))]
    (root / "labels.csv").write_text("\n".join(["file,label,group", *rows]))
    with pytest.raises(ConfigError, match=r"names the group of each image already.*Received: dataset\.photo=\(\.\)"):
        _folder(root / "labels.csv", tmp_path, photo="(.)").prepare()
