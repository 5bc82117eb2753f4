"""``python -m crackexp.train`` as users type it: what it prints, writes and leaves in the store."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest

from crackexp.data.images.decode import load_image
from tests.conftest import LISTENING, TINY, Command

ARTIFACTS = {
    "config/config.yaml",
    "config/overrides.txt",
    "data/augmentations.png",
    "data/leaks.csv",
    "data/manifest.csv",
    "data/samples.png",
    "environment/packages.txt",
    "network/architecture.png",
    "network/summary.txt",
    "test/classification_report.txt",
    "test/confusion_matrix.png",
    "test/metrics.csv",
    "test/most_wrong.png",
    "test/precision_recall_curve.png",
    "test/predictions.csv",
    "test/predictions.png",
    "test/reliability.png",
    "test/roc_curve.png",
    "training/curves.png",
}


def last_result(folder: Path) -> dict[str, Any]:
    """Returns result.json of the newest run below `folder`."""
    newest = max(folder.glob("outputs/*/*/*/result.json"), key=lambda file: file.stat().st_mtime)
    result: dict[str, Any] = json.loads(newest.read_text())
    return result


def same_metrics(result: dict[str, Any]) -> dict[str, float]:
    return {k: v for k, v in result["metrics"].items() if not k.startswith("time/")}


def store_of(folder: Path) -> mlflow.MlflowClient:
    return mlflow.MlflowClient(f"sqlite:///{folder}/mlruns/mlflow.db")


def artifacts(store: mlflow.MlflowClient, run_id: str, folder: str = "") -> set[str]:
    found: set[str] = set()
    for entry in store.list_artifacts(run_id, folder):
        found |= artifacts(store, run_id, entry.path) if entry.is_dir else {entry.path}
    return found


def runs(folder: Path) -> list[Any]:
    store = store_of(folder)
    return list(store.search_runs([store.get_experiment_by_name("crackexp").experiment_id]))


def train(root: Path, *arguments: str, cache: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "crackexp.train", *arguments]
    environment = {**os.environ, "CRACKEXP_CACHE": str(cache)}
    return subprocess.run(words, cwd=root, env=environment, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def job(patches: Path) -> list[str]:
    return ["+experiment=mobilenet", "dataset=folder", f"dataset.path={patches}", *TINY]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, job: list[str], cache: Path) -> Path:
    """A folder in which the main job ran once, and what it printed."""
    root = tmp_path_factory.mktemp("trained")
    done = train(root, *job, "tags=[baseline]", "register=tiny", cache=cache)
    assert done.returncode == 0, done.stderr
    (root / "printed.txt").write_text(done.stdout)
    return root


def test_the_sheet_of_augmentations_shows_no_more_epochs_than_the_run_has(trained: Path) -> None:
    sheets = (next(trained.glob(f"mlruns/**/data/{name}.png")) for name in ("augmentations", "samples"))
    (height, width), (of_nine, _) = (load_image(sheet).shape[:2] for sheet in sheets)
    assert of_nine > width, "nine images take three rows"
    assert height < width / 2, "an image and its views of two epochs take one"


def test_a_run_is_trained_tested_and_logged(trained: Path) -> None:
    store = store_of(trained)
    result = json.loads(next(trained.glob("outputs/mobilenet/*/*/result.json")).read_text())
    (saved,) = trained.glob("outputs/mobilenet/*/*/config.yaml")
    assert "${" not in saved.read_text()
    for words in ("dropout=0.3", "accuracy", "Time", result["run_id"], "crackexp.evaluate"):
        assert words in (trained / "printed.txt").read_text()

    run = store.get_run(result["run_id"])
    assert run.info.status == "FINISHED"
    assert run.data.tags["baseline"] == "true"
    assert run.data.params["optimizer.learning_rate"] == "0.0001"
    for name in ("train/loss", "train/accuracy", "val/loss", "val/accuracy"):
        assert [metric.step for metric in store.get_metric_history(run.info.run_id, name)] == [1, 2]
    for name in ("val/accuracy_before", "val/loss_before", "test/accuracy", "test/roc_auc"):
        assert name in run.data.metrics
    assert (
        run.data.metrics["test/accuracy_low"]
        <= run.data.metrics["test/accuracy"]
        <= run.data.metrics["test/accuracy_high"]
    )
    assert artifacts(store, run.info.run_id) >= ARTIFACTS
    assert store.get_model_version("tiny", "1").run_id == run.info.run_id

    table = pd.read_csv(f"{run.info.artifact_uri.removeprefix('file://')}/test/predictions.csv")
    right = (table["label"] == table["prediction"]).mean()
    assert right == pytest.approx(result["metrics"]["test/accuracy"])


def test_a_run_repeats_to_the_bit(trained: Path, job: list[str], command_here: Command, tmp_path: Path) -> None:
    first = last_result(trained)
    again = command_here("train", *job, "tracking=none")
    assert again.returncode == 0, again.stderr
    second = last_result(tmp_path)
    assert same_metrics(second) == same_metrics(first)
    assert second["metrics"]["time/embedded_images"] == 0

    cold = command_here("train", *job, "tracking=none", CRACKEXP_CACHE=str(tmp_path / "empty"))
    assert cold.returncode == 0, cold.stderr
    assert same_metrics(last_result(tmp_path)) == same_metrics(first)


@pytest.mark.slow
def test_a_logged_model_is_judged_on_another_dataset_as_a_child(
    trained: Path, command_here: Command, patches: Path, tmp_path: Path
) -> None:
    (saved,) = trained.glob("outputs/mobilenet/*/*/result.json")
    run_id = json.loads(saved.read_text())["run_id"]
    (tmp_path / "mlruns").symlink_to(trained / "mlruns")
    elsewhere = tmp_path / "site"
    elsewhere.mkdir()
    (elsewhere / "Cracked").symlink_to(patches / "Positive")
    (elsewhere / "Sound").symlink_to(patches / "Negative")
    done = command_here(
        "evaluate", f"run={run_id}", "dataset=folder", f"dataset.path={elsewhere}",
        "dataset.positive=Cracked", "evaluation.resamples=20",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    store = store_of(trained)
    child = store.get_run(last_result(tmp_path)["run_id"])
    assert child.data.tags["mlflow.parentRunId"] == run_id
    assert "test/confusion_matrix.png" in artifacts(store, child.info.run_id)
    table = pd.read_csv(f"{child.info.artifact_uri.removeprefix('file://')}/test/predictions.csv")
    assert len(table) == 60
    assert set(table["label"]) == {"Negative", "Positive"}

    unknown = command_here("evaluate", "run=nothing", "dataset=folder", f"dataset.path={patches}")
    assert unknown.returncode == 2
    assert "Received: run=nothing" in unknown.stderr


POISON = """
import keras

