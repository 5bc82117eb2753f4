import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from crackexp.data.sources import Mendeley
from crackexp.data.sources import mendeley as mendeley_module
from crackexp.utils.errors import DataError

DrawTree = Callable[..., Path]
WriteRar = Callable[[Path, Mapping[str, bytes]], Path]


def _source(cache: Path, **options: object) -> Mendeley:
    given = {"path": None, "archive": None, "url": "http://127.0.0.1:9/a.zip", **options}
    return Mendeley(
        name="mendeley",
        archive_sha256=None,
        limit=None,
        on_bad_file="error",
        cache=cache,
        **given,
    )


@pytest.fixture
def images(tmp_path: Path, draw_tree: DrawTree) -> dict[str, bytes]:
    root = draw_tree(tmp_path / "drawn", {"Positive": 2, "Negative": 3})
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*.jpg")}


@pytest.mark.parametrize("wrapping", ["", "Concrete Crack Images", "one/two"])
def test_an_unpacked_folder(tmp_path: Path, draw_tree: DrawTree, wrapping: str) -> None:
    root = tmp_path / "a" / wrapping
    draw_tree(root, {"Positive": 2, "Negative": 3})
    index = _source(tmp_path, path=tmp_path / "a").prepare()
    assert index.root == root
    assert np.bincount(index.labels).tolist() == [3, 2]


@pytest.mark.parametrize("wrapping", ["", "Concrete Crack Images/"])
def test_the_rar_and_the_zip_around_it(
    tmp_path: Path, images: dict[str, bytes], write_rar: WriteRar, wrapping: str
) -> None:
    rar = tmp_path / "Concrete Crack Images for Classification.rar"
    write_rar(rar, {f"{wrapping}{name}": data for name, data in images.items()})
    with zipfile.ZipFile(tmp_path / "5y9wdsg2zt-2.zip", "w") as target:
        target.write(rar, rar.name)
    indexes = [
        _source(tmp_path / "cache", archive=archive).prepare() for archive in (rar, tmp_path / "5y9wdsg2zt-2.zip")
    ]
    assert indexes[0].files.tolist() == sorted(images)
    assert indexes[0].fingerprint == indexes[1].fingerprint


def test_a_download(
    tmp_path: Path,
    images: dict[str, bytes],
    write_rar: WriteRar,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def fetch(url: str, target: Path, *, sha256: str | None, by_hand: str) -> Path:
        asked.append(url)
        rar = write_rar(tmp_path / "inner.rar", images)
        with zipfile.ZipFile(target, "w") as outer:
            outer.write(rar, "Concrete Crack Images for Classification.rar")
        return target

    monkeypatch.setattr(mendeley_module, "download", fetch)
    index = _source(tmp_path / "cache").prepare()
    assert asked == ["http://127.0.0.1:9/a.zip"]
    assert index.files.tolist() == sorted(images)


def test_offline_the_error_says_what_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(DataError, match="cannot be reached") as caught:
        _source(tmp_path).prepare()
    message = str(caught.value)
    assert "https://data.mendeley.com/datasets/5y9wdsg2zt/2" in message
    assert "dataset.archive=/path/to.zip" in message


def test_another_tree_is_refused(tmp_path: Path, draw_tree: DrawTree) -> None:
    root = draw_tree(tmp_path / "a", {"crack": 1, "plain": 1})
    with pytest.raises(DataError, match=r"crack, plain.*dataset=folder"):
        _source(tmp_path, path=root).prepare()
