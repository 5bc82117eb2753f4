"""A dataset with two kinds of damage, through every command: what is of a damage class is never called sound."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import mlflow
import numpy as np
import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from mlflow.models import Model
from omegaconf import open_dict

from crackexp.calibrate import calibrate
from crackexp.comparison.items import read_predictions
from crackexp.config.options import conf_dir
from crackexp.data.images.decode import load_image
from crackexp.data.synthetic import draw_patch
from crackexp.evaluate import evaluate
from crackexp.explain import explain
from crackexp.export import export
from crackexp.predict import predict
from crackexp.survey import survey
from crackexp.train import train
from crackexp.utils.errors import ConfigError, DataError, UserError
from tests.conftest import TINY, write_patches

pytestmark = pytest.mark.slow

DAMAGE = ("crack", "spalling")
BOTH = "dataset.positive=[crack,spalling]"
Run = Callable[..., Any]


def write_walls(root: Path, each: int, size: int = 48) -> Path:
    """Writes drawn patches of three classes: cracked ones, sound ones, and sound ones with dark blobs for spalling."""
    rng = np.random.default_rng(3)
    for name in ("crack", "sound", "spalling"):
        (root / name).mkdir(parents=True)
        for number in range(each):
            patch = draw_patch(11, number, name == "crack", size)
            for _ in range(3 if name == "spalling" else 0):
                center = tuple(int(place) for place in rng.integers(10, size - 10, 2))
                cv2.circle(patch, center, int(rng.integers(6, 10)), (70, 60, 55), -1)
            cv2.imwrite(str(root / name / f"{number:03}.png"), patch[..., ::-1])
    return root


@pytest.fixture(scope="module")
def walls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_walls(tmp_path_factory.mktemp("walls"), 24)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Run:
    """Runs a command in this process, in a store that all tests of the module share."""
    root = tmp_path_factory.mktemp("damage")

    def typed(command: Callable[..., Any], *overrides: str) -> Any:
        GlobalHydra.instance().clear()
        name = command.__name__
        paths = [f"paths.root={root}", f"paths.cache={cache}", f"paths.output={root / name}"]
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            cfg = compose(name, [*paths, *overrides], return_hydra_config=True)
        HydraConfig.instance().set_config(cfg)
        with open_dict(cfg):
            del cfg["hydra"]
        try:
            return command(cfg)
        finally:
            GlobalHydra.instance().clear()

    typed.root = root  # type: ignore[attr-defined]
    return typed


def result_of(run: Run, name: str) -> dict[str, Any]:
    return json.loads((run.root / name / "result.json").read_text())


def artifact(run_id: str, path: str) -> Path:
    return Path(mlflow.get_run(run_id).info.artifact_uri.removeprefix("file://"), path)


@pytest.fixture(scope="module")
def trained(run: Run, walls: Path, patches: Path) -> str:
    """The id of a training run that is judged on a set of two other classes, too."""
    also = f"evaluation.also=[{{folder:{{path:{patches},name:others}}}}]"
    words = ["policy.false_alarms=0.2", "policy.confidence=0.5", "image_size=64", "batch_size=8", "epochs=30"]
    run(train, "dataset=folder", f"dataset.path={walls}", BOTH, *words, "evaluation.resamples=20", also)
    return str(result_of(run, "train")["run_id"])


def check(table: pd.DataFrame, predicted: str = "label") -> None:
    """No row says of damage that it is sound, whatever the threshold."""
    assert set(table["decision"]) <= {"damage", "unsure", "sound"}
    assert not ((table["decision"] == "sound") & table[predicted].isin(DAMAGE)).any()
    assert len(table)


def test_damage_is_never_called_sound_in_what_a_run_logs(run: Run, trained: str) -> None:
    metrics = result_of(run, "train")["metrics"]
    table = read_predictions(artifact(trained, "test/predictions.csv"))
    check(table, "prediction")
    assert table["correct"].mean() > 0.6, "a network that tells nothing apart would show nothing"
    both = table["probability_crack"] + table["probability_spalling"]
    np.testing.assert_allclose(table["probability"], both, atol=1e-6)
    damaged = table["label"].isin(DAMAGE)
    assert metrics["test/decided_recall"] == pytest.approx(np.mean(table["decision"][damaged] != "sound"))
    assert metrics["test/decided_false_alarms"] == pytest.approx(np.mean(table["decision"][~damaged] == "damage"))
    assert metrics["test/accuracy"] == pytest.approx(np.mean(table["label"] == table["prediction"]))

    report = artifact(trained, "test/classification_report.txt").read_text()
    counts = pd.crosstab(table["label"], table["decision"]).reindex(columns=["damage", "unsure", "sound"], fill_value=0)
    for name, row in counts.iterrows():
        shown = f"{name} (damage)" if name in DAMAGE else name
        (line,) = [line for line in report.splitlines() if line.startswith(f"{shown} ") and "." not in line]
        assert line.split()[-3:] == [str(count) for count in row]
    logged = pd.read_csv(artifact(trained, "test/metrics.csv"), index_col="metric")
    assert logged.loc["decided_recall", "value"] == pytest.approx(metrics["test/decided_recall"])
    assert "damage found" in mlflow.get_run(trained).data.tags["mlflow.note.content"]


def test_a_set_of_two_other_classes_is_judged_as_damage_and_the_rest(run: Run, trained: str, patches: Path) -> None:
    table = read_predictions(artifact(trained, "also/others/predictions.csv"))
    assert set(table["label"]) == {"Negative", "Positive"}
    expected = np.where(table["probability"] > 0.5, "Positive", "Negative")
    np.testing.assert_array_equal(table["prediction"], expected)
    metrics = run(evaluate, f"run={trained}", "dataset=folder", f"dataset.path={patches}", "evaluation.resamples=20")
    again = read_predictions(artifact(result_of(run, "evaluate")["run_id"], "test/predictions.csv"))
    np.testing.assert_allclose(again["probability"], table["probability"], atol=3e-5)
    assert metrics["test/decided_recall"] == pytest.approx(
        result_of(run, "train")["metrics"]["also/others/decided_recall"], abs=0.05
    )


def test_evaluate_agrees_about_which_classes_are_damage_or_refuses(run: Run, trained: str, walls: Path) -> None:
    words = [f"run={trained}", "dataset=folder", f"dataset.path={walls}", "evaluation.resamples=20"]
    run(evaluate, *words, BOTH, "evaluation.corruptions=[dark]")
    check(read_predictions(artifact(result_of(run, "evaluate")["run_id"], "test/predictions.csv")), "prediction")
    with pytest.raises(DataError, match=r"dataset\.positive=\[crack,spalling\].*Received: dataset\.positive=null"):
        run(evaluate, *words)
    with pytest.raises(DataError, match=r"dataset\.positive=\[crack,spalling\].*Received: dataset\.positive=\[crack\]"):
        run(evaluate, *words, "dataset.positive=crack")


@pytest.mark.parametrize("threshold", [None, 0.05, 0.95])
def test_predict_and_the_server_say_the_same(
    run: Run, trained: str, walls: Path, tmp_path: Path, threshold: float | None
) -> None:
    asked = [] if threshold is None else [f"threshold={threshold}"]
    run(predict, f"model={trained}", f"input={walls}", f"out={tmp_path}/said.csv", *asked)
    table = pd.read_csv(tmp_path / "said.csv")
    check(table)
    served = mlflow.pyfunc.load_model(result_of(run, "train")["model_uri"])
    images = np.stack([load_image(Path(path)) for path in table["path"]])
    answers = served.predict(images, params={} if threshold is None else {"threshold": threshold})
    check(answers)
    np.testing.assert_allclose(answers["probability"], table["probability"], atol=1e-5)
    near = np.abs(table["probability"] - (served.metadata.metadata["threshold"] if threshold is None else threshold))
    assert answers["decision"][near > 1e-5].tolist() == table["decision"][near > 1e-5].tolist()


def test_a_survey_calls_no_tile_of_damage_sound(run: Run, trained: str, walls: Path, tmp_path: Path) -> None:
    tops = [np.hstack([cv2.imread(str(walls / name / "000.png"))] * 3) for name in ("crack", "sound", "spalling")]
    cv2.imwrite(str(tmp_path / "wall.png"), np.vstack(tops))
    words = [f"model={trained}", f"input={tmp_path / 'wall.png'}", f"out={tmp_path / 'survey'}", "tile.size=48"]
    run(survey, *words, "threshold=0.3", "relative_to_photo=false")
    photos = pd.read_csv(tmp_path / "survey" / "photos.csv")
    assert photos["decision"].tolist() == ["damage"]
    tiles = pd.read_csv(next((tmp_path / "survey" / "photos").glob("*.tiles.csv")))
    assert (tiles["decision"] == np.where(tiles["probability"] >= 0.3, "damage", tiles["decision"])).all()
    page = (tmp_path / "survey" / "report.html").read_text()
    assert "1 of 1 photo shows damage" in page
    shown = page.partition("<h1>")[2].partition("<ul")[0]
    assert "crack" not in shown.replace("; crackexp", "")


def test_explain_speaks_for_all_damage_or_for_one_class(run: Run, trained: str, walls: Path, tmp_path: Path) -> None:
    files = [f"model={trained}", f"input={walls / 'spalling'}"]
    run(explain, *files, f"out={tmp_path / 'all'}")
    check(pd.read_csv(tmp_path / "all" / "explanations.csv"))
    assert "crack or spalling" in (tmp_path / "all" / "report.html").read_text()
    run(explain, *files, f"out={tmp_path / 'one'}", "target=sound")
    assert "against sound" in (tmp_path / "one" / "report.html").read_text()


def test_an_exported_card_tells_which_classes_are_damage(run: Run, trained: str, tmp_path: Path) -> None:
    run(export, f"model={trained}", "formats=[keras]", f"out={tmp_path}")
    card = json.loads((tmp_path / "model.json").read_text())
    assert card["positive"] == ["crack", "spalling"]
    assert card["class_names"] == ["crack", "sound", "spalling"]
    assert "damage where" in card["decision"]


def test_a_site_is_fitted_with_two_classes_only(run: Run, trained: str, walls: Path) -> None:
    with pytest.raises(ConfigError, match=r"two classes.*3 classes, crack, sound, spalling"):
        run(calibrate, f"model={trained}", f"dataset.path={walls}", BOTH)


def test_training_asks_which_classes_are_damage_before_it_begins(run: Run, walls: Path) -> None:
    count = len(mlflow.search_runs(search_all_experiments=True))
    with pytest.raises(DataError, match=r"crack, sound, spalling.*dataset\.positive=\[crack,spalling\]"):
        run(train, "dataset=folder", f"dataset.path={walls}", *TINY)
    with pytest.raises(ConfigError, match=r"dataset\.positive"):
        run(train, "dataset=folder", f"dataset.path={walls}", "dataset.positive=[]", *TINY)
    assert len(mlflow.search_runs(search_all_experiments=True)) == count


def test_a_model_that_was_never_asked_is_refused_by_every_command(
    run: Run, trained: str, walls: Path, tmp_path: Path
) -> None:
    """As logged before: one name in `positive`, found by its name, and two more classes."""
    folder = Path(mlflow.artifacts.download_artifacts(result_of(run, "train")["model_uri"], dst_path=str(tmp_path)))
    file = next(folder.rglob("MLmodel"))
    described = Model.load(file)
    described.metadata = {key: value for key, value in described.metadata.items() if key not in ("checksum", "sha256")}
    described.metadata["positive"] = "crack"
    described.save(file)
    model = [f"model={file.parent}", f"input={walls}", f"out={tmp_path / 'out.csv'}"]
    told = r"crack, sound, spalling are damage.*dataset\.positive=\[crack,spalling\].*Received: (model|run)="
    for command, words in (
        (predict, model),
        (survey, [*model[:2], f"out={tmp_path / 'out'}"]),
        (explain, [*model[:2], f"out={tmp_path / 'out'}"]),
        (export, [model[0], f"out={tmp_path / 'out'}"]),
        (evaluate, [f"run={file.parent}", "dataset=folder", f"dataset.path={walls}", BOTH]),
        (calibrate, [model[0], f"dataset.path={walls}", BOTH]),
    ):
        with pytest.raises(UserError, match=told):
            run(command, *words)


def test_two_classes_and_one_crack_keep_their_words_and_files(run: Run, tmp_path: Path) -> None:
    patches = write_patches(tmp_path / "two", ("Negative", "Positive"), 12)
    run(train, "dataset=folder", f"dataset.path={patches}", *TINY, "policy.temperature=false")
    result = result_of(run, "train")
    assert mlflow.models.get_model_info(result["model_uri"]).metadata["positive"] == "Positive"
    table = read_predictions(artifact(result["run_id"], "test/predictions.csv"))
    assert list(table)[-2:] == ["confidence", "probability"]
    assert "Decisions" not in artifact(result["run_id"], "test/classification_report.txt").read_text()
    assert "cracks found" in mlflow.get_run(result["run_id"]).data.tags["mlflow.note.content"]
