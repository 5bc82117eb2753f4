"""A real MLflow server on loopback: ``tracking=server tracking.uri=http://127.0.0.1:PORT``."""

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest

from tests.conftest import TINY, Command


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    uri = f"http://127.0.0.1:{free_port()}"
    process = subprocess.Popen(
        [
            sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", uri.rpartition(":")[2],
            "--backend-store-uri", f"sqlite:///{tmp_path}/server.db", "--artifacts-destination", str(tmp_path / "art"),
            "--workers", "1",
        ],
        cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    for _ in range(120):
        try:
            urllib.request.urlopen(f"{uri}/health", timeout=1).close()
            break
        except OSError:
            time.sleep(0.5)
    yield uri
    process.terminate()
    process.wait(timeout=30)


@pytest.mark.slow
def test_a_run_is_logged_to_a_server(command: Command, patches: Path, server: str) -> None:
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