class Poison(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        for variable in self.model.trainable_variables:
            variable.assign(variable * float("nan"))
"""


def test_a_run_that_diverges_is_failed_in_the_store(command_here: Command, patches: Path, tmp_path: Path) -> None:
    (tmp_path / "own_parts.py").write_text(POISON)
    done = command_here(
        "train", "dataset=folder", f"dataset.path={patches}", *TINY, "+callbacks.poison={_target_: own_parts.Poison}"
    )
    assert done.returncode == 2
    assert "diverged" in done.stderr
    (run,) = runs(tmp_path)
    assert run.info.status == "FAILED"
    assert "diverged" in run.data.tags["error"]


@pytest.mark.slow
@pytest.mark.parametrize(("stop", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_that_is_stopped_is_killed_in_the_store(
    patches: Path, tmp_path: Path, cache: Path, stop: signal.Signals, code: int
) -> None:  # fmt: skip
    with subprocess.Popen(
        [
            sys.executable, "-c", LISTENING, "dataset=folder", f"dataset.path={patches}",
            *TINY, "epochs=100000", "callbacks=none",
        ],
        cwd=tmp_path,
        env={**os.environ, "CRACKEXP_CACHE": str(cache)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:  # fmt: skip
        try:
            assert process.stdout
            for line in process.stdout:
                if line.startswith("Epoch 2/"):
                    break
            time.sleep(0.5)
            process.send_signal(stop)
            process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == code
    (run,) = runs(tmp_path)
    assert run.info.status == "KILLED"
    assert run.data.tags["error"]
