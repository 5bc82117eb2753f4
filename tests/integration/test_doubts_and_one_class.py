"""A run whose model learnt nothing says so; a model is judged on images that are all cracked, or all sound."""

import csv
from pathlib import Path

import cv2
import mlflow
import pytest
from mlflow.entities import Run

from crackexp.data.synthetic import draw_patch
from crackexp.metrics.intervals import wilson
from tests.conftest import TINY, Command
from tests.integration.test_train_command import artifacts, last_result, store_of, train


def write_one_class(root: Path, name: str, cracked: bool, count: int = 9) -> Path:
    """Writes patches that are all cracked, or all sound, below `root`/`name`."""
    (root / name).mkdir(parents=True)
    for number in range(count):
        patch = draw_patch(11, number, cracked, 48)
        cv2.imwrite(str(root / name / f"{number}.png"), patch[..., ::-1])
    return root


@pytest.fixture(scope="module")
def meaningless(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """A folder in which a model was trained on labels that say nothing, judged on cracked patches too."""
    root = tmp_path_factory.mktemp("meaningless")
    dataset = root / "patches"
    for name in ("Negative", "Positive"):
        write_one_class(dataset, name, cracked=False, count=30)
    for number, file in enumerate(sorted(dataset.rglob("*.png"))):
        cv2.imwrite(str(file), draw_patch(5, number, False, 48))
    cracked = write_one_class(root / "site", "cracked", cracked=True)
    also = f"evaluation.also=[{{folder:{{path:{cracked},name:site}}}}]"
    words = ["dataset=folder", f"dataset.path={dataset}", *TINY, "epochs=1", "optimizer.learning_rate=1e-12", also]
    done = train(root, *words, cache=cache)
    assert done.returncode == 0, done.stderr
    (root / "printed.txt").write_text(done.stdout)
    return root


def run_of(root: Path) -> Run:
    return store_of(root).get_run(last_result(root)["run_id"])


@pytest.mark.slow
def test_a_model_that_learnt_nothing_is_told(meaningless: Path) -> None:
    printed, run = (meaningless / "printed.txt").read_text(), run_of(meaningless)
    assert run.info.status == "FINISHED"
    last = printed[printed.index("Do not rely on this model") :]
    assert "dataset.positive" in last
    assert "folder, test: " in last
    assert "accuracy on val" in last
    assert "folder, test: " in run.data.tags["warning.model"]
    assert "Do not rely on this model" in run.data.tags["mlflow.note.content"]


@pytest.mark.slow
def test_another_dataset_of_cracked_images_alone_has_a_recall(meaningless: Path) -> None:
    store, run = store_of(meaningless), run_of(meaningless)
    files = artifacts(store, run.info.run_id)
    assert {"also/site/confusion_matrix.png", "also/site/reliability.png", "also/site/predictions.csv"} <= set(files)
    assert "also/site/roc_curve.png" not in files
    assert "also/site/roc_auc" not in run.data.metrics
    found = round(9 * run.data.metrics["also/site/recall"])
    expected = wilson(found, 9, 0.95)
    metrics = last_result(meaningless)["metrics"]
    assert metrics["also/site/recall_low"] == pytest.approx(expected.low)
    assert metrics["also/site/recall_high"] == pytest.approx(expected.high)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "cracked", "typed"), [("crack", True, []), ("no_crack", False, ["dataset.positive=crack"])]
)
def test_a_model_is_judged_on_images_of_one_class(
    meaningless: Path, command_here: Command, tmp_path: Path, name: str, cracked: bool, typed: list[str]
) -> None:
    site = write_one_class(tmp_path / "site", name, cracked)
    words = [f"run={run_of(meaningless).info.run_id}", "dataset=folder", f"dataset.path={site}", *typed]
    words += ["evaluation.resamples=20", "evaluation.corruptions=[jpeg]"]
    store = f"tracking.uri=sqlite:///{meaningless}/mlruns/mlflow.db"
    done = command_here("evaluate", *words, store)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    kind = "damaged" if cracked else "sound"
    assert f"All images are {kind}" in done.stdout
    client = mlflow.MlflowClient(f"sqlite:///{meaningless}/mlruns/mlflow.db")
    result = last_result(tmp_path)
    run, metrics = client.get_run(result["run_id"]), result["metrics"]
    assert metrics["test/accuracy_low"] < metrics["test/accuracy_high"]
    assert ("test/recall_low" in metrics) == cracked
    assert ("test/decided_false_alarms_high" in metrics) == (not cracked)
    assert "test/roc_auc" not in metrics
    folder = Path(run.info.artifact_uri.removeprefix("file://"))
    with (folder / "test" / "predictions.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["label"] for row in rows} == {"Positive" if cracked else "Negative"}
    assert not (folder / "test" / "roc_curve.png").exists()
    assert (folder / "test" / "most_wrong.png").exists()


@pytest.mark.slow
def test_what_one_class_does_not_allow_is_refused(meaningless: Path, command_here: Command, tmp_path: Path) -> None:
    site = write_one_class(tmp_path / "site", "crack", cracked=True)
    store = f"tracking.uri=sqlite:///{meaningless}/mlruns/mlflow.db"
    model = run_of(meaningless).info.run_id
    done = command_here("train", "dataset=folder", f"dataset.path={site}", *TINY)
    assert done.returncode == 2
    assert "holds only one class, crack" in done.stderr
    done = command_here("calibrate", f"model={model}", f"dataset.path={site}", store)
    assert done.returncode == 2
    assert "9 cracked, 0 sound" in done.stderr
    unknown = write_one_class(tmp_path / "other", "walls", cracked=True)
    done = command_here("evaluate", f"run={model}", "dataset=folder", f"dataset.path={unknown}", store)
    assert done.returncode == 2
    assert "dataset.positive=walls" in done.stderr
    assert "Traceback" not in done.stderr
