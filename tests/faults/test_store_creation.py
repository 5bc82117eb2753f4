"""SIGKILL while the database of a new store is being made."""

import multiprocessing
import signal
import time
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from crackexp.tracking.mlflow_logger import MlflowLogger
from crackexp.tracking.store import open_experiment
from tests.faults.conftest import TRIES

KILLS = TRIES or 5


def _open(folder: Path, begun: Event) -> None:
    begun.set()
    open_experiment(MlflowLogger(f"sqlite:///{folder}/mlflow.db", f"{folder}/artifacts", "test", None, False))


def _log_a_run(folder: Path, begun: Event) -> None:
    begun.set()
    logger = MlflowLogger(f"sqlite:///{folder}/mlflow.db", f"{folder}/artifacts", "test", None, False)
    with logger.run("a run", {}):
        logger.log_params({"dropout": 0.3})
        logger.log_text("hello", "a.txt")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_store_whose_making_was_killed_is_opened_by_the_next_command(tmp_path: Path) -> None:
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["crackexp.tracking.mlflow_logger"])

    def start(work: object, folder: Path) -> multiprocessing.process.BaseProcess:
        begun = processes.Event()
        process = processes.Process(target=work, args=(folder, begun))
        process.start()
        assert begun.wait(120)
        return process

    start(_open, tmp_path / "first").join()
    whole = start(_open, tmp_path / "timed")
    since = time.perf_counter()
    whole.join()
    seconds = time.perf_counter() - since

    tried = held = 0
    while tried < KILLS:
        folder = tmp_path / f"killed{tried} within {seconds}"
        process = start(_open, folder)
        time.sleep(seconds * (tried + 0.5) / KILLS)
        process.kill()
        process.join()
        if process.exitcode != -signal.SIGKILL:  # the machine has become faster, and the store was made before the kill
            seconds *= 0.8
            continue
        tried += 1
        again = start(_log_a_run, folder)
        again.join(60)
        written = [file.read_text() for file in folder.glob("artifacts/*/artifacts/a.txt")]
        left = [file.name for file in folder.iterdir() if ".tmp" in file.name]
        held += again.exitcode == 0 and written == ["hello"] and not left
        if again.is_alive():
            again.kill()
    print(f"SIGKILL while the store is made: tried {tried}, held {held}")
    assert held == KILLS
