"""``python -m crackexp.ui`` where there is nothing to show; what it shows is tested in tests/integration."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import mlflow
import pytest
from omegaconf import DictConfig

from crackexp.tracking.mlflow_logger import MlflowLogger
from crackexp.tracking.store import open_experiment
from crackexp.ui import ui
from crackexp.utils.errors import UserError

VIEW = "mlflow.sharedViewState.crackexp"


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ([], "no MLflow store at"),
        (["tracking=none"], "tracking=local"),
        (["tracking=server", "tracking.uri=http://127.0.0.1:9"], "Open http://127.0.0.1:9"),
        (["port=0"], "port: must be greater than or equal to 1"),
    ],
)
def test_a_store_that_cannot_be_shown_is_told(
    compose_config: Callable[..., DictConfig], overrides: list[str], words: str
) -> None:
    with pytest.raises(UserError, match=words):
        ui(compose_config(*overrides, root="ui"))


def test_the_page_of_the_runs_is_told(
    compose_config: Callable[..., DictConfig],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda program, words: started.append(words))
    uri = f"sqlite:///{tmp_path}/mlruns/mlflow.db"
    number = open_experiment(MlflowLogger(uri))
    runs = f"http://127.0.0.1:5123/#/experiments/{number}/runs?workflowType=machine_learning"

    def told() -> str:
        ui(compose_config("port=5123", root="ui"))
        (page,) = [word for word in capsys.readouterr().out.split() if word.startswith("http")]
        return page

    assert told() == f"{runs}&viewStateShareKey=crackexp"
    assert started[0][-2:] == ["--port", "5123"]

    client = mlflow.MlflowClient(uri)
    client.set_experiment_tag(number, VIEW, "changed by a person")
    assert told() == f"{runs}&viewStateShareKey=crackexp"
    assert client.get_experiment(number).tags[VIEW] == "changed by a person"

    with closing(sqlite3.connect(tmp_path / "mlruns" / "mlflow.db")) as database, database:
        database.execute(f"DELETE FROM experiment_tags WHERE key = '{VIEW}'")  # as in a store of an earlier version
        database.execute(
            "CREATE TRIGGER locked BEFORE INSERT ON experiment_tags BEGIN SELECT RAISE(ABORT, 'read-only'); END"
        )
    assert told() == runs
    with closing(sqlite3.connect(tmp_path / "mlruns" / "mlflow.db")) as database, database:
        database.execute("DROP TRIGGER locked")
    assert told() == f"{runs}&viewStateShareKey=crackexp"
    assert "test/accuracy" in client.get_experiment(number).tags[VIEW]
