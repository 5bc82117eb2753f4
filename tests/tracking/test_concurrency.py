"""Many processes that log to one new store at the same moment, as the trials of a parallel sweep do."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.synchronize import Barrier
from pathlib import Path

import mlflow
import pytest
from matplotlib.figure import Figure
from mlflow.entities import Run

from crackexp.tracking.mlflow_logger import MlflowLogger
from tests.tracking.test_logger import make_logger

PARAMS = {f"group{number}.key": str(number) for number in range(90)}
CURVES = 12
EPOCHS = 5
RESULTS = 60
DATASETS = 5


def _meet_at(shared: Barrier) -> None:
    global barrier
    barrier = shared


def _log_a_trial(logger: MlflowLogger, number: int) -> str:
    barrier.wait(120)
    with logger.run(f"dropout={number}", {"cell.id": f"{number:032}"}):
        logger.log_params({**PARAMS, "dropout": number})
        for epoch in range(EPOCHS):
            logger.log_metrics({f"train/curve{curve}": number + epoch for curve in range(CURVES)}, epoch)
        for dataset in range(DATASETS):
            barrier.wait(120)
            logger.log_dataset("patches", Path.cwd(), f"digest{dataset}", {"images": 3}, "training")
        logger.log_metrics({f"test/result{result}": number / (1 + result) for result in range(RESULTS)})
        logger.log_text("digest,label\n", "test/predictions.csv")
        logger.log_figure(Figure(), "test/confusion_matrix.png")
    assert logger.run_id
    return logger.run_id


@pytest.mark.timeout(1800)
@pytest.mark.slow
def test_processes_that_start_together_on_an_empty_store_lose_nothing(tmp_path: Path) -> None:
    processes, rounds = 8, 10
    spawn = multiprocessing.get_context("spawn")
    shared = spawn.Barrier(processes)
    with ProcessPoolExecutor(processes, mp_context=spawn, initializer=_meet_at, initargs=(shared,)) as pool:
        for attempt in range(rounds):
            logger = make_logger(tmp_path / f"round{attempt}")
            runs = list(pool.map(_log_a_trial, [logger] * processes, range(processes)))
            _check_store(logger, runs)


def _check_store(logger: MlflowLogger, runs: list[str]) -> None:
    mlflow.set_tracking_uri(logger.store)
    client = mlflow.MlflowClient()
    (experiment,) = [found for found in client.search_experiments() if found.name == logger.experiment]
    found = {run.info.run_id: run for run in client.search_runs([experiment.experiment_id])}
    assert set(found) == set(runs)
    for number, run_id in enumerate(runs):
        _check_trial(client, found[run_id], number)


def _check_trial(client: mlflow.MlflowClient, run: Run, number: int) -> None:
    run_id = run.info.run_id
    assert run.info.status == "FINISHED"
    assert run.info.run_name == f"dropout={number}"
    assert run.data.tags["cell.id"] == f"{number:032}"
    assert run.data.params == {**PARAMS, "dropout": str(number)}
    curves = {f"train/curve{curve}": float(number + EPOCHS - 1) for curve in range(CURVES)}
    assert run.data.metrics == curves | {f"test/result{result}": number / (1 + result) for result in range(RESULTS)}
    for curve in curves:
        history = client.get_metric_history(run_id, curve)
        assert [(metric.step, metric.value) for metric in history] == [
            (epoch, number + epoch) for epoch in range(EPOCHS)
        ]
    datasets = {dataset.dataset.digest for dataset in run.inputs.dataset_inputs}
    assert datasets == {f"digest{dataset}" for dataset in range(DATASETS)}
    artifacts = [file.path for file in client.list_artifacts(run_id, "test")]
    assert artifacts == ["test/confusion_matrix.png", "test/predictions.csv"]
