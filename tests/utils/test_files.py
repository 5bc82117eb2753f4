"""Folders that are there whole or not at all."""

from pathlib import Path

import pytest

from crackexp.utils.files import replacing_folder


def fill_and_fail(made: Path) -> None:
    with replacing_folder(made) as folder:
        (folder / "file").write_text("x")
        raise ZeroDivisionError


def test_a_folder_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    for made in (tmp_path / "above" / "new", tmp_path / "empty"):
        if made.name == "empty":
            made.mkdir()
        with replacing_folder(made) as folder:
            (folder / "file").write_text("x")
            assert not (made / "file").exists()
        assert (made / "file").read_text() == "x"
    with pytest.raises(ZeroDivisionError):
        fill_and_fail(tmp_path / "failed")
    with pytest.raises(OSError, match="not empty"), replacing_folder(tmp_path / "empty") as folder:
        (folder / "file").write_text("y")
    assert (tmp_path / "empty" / "file").read_text() == "x"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["above", "empty"]
