"""Runs of a store that a user names by id, as cells to compare: whole sweeps, or any runs that finished."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import mlflow
import yaml
from mlflow.entities import Run

from crackexp.comparison.comparison import Cell
from crackexp.sweep import grid
from crackexp.sweep.identity import UNRELATED
from crackexp.tracking.sweeps import Failure, SweepStore
from crackexp.utils.errors import DataError

MEASURED = ("data", "network", "metrics")
"""First parts of params that a run finds out rather than is told, or that say what is measured of it."""


def select(store: SweepStore, ids: Sequence[str]) -> tuple[str, list[Cell], list[Failure]]:
    """Returns a title, the cells, and the cells without a finished run, of the sweeps and runs in `ids`.

    Cells of one sweep have the settings that it varied; runs from several places, the params in which they differ.

    Raises:
        DataError: the store holds no such run, or the run did not finish.
    """
    runs = [_get(store, run_id) for run_id in dict.fromkeys(ids)]
    sweeps = [run for run in runs if "sweep.key" in run.data.tags]
    if len(runs) == len(sweeps) == 1:
        cells, failures = store.cells(runs[0].info.run_id)
        return runs[0].info.run_name, cells, failures
    singles = {run.info.run_id: run for run in runs if run not in sweeps}
    failures = []
    for sweep in sweeps:
        cells, failed = store.cells(sweep.info.run_id)
        singles |= {cell.run_id: _get(store, cell.run_id) for cell in cells}
        failures += failed
    settings = differences({run_id: run.data.params for run_id, run in singles.items()})
    chosen = [_cell(store, run, settings[run_id]) for run_id, run in singles.items()]
    return f"{len(chosen)} runs", chosen, failures


def differences(params: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, Any]]:
    """Returns the settings in which runs differ.

    Params that vary together, such as a backbone's name and its last layer, are told by the shortest key alone; runs
    that differ in nothing are told apart by the beginning of their ids.

    Args:
        params: run id to its params.
    """
    keys = sorted({key for values in params.values() for key in values}, key=lambda key: (len(key), key))
    kept: dict[tuple[int, ...], str] = {}
    for key in keys:
        column = [values.get(key) for values in params.values()]
        pattern = tuple(column.index(value) for value in column)
        if key.split(".")[0] not in (*UNRELATED, *MEASURED) and any(pattern):
            kept.setdefault(pattern, key)
    settings = {
        run_id: {key: yaml.safe_load(values.get(key) or "null") for key in kept.values()}
        for run_id, values in params.items()
    }
    levels = list(settings.values())
    if len(levels) > 1 and any(levels.count(level) > 1 for level in levels):
        settings = {run_id: {**level, "run": run_id[:8]} for run_id, level in settings.items()}
    return settings


def _get(store: SweepStore, run_id: str) -> Run:
    try:
        return store.client.get_run(run_id)
    except mlflow.MlflowException as error:
        raise DataError(
            f"The store at {store.uri} holds no such run. Type the id of a sweep or of a run, as printed at its end. "
            f"Received: {run_id}"
        ) from error


def _cell(store: SweepStore, run: Run, settings: Mapping[str, Any]) -> Cell:
    if run.info.status != "FINISHED":
        raise DataError(
            f"Only runs that finished are compared; this one is {run.info.status}. Received: {run.info.run_id}"
        )
    cell = store.cell(run, settings)
    return replace(cell, name=grid.name(settings)) if settings else cell
