"""A real MLflow server on loopback: ``tracking=server tracking.uri=http://127.0.0.1:PORT``."""

from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest

from tests.conftest import TINY, Command


@pytest.mark.slow
def test_a_run_is_logged_to_a_server(
    command: Command, patches: Path, tmp_path: Path, serve_mlflow: Callable[..., str]
) -> None:
    server = serve_mlflow(
        "server", "--backend-store-uri", f"sqlite:///{tmp_path}/server.db", "--artifacts-destination", "kept"
    )
    done = command(
        "train", "dataset=folder", f"dataset.path={patches}", *TINY, "epochs=1", "tracking=server",
        f"tracking.uri={server}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"{server}/#/experiments/" in done.stdout
    mlflow.set_tracking_uri(server)
    (run,) = mlflow.search_runs(experiment_names=["crackexp"], output_format="list")
    assert run.info.status == "FINISHED"
    assert "test/confusion_matrix.png" in {
        entry.path for entry in mlflow.MlflowClient().list_artifacts(run.info.run_id, "test")
    }
