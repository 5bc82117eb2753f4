"""Commands that use a model on files with names of any kind: the batch goes on, and each file is told."""

import json
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from crackexp.data.classes.decisions import Classes, Thresholds
from crackexp.predicting.explanations import Explanations
from crackexp.predicting.inputs import InputFile
from crackexp.predicting.predictor import ExplainingPredictor
from crackexp.predicting.tables import writing
from crackexp.reporting import artifacts
from crackexp.tracking.models import LoggedModel
from crackexp.utils.csv_text import unescaped
from crackexp.utils.names import visible
from tests.conftest import Command
from tests.odd_names import SCRIPT, draw_oddly_named

READ = {
    ".csv": lambda file: pd.read_csv(file).map(unescaped),
    ".parquet": pd.read_parquet,
    ".jsonl": lambda file: pd.read_json(file, lines=True),
}


@pytest.mark.parametrize("suffix", READ)
def test_a_table_names_every_file(classifier: object, tmp_path: Path, suffix: str) -> None:
    files = draw_oddly_named(tmp_path / "odd")
    logged = LoggedModel(classifier, Classes(("Negative", "Positive"), ("Positive",)), Thresholds(), {}, None)
    predictor = ExplainingPredictor(logged)
    missing = InputFile("caf\udcea.png", "no file caf\udcea.png")
    made = Explanations(tmp_path / "explained", predictor.target, predictor.enlarge)
    with writing(tmp_path / f"table{suffix}") as write:
        for inputs, rows, maps in predictor.explained([*(InputFile(str(file)) for file in files), missing]):
            write(made.add(inputs, rows, maps))
    table = READ[suffix](tmp_path / f"table{suffix}")
    assert table["path"].tolist() == [*(visible(str(file)) for file in files), "caf\\xea.png"]
    assert table["reason"].notna().tolist() == [False] * len(files) + [True]
    for picture in table["picture"].dropna():
        assert (tmp_path / "explained" / picture).is_file()
    report = made.report("a model", predictor.counts, predictor.thresholds.defect)
    page = artifacts.write(report, made.folder)[-1].read_text("utf-8")
    assert "caf\\xe9.png" in page
    assert SCRIPT not in page
    assert predictor.account.text()


@pytest.mark.slow
def test_predict_takes_a_name_of_any_bytes_as_it_is_typed(command: Command, model: str, tmp_path: Path) -> None:
    files = draw_oddly_named(tmp_path / "caf\udce9")
    (tmp_path / "caf\udce9" / "no \udcff\x1b[2Jimage.png").write_text("text")
    done = command("predict", f"model={model}", "input='caf\udce9'", "out=table.csv")
    assert done.returncode == 3, done.stderr
    assert "caf\\xe9/no \\xff\\x1b[2Jimage.png: not a" in done.stdout
    assert len(pd.read_csv(tmp_path / "table.csv")) == len(files) + 1


@pytest.mark.slow
def test_a_survey_of_odd_names_makes_files_that_everything_takes(command: Command, model: str, tmp_path: Path) -> None:
    files = draw_oddly_named(tmp_path / "odd")
    (tmp_path / "odd" / "caf\udce9 no image.png").write_text("text")
    done = command("survey", f"model={model}", "input=odd", "out=survey", "tile.size=40")
    assert done.returncode == 3, done.stderr
    assert "\x1b" not in done.stdout
    table = pd.read_csv(tmp_path / "survey" / "photos.csv").map(unescaped)
    assert set(table["photo"]) == {visible(file.name) for file in files} | {"caf\\xe9 no image.png"}
    names = set()
    for stem in table["files"].dropna():
        for suffix in (".jpg", ".gradcam.jpg", ".tiles.csv", ".geojson"):
            assert (tmp_path / "survey" / f"{stem}{suffix}").is_file()
        names.add(json.loads((tmp_path / "survey" / f"{stem}.geojson").read_text())["image"]["name"])
    assert names == {visible(file.name) for file in files}
    page = (tmp_path / "survey" / "report.html").read_text("utf-8")
    assert SCRIPT not in page
    assert "<script>document" not in page
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlruns/mlflow.db")
    (run,) = client.search_runs([client.get_experiment_by_name("crackexp").experiment_id])
    assert len(client.list_artifacts(run.info.run_id, "survey/photos")) == 4 * len(files)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Glyph .* missing from font")
def test_a_model_is_trained_on_a_dataset_of_odd_names_and_judged_again(
    command: Command, command_here: Command, tmp_path: Path
) -> None:
    for number, name in enumerate(("=2+5 \udce9", "[b] crack [x")):
        draw_oddly_named(tmp_path / "caf\udce9" / name, side=40 + 8 * number)
    from tests.conftest import TINY

    data = ["dataset=folder", "dataset.path='caf\udce9'", "dataset.positive='[b] crack [x'"]
    done = command("train", *data, *TINY, "tracking.uri=sqlite:///store/mlflow.db")
    assert done.returncode == 0, done.stdout + done.stderr
    (file,) = tmp_path.glob("outputs/train/*/*/result.json")
    run = json.loads(file.read_text())["run_id"]
    again = command_here(
        "evaluate", f"run={run}", *data, "evaluation.resamples=20", "tracking.uri=sqlite:///store/mlflow.db"
    )
    assert again.returncode == 0, again.stdout + again.stderr
    assert "in the model's train or val" in again.stdout
    audited = command_here("audit", *data, "image_size=32", "out=audit", "tracking.uri=sqlite:///store/mlflow.db")
    assert audited.returncode == 0, audited.stdout + audited.stderr
    images = pd.read_csv(tmp_path / "audit" / "images.csv").map(unescaped)
    assert set(images["class"]) == {"=2+5 \\xe9", "[b] crack [x"}
    assert np.isin(["=2+5 \\xe9/caf\\xe9.png"], images["file"]).all()
    assert SCRIPT not in (tmp_path / "audit" / "report.html").read_text("utf-8")
