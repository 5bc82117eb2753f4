"""What stands in a store and is not what crackexp wrote is told in a sentence, and the rest goes on."""

import contextlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import mlflow
import numpy as np
import pytest

from crackexp.data.index import ImageIndex
from crackexp.evaluation.tables import predictions_table
from crackexp.sweep.selection import select
from crackexp.tracking.models import load
from crackexp.tracking.registry import Registry
from crackexp.tracking.runs import find_run
from crackexp.tracking.sweeps import SweepStore
from crackexp.utils.errors import DataError, UserError
from tests.conftest import Command
from tests.tracking.test_logger import make_logger


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store of its own."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def store(root: Path) -> SweepStore:
    return SweepStore(make_logger(root))


@pytest.fixture
def sweep(root: Path, store: SweepStore) -> str:
    """A sweep of three trials that finished."""
    tags = {"sweep.key": str(len(list(root.rglob("*")))), "sweep.dir": "multirun/1", "sweep.varies": '["dropout"]'}
    parent = store.open_parent("a sweep", tags, rerun=False)
    digests = np.array([f"{number:032x}" for number in range(12)])
    said = np.tile(np.float32([[0.8, 0.2], [0.1, 0.9]]), (6, 1))
    index = ImageIndex(Path(), digests, np.arange(12) % 2, digests, ("Negative", "Positive"), ("Positive",))
    table = predictions_table(index, said)
    for dropout in (0.1, 0.2, 0.3):
        logger = make_logger(root)
        with logger.run(f"dropout={dropout}", {"sweep.settings": json.dumps({"dropout": dropout})}, parent):
            logger.log_text(table.to_csv(index=False), "test/predictions.csv")
            logger.log_text(json.dumps({"metrics": {"test/accuracy": 1.0}}), "result.json")
    store.close_parent(parent, "FINISHED")
    return parent


def artifact(store: SweepStore, run_id: str, path: str) -> Path:
    return Path(store.client.get_run(run_id).info.artifact_uri.removeprefix("file://")) / path


@pytest.mark.parametrize("tag", ["{", "[1]", "3", "", "no JSON"])
def test_a_trial_whose_settings_are_no_settings_is_told_and_the_others_are_compared(
    store: SweepStore, sweep: str, tag: str
) -> None:
    newest = store.children(sweep)[0]
    store.client.set_tag(newest.info.run_id, "sweep.settings", tag)
    trials, failures = store.trials(sweep)
    assert [trial.configuration for trial in trials] == [{"dropout": 0.2}, {"dropout": 0.1}]
    ((name, status, error),) = [(one.name, one.status, one.error) for one in failures]
    assert (name, status) == ("dropout=0.3", "UNREADABLE")
    assert f"Received: sweep.settings={tag}" in error
    with pytest.raises(DataError, match=r"sweep\.settings"):
        store.trial(store.client.get_run(newest.info.run_id))


def test_a_trial_without_settings_is_told(store: SweepStore, sweep: str) -> None:
    store.client.delete_tag(store.children(sweep)[0].info.run_id, "sweep.settings")
    trials, failures = store.trials(sweep)
    assert (len(trials), len(failures)) == (2, 1)


@pytest.mark.parametrize("known", [True, False], ids=["digest known", "of an earlier version"])
@pytest.mark.parametrize("content", [b"", b"correct\n7\n", b"\xff\xfe\x00", b"confidence\nnan\n", b"confidence\n2.5\n"])
def test_a_trial_with_damaged_predictions_is_told_and_the_others_are_compared(
    store: SweepStore, sweep: str, content: bytes, known: bool
) -> None:
    newest = store.children(sweep)[0].info.run_id
    artifact(store, newest, "test/predictions.csv").write_bytes(content)
    if not known:
        store.client.delete_tag(newest, "sha256.test/predictions.csv")
    trials, failures = store.trials(sweep)
    assert len(trials) == 2
    assert "predictions" in failures[0].error
    with pytest.raises(DataError, match=f"Received: {newest}"):
        select(store, [newest])


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"metrics": 3}', '{"metrics": {"a": "b"}}', '{"incomplete": true}']
)
@pytest.mark.parametrize("known", [True, False], ids=["digest known", "of an earlier version"])
def test_a_damaged_result_counts_as_missing(
    store: SweepStore, sweep: str, content: str, known: bool, caplog: pytest.LogCaptureFixture
) -> None:
    run_id = store.children(sweep)[0].info.run_id
    assert store.result(store.client.get_run(run_id)).metrics == {"test/accuracy": 1.0}
    artifact(store, run_id, "result.json").write_text(content)
    if not known:
        store.client.delete_tag(run_id, "sha256.result.json")
    assert store.result(store.client.get_run(run_id)) is None
    assert f"The result of the run {run_id} is damaged" in caplog.text
    said = Registry(store, "damaged").enter([run_id], "accuracy", 0.95)
    assert said.startswith("Nothing is registered as damaged")


@pytest.mark.parametrize("tag", ["{", "[1]", '"dropout"'])
def test_a_sweep_that_does_not_say_what_it_varies_is_told(store: SweepStore, sweep: str, tag: str) -> None:
    store.client.set_tag(sweep, "sweep.varies", tag)
    with pytest.raises(DataError, match=r"sweep\.varies.*Received"):
        store.find_parent("multirun/1")


def test_a_trial_whose_files_no_client_can_reach_is_told_and_the_others_are_compared(
    store: SweepStore, sweep: str, root: Path
) -> None:
    newest = store.children(sweep)[0].info.run_id
    with closing(sqlite3.connect(root / "mlruns" / "mlflow.db")) as connection, connection:
        connection.execute("UPDATE runs SET artifact_uri = NULL WHERE run_uuid = ?", [newest])
    trials, failures = store.trials(sweep)
    assert (len(trials), len(failures)) == (2, 1)
    for refused in (lambda: select(store, [newest]), lambda: find_run(newest, store.uri)):
        with pytest.raises(UserError, match="Received"):
            refused()
    with pytest.raises(UserError, match=f"cannot be read.*Received: model={newest}"):
        load(newest, store.uri, "model")


def test_a_folder_without_a_model_is_told_as_such(store: SweepStore, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"no file MLmodel.*Received: model={tmp_path}"):
        load(str(tmp_path), store.uri, "model")


@pytest.mark.parametrize(("content", "known"), [("trainer: {}\n", True), ("a: [", False), ("- a\n- b\n", False)])
def test_a_run_with_a_damaged_config_is_not_resumed(
    command_here: Command, tmp_path: Path, content: str, known: bool
) -> None:
    logger = make_logger(tmp_path)
    with contextlib.suppress(RuntimeError), logger.run("a run", {}):
        logger.log_text("trainer: {epochs: 3}\n", "config/config.yaml")
        raise RuntimeError
    client = mlflow.MlflowClient(logger.store)
    (file,) = tmp_path.rglob("config.yaml")
    file.write_text(content)
    if not known:
        client.delete_tag(str(logger.run_id), "sha256.config/config.yaml")
    done = command_here("train", f"resume={logger.run_id}")
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert str(logger.run_id) in done.stderr
