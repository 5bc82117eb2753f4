"""The MLflow logger: what a run leaves in the store, however it ends."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import keras
import mlflow
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from crackexp.models.backbone import SmallCNN
from crackexp.models.classifier import build_classifier
from crackexp.models.heads import build_head
from crackexp.tracking.logger import NoLogger
from crackexp.tracking.mlflow_logger import MlflowLogger
from crackexp.tracking.models import load
from crackexp.tracking.store import open_experiment
from crackexp.utils.errors import UserError


def make_logger(folder: Path, experiment: str = "test", uri: str | None = None) -> MlflowLogger:
    return MlflowLogger(
        uri=uri or f"sqlite:///{folder}/mlruns/mlflow.db",
        artifacts=str(folder / "mlruns" / "artifacts"),
        experiment=experiment,
        run_name=None,
        log_model=True,
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store of its own; making its database takes seconds."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def classifier() -> keras.Model:
    backbone = SmallCNN([4, 8]).build(32, 0)
    return build_classifier(backbone, build_head(8, 2, 0.3, 0))


def test_a_run_holds_what_was_logged(store: Path) -> None:
    logger = make_logger(store)
    with logger.run("a run", {"baseline": "true"}):
        logger.log_params({"dropout": 0.3, "split.ratio": [0.7, 0.2, 0.1]})
        logger.log_metrics({"val/loss": 0.5}, 1)
        logger.log_metrics({"val/loss": 0.25}, 2)
        logger.log_text("hello", "notes/text.txt")
        logger.log_figure(Figure(), "notes/figure.png")
        logger.log_dataset("patches", store, "abc123", {"images": 3}, "training")
    client = mlflow.MlflowClient()
    assert logger.run_id
    run = client.get_run(logger.run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "a run"
    assert run.data.tags["baseline"] == "true"
    assert run.data.params == {"dropout": "0.3", "split.ratio": "[0.7, 0.2, 0.1]"}
    history = client.get_metric_history(logger.run_id, "val/loss")
    assert [(metric.step, metric.value) for metric in history] == [(1, 0.5), (2, 0.25)]
    assert [file.path for file in client.list_artifacts(logger.run_id, "notes")] == [
        "notes/figure.png",
        "notes/text.txt",
    ]
    (dataset,) = run.inputs.dataset_inputs
    assert (dataset.dataset.name, dataset.dataset.digest) == ("patches", "abc123")
    assert str(store / "mlruns" / "artifacts") in run.info.artifact_uri


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RuntimeError("boom"), "FAILED"),
        (KeyboardInterrupt(), "KILLED"),
        (SystemExit(143), "KILLED"),
    ],
)
def test_a_run_that_breaks_off_is_closed_with_its_error(store: Path, error: BaseException, status: str) -> None:
    logger = make_logger(store)
    with pytest.raises(type(error)), logger.run("breaks", {}):
        raise error
    assert logger.run_id
    run = mlflow.MlflowClient().get_run(logger.run_id)
    assert run.info.status == status
    assert type(error).__name__ in run.data.tags["error"]
    assert "Traceback" in mlflow.artifacts.load_text(f"{run.info.artifact_uri}/error.txt")
    assert mlflow.active_run() is None


def test_a_run_that_is_opened_again_goes_on_and_logs_no_step_twice(store: Path) -> None:
    first, again = make_logger(store), make_logger(store)
    with contextlib.suppress(KeyboardInterrupt), first.run("breaks", {"kept": "yes"}):
        first.log_params({"dropout": 0.3})
        first.log_metrics({"val/loss": 0.5}, 1)
        raise KeyboardInterrupt
    assert first.run_id
    with again.run("another name", {"more": "yes"}, run_id=first.run_id):
        assert mlflow.MlflowClient().get_run(again.run_id).info.status == "RUNNING"
        again.log_params({"dropout": 0.3})
        again.log_metrics({"val/loss": 0.5, "val/accuracy": 1.0}, 1)
        again.log_metrics({"val/loss": 0.25}, 2)
    assert again.run_id == first.run_id
    client = mlflow.MlflowClient()
    run = client.get_run(first.run_id)
    assert (run.info.status, run.info.run_name) == ("FINISHED", "breaks")
    assert {"kept", "more"} <= run.data.tags.keys()
    assert "error" not in run.data.tags
    curve = {name: [m.step for m in client.get_metric_history(first.run_id, name)] for name in run.data.metrics}
    assert curve == {"val/loss": [1, 2], "val/accuracy": [1]}


def test_a_child_stands_under_its_parent(store: Path) -> None:
    parent, child = make_logger(store), make_logger(store)
    with parent.run("parent", {}):
        pass
    with child.run("child", {}, parent=parent.run_id):
        pass
    assert child.run_id
    tags = mlflow.MlflowClient().get_run(child.run_id).data.tags
    assert tags["mlflow.parentRunId"] == parent.run_id


def test_a_store_that_does_not_answer_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    logger = make_logger(tmp_path, uri="http://127.0.0.1:9")
    with (
        pytest.raises(UserError, match=r"tracking=local.*Received: tracking\.uri=http"),
        logger.run("a run", {}),
    ):
        pass


def test_a_deleted_experiment_is_told(store: Path) -> None:
    logger = make_logger(store, "gone")
    with logger.run("a run", {}):
        pass
    mlflow.MlflowClient().delete_experiment(open_experiment(logger))
    with (
        pytest.raises(UserError, match=r"deleted.*Received: tracking\.experiment=gone"),
        logger.run("a run", {}),
    ):
        pass


def test_nothing_is_kept_without_a_logger() -> None:
    logger = NoLogger()
    with logger.run("a run", {}):
        logger.log_metrics({"val/loss": 1.0})
    assert logger.run_id is None
    assert logger.where() == []


@pytest.mark.slow
def test_a_logged_model_loads_in_a_clean_process_and_agrees(
    store: Path, classifier: keras.Model, tmp_path: Path
) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), np.uint8)
    logger = make_logger(store)
    facts = {"class_names": ["Negative", "Positive"], "positive": "Positive", "threshold": 0.5, "unsure_from": 0.5}
    with logger.run("a run", {}):
        uri = logger.log_model(classifier, facts)
    assert uri
    mlflow.register_model(uri, "test-model")
    assert logger.run_id
    np.save(tmp_path / "images.npy", images)
    script = (
        "import mlflow, numpy as np\n"
        f"mlflow.set_tracking_uri({logger.store!r})\n"
        f"model = mlflow.pyfunc.load_model({uri!r})\n"
        f"images = np.load({str(tmp_path / 'images.npy')!r})\n"
        f"model.predict(images).to_csv({str(tmp_path / 'out.csv')!r})\n"
        "import sys; assert 'crackexp' not in sys.modules"
    )
    clean = {key: value for key, value in os.environ.items() if key != "KERAS_BACKEND"}
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=clean, check=True)
    expected = classifier.predict(images, verbose=0)
    np.testing.assert_allclose(pd.read_csv(tmp_path / "out.csv")["probability"], expected[:, 1], atol=1e-5)

    for name in (logger.run_id, uri, "models:/test-model/1"):
        found = load(name, logger.store, "run")
        assert found.classes.names == ("Negative", "Positive")
        assert (found.classes.positives, found.image_size, found.run_id) == (("Positive",), 32, logger.run_id)
    saved = Path(mlflow.artifacts.download_artifacts(uri)) / "artifacts"
    names = {"model.keras", "model.h5", "pixels.py", "model_facts.py", "saved.py"}
    assert {file.name for file in saved.iterdir()} == names


def test_an_unknown_model_is_told(store: Path) -> None:
    with pytest.raises(UserError, match=r"no such model.*Received: run=nothing"):
        load("nothing", make_logger(store).store, "run")
