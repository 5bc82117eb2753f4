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

from tests.conftest import LISTENING, TINY, Command

ARTIFACTS = {
    "config/config.yaml",
    "config/overrides.txt",
    "data/augmentations.png",
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


def artifacts(run_id: str, folder: str = "") -> set[str]:
    found: set[str] = set()
    for entry in mlflow.MlflowClient().list_artifacts(run_id, folder):
        found |= artifacts(run_id, entry.path) if entry.is_dir else {entry.path}
    return found


@pytest.fixture
def store(tmp_path: Path) -> mlflow.MlflowClient:
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlruns/mlflow.db")
    return mlflow.MlflowClient()


def runs() -> list[Any]:
    return list(mlflow.search_runs(experiment_names=["crackexp"], output_format="list"))


def test_a_run_is_trained_tested_and_logged_and_repeats_to_the_bit(
    command: Command, patches: Path, tmp_path: Path, store: mlflow.MlflowClient
) -> None:
    job = ["+experiment=mobilenet", "dataset=folder", f"dataset.path={patches}", *TINY]
    done = command("train", *job, "tags=[baseline]", "register=tiny")
    assert done.returncode == 0, done.stderr
    first = last_result(tmp_path)
    (saved,) = tmp_path.glob("outputs/mobilenet/*/*/config.yaml")
    assert "${" not in saved.read_text()
    for words in ("dropout: 0.3", "accuracy", "Time", first["run_id"], "crackexp.evaluate"):
        assert words in done.stdout

    run = store.get_run(first["run_id"])
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
    assert artifacts(run.info.run_id) >= ARTIFACTS
    assert store.get_model_version("tiny", "1").run_id == run.info.run_id

    table = pd.read_csv(f"{run.info.artifact_uri.removeprefix('file://')}/test/predictions.csv")
    right = (table["label"] == table["prediction"]).mean()
    assert right == pytest.approx(first["metrics"]["test/accuracy"])

    again = command("train", *job, "tracking=none")
    assert again.returncode == 0, again.stderr
    second = last_result(tmp_path)
    assert same_metrics(second) == same_metrics(first)
    assert second["metrics"]["time/embedded_images"] == 0

    cold = command("train", *job, "tracking=none", CRACKEXP_CACHE=str(tmp_path / "empty"))
    assert cold.returncode == 0, cold.stderr
    assert same_metrics(last_result(tmp_path)) == same_metrics(first)

    other = command("train", *job, "tracking=none", "seed=1")
    assert other.returncode == 0, other.stderr
    assert same_metrics(last_result(tmp_path)) != same_metrics(first)


def test_a_logged_model_is_judged_on_another_dataset_as_a_child(
    command: Command, patches: Path, tmp_path: Path, store: mlflow.MlflowClient
) -> None:
    job = ["dataset=folder", f"dataset.path={patches}", *TINY, "epochs=1"]
    trained = command("train", *job)
    assert trained.returncode == 0, trained.stderr
    run_id = last_result(tmp_path)["run_id"]

    elsewhere = tmp_path / "site"
    elsewhere.mkdir()
    (elsewhere / "Cracked").symlink_to(patches / "Positive")
    (elsewhere / "Sound").symlink_to(patches / "Negative")
    done = command(
        "evaluate", f"run={run_id}", "dataset=folder", f"dataset.path={elsewhere}",
        "dataset.positive=Cracked", "evaluation.resamples=20",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    judged = last_result(tmp_path)
    child = store.get_run(judged["run_id"])
    assert child.data.tags["mlflow.parentRunId"] == run_id
    assert "test/confusion_matrix.png" in artifacts(judged["run_id"])
    table = pd.read_csv(f"{child.info.artifact_uri.removeprefix('file://')}/test/predictions.csv")
    assert len(table) == 60
    assert set(table["label"]) == {"Negative", "Positive"}

    unknown = command("evaluate", "run=nothing", "dataset=folder", f"dataset.path={patches}")
    assert unknown.returncode == 2
    assert "Received: run=nothing" in unknown.stderr


def test_a_run_that_diverges_is_failed_in_the_store(
    command: Command, patches: Path, store: mlflow.MlflowClient
) -> None:
    done = command(
        "train", "dataset=folder", f"dataset.path={patches}", *TINY,
        "optimizer.learning_rate=3e38",
    )  # fmt: skip
    assert done.returncode == 2
    assert "diverged" in done.stderr
    (run,) = runs()
    assert run.info.status == "FAILED"
    assert "diverged" in run.data.tags["error"]


@pytest.mark.parametrize(("stop", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_that_is_stopped_is_killed_in_the_store(
    patches: Path, tmp_path: Path, cache: Path, stop: signal.Signals, code: int,
    store: mlflow.MlflowClient,
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
    (run,) = runs()
    assert run.info.status == "KILLED"
    assert run.data.tags["error"]
