"""A run whose process was killed does not stay RUNNING; one whose process lives does."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest

from crackexp.tracking.mlflow_logger import MlflowLogger

HOLDS = """
import sys, time
from crackexp.tracking.mlflow_logger import MlflowLogger
logger = MlflowLogger(sys.argv[1], None, "crackexp", None, False)
with logger.run("held", {}):
    print(logger.run_id, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/mlflow.db"


def opened(uri: str) -> str:
    logger = MlflowLogger(uri, None, "crackexp", None, False)
    with logger.run("another", {}):
        pass
    assert logger.run_id
    return logger.run_id


def test_the_next_run_marks_those_whose_process_was_killed(uri: str, tmp_path: Path) -> None:
    words = [sys.executable, "-c", HOLDS, uri]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout
    held = process.stdout.readline().strip()
    client = mlflow.MlflowClient(uri)
    opened(uri)
    assert client.get_run(held).info.status == "RUNNING", "its process lives"

    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert client.get_run(held).info.status == "RUNNING"
    finished = opened(uri)
    run = client.get_run(held)
    assert run.info.status == "KILLED"
    assert "outside" in run.data.tags["error"]
    assert client.get_run(finished).info.status == "FINISHED"
    assert not list((tmp_path / "mlflow.db.running").iterdir())
