"""The saved view of a sweep; how the MLflow UI shows it is tested in tests/browser."""

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import mlflow

from crackexp.tracking.view import sweep_view


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
