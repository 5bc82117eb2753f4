"""File names in MLflow's pyfunc model: read as ``crackexp predict`` reads them, and only where nobody is served."""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from crackexp.data.synthetic import draw_patch
from tests.conftest import Command


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """A plain patch, one that EXIF turns, one of 16 bits, a half transparent one, and one without a suffix."""
    patch = draw_patch(5, 1, True, 60)[:40]
    plain = Image.fromarray(patch)
    turned = plain.getexif()
    turned[0x0112] = 6
    plain.save(tmp_path / "plain.png")
    plain.save(tmp_path / "turned.jpg", exif=turned)
    Image.fromarray(patch[..., 0].astype(np.uint16) * 257).save(tmp_path / "deep.png")
    plain.putalpha(Image.fromarray(np.linspace(0, 255, 2400).reshape(40, 60).astype(np.uint8)))
    plain.save(tmp_path / "clear.png")
    (tmp_path / "IMG1").write_bytes((tmp_path / "turned.jpg").read_bytes())
    return ["plain.png", "turned.jpg", "deep.png", "clear.png", "IMG1"]


@pytest.fixture(scope="module")
def pyfunc(model: str) -> mlflow.pyfunc.PyFuncModel:
    return mlflow.pyfunc.load_model(model)


@pytest.fixture
def refusal(pyfunc: mlflow.pyfunc.PyFuncModel) -> Callable[[Any], str]:
    """Returns the message with which the model refuses its input."""

    def refused(model_input: Any) -> str:
        with pytest.raises(mlflow.MlflowException) as error:
            pyfunc.predict(model_input)
        assert error.value.get_http_status_code() == 400
        return str(error.value)

    return refused


@pytest.mark.slow
def test_files_are_read_as_the_command_reads_them(
    pyfunc: mlflow.pyfunc.PyFuncModel, model: str, files: list[str], tmp_path: Path, command_here: Command
) -> None:
    done = command_here("predict", f"model={model}", f"input=[{','.join(files)}]", "out=table.csv")
    assert done.returncode == 0, done.stderr
    expected = pd.read_csv(tmp_path / "table.csv")
    assert expected["path"].tolist() == files
    assert expected["probability"].nunique() >= 4
    contents = [base64.b64encode((tmp_path / name).read_bytes()).decode() for name in files]
    for given in (
        files,
        np.array(files),
        [str(tmp_path / name) for name in files],
        [tmp_path / name for name in files],
        [files[0], *contents[1:]],
        pd.DataFrame({"image": files}),
        expected[["path"]],
    ):
        found = pyfunc.predict(given)
        np.testing.assert_allclose(found["probability"], expected["probability"], atol=1e-5)
        assert found[["label", "decision"]].equals(expected[["label", "decision"]])
    assert pyfunc.predict("plain.png")["probability"][0] == pytest.approx(expected["probability"][0], abs=1e-5)


def test_a_name_without_an_image_is_told(
    refusal: Callable[[Any], str], files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("no image")
    for name in (
        "nothing.jpg",
        "IMG2",
        tmp_path / "nothing.jpg",
        ".",
        "null\0.jpg",
        "~nobody/x.jpg",
        300 * "x" + ".jpg",
    ):
        assert "Image 1" in refusal([files[0], name])
        assert "there is no such file" in refusal([files[0], name])
    assert "nothing.jpg" in refusal([tmp_path / "nothing.jpg"])
    told = refusal(["notes.txt"])
    assert "not a JPEG" in told
    assert "notes.txt" in told
    assert "no such file" not in told
    assert '"path"' in refusal(pd.DataFrame({"photo": files}))


def test_no_file_is_opened_for_a_client(
    refusal: Callable[[Any], str], files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a server answers does not even tell whether there is such a file."""
    monkeypatch.chdir(tmp_path)
    for variable in ("_MLFLOW_IS_IN_SERVING_ENVIRONMENT", "IS_IN_DB_MODEL_SERVING_ENV"):
        with monkeypatch.context() as patch:
            patch.setenv(variable, "true")
            for name in (files[0], Path(files[0]), "IMG1"):
                assert "files are not read here" in refusal([name])
            assert refusal(["plain.png"]) == refusal(["plein.png"]).replace("plein", "plain")


def test_reading_files_can_be_switched_off(model: str, files: list[str], tmp_path: Path) -> None:
    shut = mlflow.pyfunc.load_model(model, model_config={"read_files": False})
    with pytest.raises(mlflow.MlflowException, match="files are not read here"):
        shut.predict([str(tmp_path / files[0])])
    assert len(shut.predict([base64.b64encode((tmp_path / files[0]).read_bytes()).decode()])) == 1
