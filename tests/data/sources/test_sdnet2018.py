import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from crackexp.data.sources import Sdnet2018
from crackexp.utils.errors import ConfigError, DataError

DrawTree = Callable[..., Path]
PUBLISHED = {"D/CD": 2, "D/UD": 3, "P/CP": 1, "P/UP": 2, "W/CW": 1, "W/UW": 1}
WRITTEN = {
    "Decks/Cracked": 2,
    "Decks/Non-cracked": 3,
    "pavements/CRACKED": 1,
    "pavements/Non Cracked": 2,
    "Walls/Cracked": 1,
    "Walls/Uncracked": 1,
}


def _source(path: Path | None, cache: Path, **options: object) -> Sdnet2018:
    given = {"archive": None, "surfaces": ["decks", "pavements", "walls"], **options}
    return Sdnet2018(name="sdnet2018", path=path, limit=None, on_bad_file="error", cache=cache, **given)


def _name_patches(root: Path) -> None:
    for path in sorted(root.rglob("*.jpg")):
        path.rename(path.with_name(f"70{int(path.stem) % 2:02d}-{int(path.stem)}.jpg"))


@pytest.mark.parametrize("layout", [PUBLISHED, WRITTEN], ids=["published", "written out"])
@pytest.mark.parametrize("wrapping", ["", "SDNET2018"])
def test_both_layouts(tmp_path: Path, draw_tree: DrawTree, layout: dict[str, int], wrapping: str) -> None:
    draw_tree(tmp_path / "a" / wrapping, layout)
    _name_patches(tmp_path / "a")
    index = _source(tmp_path / "a", tmp_path).prepare()
    assert index.class_names == ("cracked", "uncracked")
    assert index.positives == ("cracked",)
    assert np.bincount(index.labels).tolist() == [4, 6]
    surface = {"d": "decks", "p": "pavements", "w": "walls"}
    for i in range(len(index)):
        folder, photo = str(index.files[i])[0].lower(), index.path(i).name[:4]
        assert index.groups[i] == f"{surface[folder]}/{photo}"
        cracked = index.path(i).parent.name in ("CD", "CP", "CW", "Cracked", "CRACKED")
        assert index.labels[i] == (not cracked)


def test_one_photo_number_on_two_surfaces_is_two_groups(tmp_path: Path, draw_tree: DrawTree) -> None:
    root = draw_tree(tmp_path / "a", {f"{s}/{c}{s}": 1 for s in "DW" for c in "CU"})
    index = _source(root, tmp_path, surfaces=["decks", "walls"]).prepare()
    assert set(index.groups.tolist()) == {"decks/00000", "walls/00000"}


def test_surfaces_are_chosen(tmp_path: Path, draw_tree: DrawTree) -> None:
    root = draw_tree(tmp_path / "a", PUBLISHED)
    index = _source(root, tmp_path, surfaces=["walls"]).prepare()
    assert index.files.tolist() == ["W/CW/00000.jpg", "W/UW/00000.jpg"]
    for surfaces in ([], ["roofs"], ["decks", "Walls"]):
        with pytest.raises(ConfigError, match=r"decks, pavements, walls\. Received"):
            _source(root, tmp_path, surfaces=surfaces)


def test_an_archive(tmp_path: Path, draw_tree: DrawTree) -> None:
    draw_tree(tmp_path / "a", PUBLISHED)
    archive = Path(shutil.make_archive(str(tmp_path / "SDNET2018"), "zip", tmp_path / "a"))
    index = _source(None, tmp_path / "cache", archive=archive).prepare()
    assert len(index) == 10


def test_what_is_missing_is_named(tmp_path: Path, draw_tree: DrawTree) -> None:
    with pytest.raises(ConfigError, match=r"dataset\.path=UNPACKED_FOLDER"):
        _source(None, tmp_path)
    root = draw_tree(tmp_path / "a", {"D/CD": 1, "D/UD": 1, "P/UP": 1})
    with pytest.raises(DataError, match="No cracked pavements were found"):
        _source(root, tmp_path, surfaces=["decks", "pavements"]).prepare()
    with pytest.raises(DataError, match="folders D, P, W or Decks"):
        _source(draw_tree(tmp_path / "b", {"crack": 1}), tmp_path).prepare()


def test_real_patches(real_data: Path, tmp_path: Path) -> None:
    index = _source(real_data / "sdnet2018-sample", tmp_path).prepare()
    assert np.bincount(index.labels).tolist() == [343, 1367]
    groups, counts = np.unique(index.groups, return_counts=True)
    assert groups.tolist() == [
        "decks/7019",
        "decks/7040",
        "pavements/072",
        "pavements/100",
        "pavements/103",
        "walls/7079",
        "walls/7089",
    ]
    assert counts.tolist() == [252, 252, 234, 234, 234, 252, 252]
