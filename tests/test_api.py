"""The Python face of crackexp: configs are composed, models trained, loaded and used without a command line."""

from pathlib import Path

import cv2
import mlflow
import numpy as np
import pandas as pd
import pytest

import crackexp
from crackexp.utils.errors import ConfigError, DataError, UserError
from tests.conftest import TINY, Command


def test_a_config_is_composed_without_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = crackexp.compose("train", ["+experiment=mobilenet", "dropout=0.1"])
    assert config.dropout == 0.1
    assert config.paths.root == str(tmp_path)
    assert Path(config.paths.output).parents[1] == tmp_path / "outputs" / "mobilenet"
    assert not (tmp_path / "outputs").exists()
    assert config.paths.output != crackexp.compose().paths.output
    config.epochs = 3
    assert config.trainer.epochs == 3


def test_files_of_ones_own_are_found(tmp_path: Path) -> None:
    (tmp_path / "split").mkdir()
    (tmp_path / "split" / "half.yaml").write_text("defaults: [ratio, _self_]\nratio: [0.5, 0.25, 0.25]\n")
    assert crackexp.compose("train", ["split=half"], tmp_path).split.ratio == [0.5, 0.25, 0.25]


@pytest.mark.parametrize(
    ("command", "overrides", "words"),
    [
        ("tran", [], ["Did you mean 'train'?", "Received: tran"]),
        ("train", ["optimizer=adm"], ["Did you mean 'adam'?", "optimizer=adm"]),
        ("train", ["dropuot=0.3"], ["Did you mean 'dropout'?", "dropuot=0.3"]),
        ("train", ["dropout"], ["dropout=VALUE"]),
    ],
)
def test_a_mistake_is_told_in_a_sentence(command: str, overrides: list[str], words: list[str]) -> None:
    with pytest.raises(ConfigError) as told:
        crackexp.compose(command, overrides)
    assert all(word in str(told.value) for word in words)


def test_a_value_out_of_range_is_refused_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"dropout: must be less than 1"):
        crackexp.train(crackexp.compose("train", ["dropout=2"]))


def test_a_model_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="no such model"):
        crackexp.load_model(32 * "a")


@pytest.mark.slow
def test_what_is_trained_in_python_is_used_in_python(
    patches: Path, cache: Path, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CRACKEXP_CACHE", str(cache))
    words = ["dataset=folder", f"dataset.path={patches}", *TINY]
    result = crackexp.train(crackexp.compose("train", words))
    run = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlruns/mlflow.db").get_run(result.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["test/accuracy"] == result.metrics["test/accuracy"]

    model = crackexp.load_model(result.run_id)
    assert (model.run_id, model.class_names, model.image_size) == (result.run_id, ("Negative", "Positive"), 32)
    files = [
        *sorted((patches / "Positive").glob("*.jpg"))[:3],
        tmp_path / "nothing.jpg",
        patches / "Negative" / "000.jpg",
    ]
    table = model.predict(files)
    assert table["path"].tolist() == list(map(str, files))
    assert table["reason"].notna().tolist() == [False, False, False, True, False]
    done = command("predict", f"model={result.run_id}", f"input={files[0]}", "out=table.csv")
    assert done.returncode == 0, done.stderr
    assert pd.read_csv(tmp_path / "table.csv")["probability"][0] == pytest.approx(table["probability"][0], abs=1e-6)

    arrays = [cv2.imread(str(file), cv2.IMREAD_COLOR_RGB) for file in files if file.exists()]
    by_array = model.predict(arrays)
    assert by_array["path"].tolist() == ["array 0", "array 1", "array 2", "array 3"]
    np.testing.assert_allclose(by_array["probability"], table["probability"].dropna(), atol=1e-6)
    assert len(model.predict(np.stack(arrays))) == 4
    assert len(model.predict(patches / "Negative")) == 30
    with pytest.raises(DataError, match="float64"):
        model.predict(arrays[0] / 255)

    first, *others = model.explain(files)
    assert len(others) == 3
    assert first.saliency.shape == arrays[0].shape[:2]
    assert first.picture.shape == first.image.shape
    np.testing.assert_array_equal(first.image, arrays[0])
    with pytest.raises(ConfigError, match="target=Crack"):
        model.explain(files, target="Crack")
