"""A real MLflow server on loopback: ``tracking=server tracking.uri=http://127.0.0.1:PORT``."""

from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest

from tests.conftest import TINY, Command


@pytest.mark.slow
def test_a_run_is_logged_to_a_server(
    command_here: Command, patches: Path, tmp_path: Path, serve_mlflow: Callable[..., str]
) -> None:
    server = serve_mlflow(
        "server", "--backend-store-uri", f"sqlite:///{tmp_path}/server.db", "--artifacts-destination", "kept"
    )
    job = ["dataset=folder", f"dataset.path={patches}", *TINY, "epochs=1", "register=tiny"]
    where = ["tracking=server", f"tracking.uri={server}"]
    done = command_here("train", *job, *where)
    assert done.returncode == 0, done.stderr
    assert f"{server}/#/experiments/" in done.stdout
    mlflow.set_tracking_uri(server)
    (run,) = mlflow.search_runs(experiment_names=["crackexp"], output_format="list")
    assert run.info.status == "FINISHED"
    assert "Registry    tiny version 1 becomes champion: there was none." in done.stdout
    assert "test/confusion_matrix.png" in {
        entry.path for entry in mlflow.MlflowClient().list_artifacts(run.info.run_id, "test")
    }

    second = command_here("train", *job, *where, "seed=1")
    assert second.returncode == 0, second.stderr
    assert "Registry    tiny version 2 does not become champion: " in second.stdout
    assert "by version 1, statistically tied" in second.stdout
    champion = mlflow.MlflowClient().get_model_version_by_alias("tiny", "champion")
    assert champion.run_id == run.info.run_id
    judged = command_here("evaluate", "run=models:/tiny@champion", *job[:2], *where)
    assert judged.returncode == 0, judged.stderr
