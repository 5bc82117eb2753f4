"""The runs of a store that a user selects by id for a comparison: whole sweeps, or any finished runs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import mlflow
import yaml
from mlflow.entities import Run

from crackexp.comparison.comparison import Trial
from crackexp.reporting.formatting import counted
from crackexp.sweep import grid
from crackexp.sweep.identity import UNRELATED
from crackexp.tracking.sweeps import Failure, SweepStore
from crackexp.utils.errors import DataError

MEASURED = ("data", "network", "metrics")
"""The first parts of the params that a run logs of its data, its network or its metrics, and that are not options."""


def select(store: SweepStore, ids: Sequence[str]) -> tuple[str, list[Trial], list[Failure]]:
    """Returns a title, the trials, and the trials without a finished run, of the sweeps and runs in `ids`.

    The configuration of a trial of one sweep holds the swept keys. Runs from several places get the params in which
    they differ.

    Raises:
        DataError: The store holds no such run, or the run did not finish.
    """
    runs = [_get(store, run_id) for run_id in dict.fromkeys(ids)]
    sweeps = [run for run in runs if "sweep.key" in run.data.tags]
    if len(runs) == len(sweeps) == 1:
        trials, failures = store.trials(runs[0].info.run_id)
        return runs[0].info.run_name, trials, failures
    singles = {run.info.run_id: run for run in runs if run not in sweeps}
    failures = []
    for sweep in sweeps:
        trials, failed = store.trials(sweep.info.run_id)
        singles |= {trial.run_id: _get(store, trial.run_id) for trial in trials}
        failures += failed
    configurations = differences({run_id: run.data.params for run_id, run in singles.items()})
    chosen = [_trial(store, run, configurations[run_id]) for run_id, run in singles.items()]
    return counted(len(chosen), "run"), chosen, failures


def differences(params: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, Any]]:
    """Returns the params in which runs differ, by run id.

    Of params that always vary together, such as a backbone's name and its last layer, only the one with the shortest
    key is kept. Runs that do not differ are told apart by the beginning of their ids.

    Args:
        params: The params of each run, by run id.
    """
    keys = sorted({key for values in params.values() for key in values}, key=lambda key: (len(key), key))
    kept: dict[tuple[int, ...], str] = {}
    for key in keys:
        column = [values.get(key) for values in params.values()]
        pattern = tuple(column.index(value) for value in column)
        if key.split(".")[0] not in (*UNRELATED, *MEASURED) and any(pattern):
            kept.setdefault(pattern, key)
    configurations = {
        run_id: {key: yaml.safe_load(values.get(key) or "null") for key in kept.values()}
        for run_id, values in params.items()
    }
    levels = list(configurations.values())
    if len(levels) > 1 and any(levels.count(level) > 1 for level in levels):
        configurations = {run_id: {**level, "run": run_id[:8]} for run_id, level in configurations.items()}
    return configurations


def _get(store: SweepStore, run_id: str) -> Run:
    try:
        return store.client.get_run(run_id)
    except mlflow.MlflowException as error:
        raise DataError(
            f"The store at {store.uri} holds no such run. Type the id of a sweep or of a run, as printed at its end. "
            f"Received: {run_id}"
        ) from error


def _trial(store: SweepStore, run: Run, configuration: Mapping[str, Any]) -> Trial:
    if run.info.status != "FINISHED":
        raise DataError(
            f"Only runs that finished are compared; this one is {run.info.status}. Received: {run.info.run_id}"
        )
    trial = store.trial(run, configuration)
    return replace(trial, name=grid.name(configuration)) if configuration else trial
