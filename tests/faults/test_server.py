"""An MLflow server that is killed and started again while a run logs to it."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import mlflow
import pytest

from tests.conftest import TINY
from tests.faults.conftest import TRIES, Start, Tally

JOB = [*TINY, "epochs=40", "callbacks=none", "tracking=server"]


def serve(folder: Path, port: int) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
    words += ["--backend-store-uri", f"sqlite:///{folder}/server.db", "--artifacts-destination", str(folder / "kept")]
    process = subprocess.Popen(
        words, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    for _ in range(240):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).close()
        except OSError:
            time.sleep(0.5)
        else:
            return process
    raise TimeoutError(f"no server on port {port}")


@pytest.mark.slow
@pytest.mark.skipif(not TRIES, reason="takes minutes: set CRACKEXP_FAULT_TRIES")
@pytest.mark.timeout(900)
def test_a_server_that_is_started_again_is_logged_to_all_the_same(
    start: Start, tally: Tally, patches: Path, tmp_path: Path
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = serve(tmp_path, port)
    try:
        uri = f"http://127.0.0.1:{port}"
        process = start(
            tmp_path / "work", "train", *JOB, f"tracking.uri={uri}", "dataset=folder", f"dataset.path={patches}"
        )
        assert process.stdout
        printed = []
        for line in process.stdout:
            printed.append(line)
            if line.startswith("Epoch 5/"):
                os.killpg(server.pid, signal.SIGKILL)
                server.wait()
                time.sleep(3)
                server = serve(tmp_path, port)
        mlflow.set_tracking_uri(uri)
        (run,) = mlflow.search_runs(experiment_names=["crackexp"], output_format="list")
        steps = [metric.step for metric in mlflow.MlflowClient().get_metric_history(run.info.run_id, "train/loss")]
        held = process.wait(60) == 0 and run.info.status == "FINISHED" and steps == list(range(1, 41))
        tally("A server killed and started again", held)
        assert held, (process.returncode, run.info.status, steps, "".join(printed)[-3000:])
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
