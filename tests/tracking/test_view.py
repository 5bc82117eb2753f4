"""The saved views of runs and of a sweep; how the MLflow UI shows them is tested in tests/browser."""

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import mlflow

from crackexp.tracking.mlflow_logger import MlflowLogger
from crackexp.tracking.store import open_experiment
from crackexp.tracking.view import runs_view, sweep_view


def test_mlflow_keeps_the_view_of_a_sweep_over_many_keys(tmp_path: Path) -> None:
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.create_experiment("test")
    params = [f"group{number}.some_long_key" for number in range(12)]
    view = sweep_view("many", experiment, "ab" * 16, params, ["test/accuracy", "test/f1", "time/total_seconds"], False)
    client.set_experiment_tag(experiment, view.tag, view.value)

    kept = json.loads(client.get_experiment(experiment).tags[view.tag])
    columns = json.loads(kept["state"])["selectedColumns"]
    assert [column.strip("`").split(".`")[1] for column in columns[:12]] == params
    for address in (view.table, view.charts):
        (key,) = parse_qs(urlsplit(urlsplit(address).fragment).query)["viewStateShareKey"]
        assert view.tag == f"mlflow.sharedViewState.{key}"


def test_an_experiment_has_a_view_of_its_runs_and_one_of_an_earlier_version_gets_it(tmp_path: Path) -> None:
    logger = MlflowLogger(f"sqlite:///{tmp_path}/mlruns/mlflow.db")
    number = open_experiment(logger)
    client = mlflow.MlflowClient(logger.store)
    view = runs_view(number)
    state = json.loads(json.loads(client.get_experiment(number).tags[view.tag])["state"])
    assert state["selectedColumns"][-3:] == ["metrics.`test/accuracy`", "metrics.`test/f1`", "metrics.`test/roc_auc`"]

    client.delete_experiment_tag(number, view.tag)
    open_experiment(logger, make=False)
    assert view.tag not in client.get_experiment(number).tags
    open_experiment(logger)
    assert view.tag in client.get_experiment(number).tags
