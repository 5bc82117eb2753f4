"""What `crackexp.load_model` returns does in Python what the commands do."""

import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

import crackexp
from crackexp.utils.errors import ConfigError, DataError
from tests.conftest import Command
from tests.predicting.conftest import classifier, model

__all__ = ["classifier", "model"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two photos, one with a dark stripe, and a file that is no photo."""
    folder = tmp_path / "site"
    folder.mkdir()
    wall = np.full((300, 400, 3), 230, np.uint8)
    cv2.imwrite(str(folder / "plain.png"), wall)
    wall[:, 180:260] = 20
    cv2.imwrite(str(folder / "stripe.png"), wall)
    (folder / "notes.png").write_text("no photo")
    return folder


@pytest.mark.slow
def test_a_survey_in_python_is_the_survey_of_the_command(
    model: str, photos: Path, tmp_path: Path, command_here: Command
) -> None:
    done = command_here("survey", f"model={model}", "input=site", "out=typed", "tile.size=40", "mm_per_px=0.5")
    assert done.returncode == 3, done.stderr
    table = crackexp.load_model(model).survey("site", "called", tile_size=40, mm_per_px=0.5)
    assert table["photo"].tolist() == ["notes.png", "plain.png", "stripe.png"], "in the order of the photos"
    assert "not a JPEG" in table["reason"][0]
    assert table["decision"].tolist()[1:] == ["sound", "crack"]
    by_command = pd.read_csv(tmp_path / "typed" / "photos.csv").set_index("photo").loc[table["photo"]].reset_index()
    for column in by_command.columns.drop(["reason", "files"]):
        expected, found = by_command[column][1:], table[column][1:]
        if column in ("photo", "decision", "doubt"):
            assert found.fillna("").tolist() == expected.fillna("").tolist(), column
        else:
            np.testing.assert_allclose(found.astype(float), expected, err_msg=column)
    for name in ("stripe.jpg", "stripe.geojson", "stripe.tiles.csv"):
        (called,) = (tmp_path / "called" / "photos").glob(f"*{name}")
        assert called.read_bytes() == (tmp_path / "typed" / "photos" / called.name).read_bytes()
    assert {"report.html", "report.pdf", "photos.csv"} <= {file.name for file in (tmp_path / "called").iterdir()}


@pytest.mark.slow
def test_arrays_are_surveyed_without_a_file(model: str, photos: Path, tmp_path: Path) -> None:
    here = crackexp.load_model(model)
    arrays = [cv2.imread(str(photos / name), cv2.IMREAD_COLOR_RGB) for name in ("stripe.png", "plain.png")]
    before = set(tmp_path.rglob("*"))
    table = here.survey(arrays, tile_size=40)
    assert set(tmp_path.rglob("*")) == before
    assert table["photo"].tolist() == ["array 0", "array 1"]
    assert table["decision"].tolist() == ["crack", "sound"]
    assert "files" not in table
    (outline,) = json.loads(table["geojson"][0])["features"]
    assert outline["properties"]["extent_px"] == table["longest_extent_px"][0] > 300
    by_file = here.survey([photos / "stripe.png"], tile_size=40)
    assert by_file.drop(columns=["photo", "geojson"]).equals(table.drop(columns=["photo", "geojson"]).head(1))


def test_what_cannot_be_surveyed_or_predicted_is_told(model: str, photos: Path) -> None:
    here = crackexp.load_model(model)
    with pytest.raises(ConfigError, match=r"tile\.overlap=2"):
        here.survey(photos, tile_overlap=2)
    with pytest.raises(ConfigError, match="threshold=7"):
        here.predict(photos, threshold=7)
    with pytest.raises(DataError, match="no images"):
        here.survey([])
    with pytest.raises(DataError, match="no such file"):
        here.survey(photos / "nothing.png")
