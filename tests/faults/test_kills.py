"""SIGKILL at random moments, and then the same command."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import mlflow
import pytest
from mlflow.entities import Run

from crackexp.utils.seeds import generator
from tests.conftest import TINY
from tests.faults.conftest import TRIES, Start, Tally, finished

TRAIN = [*TINY, "epochs=4", "dropout=0.5", "augmentation.views=2"]
FINETUNE = [*TINY, "trainer=finetune", "epochs=2", "trainer.epochs=2", "trainer.unfreeze_from=block_16_expand"]
SWEEP = ["-m", *TINY, "epochs=1", "augmentation=none", "dropout=0.1,0.2", "optimizer.learning_rate=0.001,0.01"]
JOBS = {"train": TRAIN, "finetune": FINETUNE}


def runs(folder: Path) -> list[Run]:
    """Returns all runs of a folder's store; none where there is no store yet."""
    database = folder / "mlruns" / "mlflow.db"
    if not database.exists():
        return []
    client = mlflow.MlflowClient(f"sqlite:///{database}")
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    return list(client.search_runs(ids, max_results=1000))


def metrics(run: Run) -> dict[str, float]:
    return {name: value for name, value in run.data.metrics.items() if not name.startswith("time/")}


def killed_after(process: subprocess.Popen[str], seconds: float) -> None:
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)


@pytest.mark.slow
@pytest.mark.skipif(not TRIES, reason="takes minutes: set CRACKEXP_FAULT_TRIES")
@pytest.mark.parametrize("job", JOBS)
@pytest.mark.timeout(3600)
def test_a_run_killed_at_a_random_moment_goes_on(
    start: Start, tally: Tally, patches: Path, tmp_path: Path, job: str
) -> None:
    words = [*JOBS[job], "dataset=folder", f"dataset.path={patches}"]
    begun = time.monotonic()
    status, printed = finished(start(tmp_path / "undisturbed", "train", *words))
    assert status == 0, printed
    seconds = time.monotonic() - begun
    (undisturbed,) = runs(tmp_path / "undisturbed")
    for number in range(TRIES):
        folder = tmp_path / str(number)
        moment = float(generator(7, "kill", job, number).uniform(0, 1.1 * seconds))
        killed_after(start(folder, "train", *words), moment)
        interrupted = [run for run in runs(folder) if run.info.status != "FINISHED"]
        logged = [run for run in interrupted if run.data.params]
        again = [f"resume={logged[0].info.run_id}"] if logged else words
        status, printed = finished(start(folder, "train", *again))
        if status == 2 and logged:  # killed before it had logged its config: the message says to begin anew
            status, printed = finished(start(folder, "train", *words))
        ended = [run for run in runs(folder) if run.info.status == "FINISHED"]
        held = (
            status == 0
            and bool(ended)
            and all(metrics(run) == metrics(undisturbed) for run in ended)
            and not [run for run in runs(folder) if run.info.status == "RUNNING"]
        )
        tally(f"SIGKILL during {job}", held)
        assert held, (moment, printed[-3000:], [(run.info.status, metrics(run)) for run in runs(folder)])


@pytest.mark.slow
@pytest.mark.skipif(not TRIES, reason="takes minutes: set CRACKEXP_FAULT_TRIES")
@pytest.mark.timeout(3600)
def test_a_sweep_killed_at_a_random_moment_goes_on(start: Start, tally: Tally, patches: Path, tmp_path: Path) -> None:
    words = [*SWEEP, "dataset=folder", f"dataset.path={patches}"]
    begun = time.monotonic()
    status, printed = finished(start(tmp_path / "undisturbed", "train", *words))
    assert status == 0, printed
    seconds = time.monotonic() - begun

    def trials(folder: Path) -> dict[str, list[dict[str, float]]]:
        found: dict[str, list[dict[str, float]]] = {}
        for run in runs(folder):
            if "sweep.settings" in run.data.tags and run.info.status == "FINISHED":
                found.setdefault(run.data.tags["sweep.settings"], []).append(metrics(run))
        return found

    undisturbed = trials(tmp_path / "undisturbed")
    assert len(undisturbed) == 4
    for number in range(TRIES):
        folder = tmp_path / str(number)
        moment = float(generator(7, "kill", "sweep", number).uniform(0, 1.1 * seconds))
        killed_after(start(folder, "train", *words), moment)
        before = {run.info.run_id for run in runs(folder) if run.info.status == "FINISHED"}
        status, printed = finished(start(folder, "train", *words))
        after = runs(folder)
        held = (
            status == 0
            and trials(folder) == undisturbed
            and before <= {run.info.run_id for run in after if run.info.status == "FINISHED"}
            and not [run for run in after if run.info.status == "RUNNING"]
            and all(json.loads(file.read_text())["metrics"] for file in folder.glob("multirun/**/result.json"))
        )
        tally("SIGKILL during a sweep", held)
        assert held, (moment, printed[-3000:])
