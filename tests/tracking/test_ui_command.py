"""``python -m crackexp.ui`` where there is nothing to show; what it shows is tested in tests/integration."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig

from crackexp.tracking.mlflow_logger import MlflowLogger
from crackexp.tracking.store import open_experiment
from crackexp.ui import ui
from crackexp.utils.errors import UserError


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
    number = open_experiment(MlflowLogger(f"sqlite:///{tmp_path}/mlruns/mlflow.db"))
    ui(compose_config("port=5123", root="ui"))
    page = f"http://127.0.0.1:5123/#/experiments/{number}/runs?workflowType=machine_learning"
    assert page in capsys.readouterr().out.split()
    assert started[0][-2:] == ["--port", "5123"]
