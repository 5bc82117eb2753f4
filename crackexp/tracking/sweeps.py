"""Sweeps in an MLflow store: a parent run, a child run a cell, and which cells need no second run."""

import contextlib
import getpass
import logging
import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import mlflow
import pandas as pd
from matplotlib.figure import Figure
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NOTE
from mlflow.utils.time import get_current_time_millis
from pydantic import TypeAdapter, ValidationError

from crackexp.comparison.comparison import Cell
from crackexp.comparison.items import read_predictions
from crackexp.evaluation.doubts import WARNING_TAG
from crackexp.tracking.alive import Alive, mark_killed
from crackexp.tracking.artifacts import damaged, read_again
from crackexp.tracking.logger import Logger, require_store
from crackexp.tracking.mlflow_run import PNG
from crackexp.tracking.result import RESULT, RunResult
from crackexp.tracking.runs import read_split
from crackexp.tracking.store import open_experiment, store_lock
from crackexp.tracking.view import View
from crackexp.utils.errors import DamagedFileError, DataError
from crackexp.utils.names import visible
from crackexp.utils.store_uri import ui_words

REUSED_TAG = "sweep.reused_from"
SAID = {"cell.id", WARNING_TAG, MLFLOW_RUN_NOTE}
"""Tags by which a run says what it trained, how far it can be relied on, and what came of it."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Parent:
    """The parent run of a sweep."""

    run_id: str
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Failure:
    """A cell without a finished run."""

    name: str
    status: str
    error: str

    @property
    def told(self) -> tuple[str, str]:
        """The name of the cell, and how it ended."""
        return self.name, f"{self.status}: {self.error}"


class SweepStore:
    """The sweeps of one experiment in an MLflow store.

    Args:
        logger: The logger that names the store and the experiment.
        make: Makes the two where they do not exist; a store that is only read is not made.

    Raises:
        UserError: The store cannot be used, or is to be read and does not exist.
    """

    def __init__(self, logger: Logger, make: bool = True) -> None:
        self.uri = require_store(logger, "Sweeps are kept in a store")
        self.experiment_id = open_experiment(logger, make)
        self.client = mlflow.MlflowClient(self.uri)
        self._held = contextlib.ExitStack()

    def lock(self, part: str) -> contextlib.AbstractContextManager[Any]:
        """Returns a lock on a part of the store; see `store_lock`."""
        return store_lock(self.uri, part)

    def open_parent(self, name: str, tags: Mapping[str, str], rerun: bool) -> str:
        """Opens the parent run of a sweep: the one of the same ``sweep.key`` where it exists, else a new one.

        What an earlier launch left RUNNING under it is marked KILLED.

        Args:
            name: of the sweep.
            tags: with ``sweep.key``, ``sweep.dir`` and ``sweep.varies``.
            rerun: leaves a parent that finished as it is, and opens a new one.

        Returns:
            The parent's run id.
        """
        alive = Alive(self.uri)
        alive.mark_all_killed(self.client, self.experiment_id)
        tags = {**tags, **self._held.enter_context(alive.held())}
        found = self._search(f"tags.`sweep.key` = '{tags['sweep.key']}'")
        if found and not (rerun and found[0].info.status == "FINISHED"):
            run_id = found[0].info.run_id
            self._mark_stopped(run_id)
            self.client.update_run(run_id, status="RUNNING")
            self.client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])
        else:
            source = {"mlflow.user": getpass.getuser(), "mlflow.source.name": "crackexp.train", **tags}
            run_id = self.client.create_run(self.experiment_id, tags=source, run_name=name).info.run_id
        return run_id

    def close_parent(self, parent: str, status: str) -> None:
        """Ends a parent run as FINISHED, FAILED or KILLED, and what still runs under it as KILLED."""
        self._mark_stopped(parent)
        self.client.set_terminated(parent, status)
        self._held.close()

    def find_parent(self, sweep_dir: str) -> Parent | None:
        """Returns the parent of the sweep that was launched with the folder `sweep_dir`."""
        for run in self._search("tags.`sweep.dir` != ''"):  # MLflow's filters have no way to write a quote
            if run.data.tags["sweep.dir"] == sweep_dir:
                return Parent(run.info.run_id, tuple(_tag(run, "sweep.varies", list[str])))
        return None

    def children(self, parent: str) -> list[Run]:
        """Returns the child runs of a sweep, the newest first; no judgement of a trained model is among them."""
        return self._search(f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{parent}'")

    def finished(self, cell: str, parent: str | None = None) -> Run | None:
        """Returns a finished run of the cell with this digest, of one sweep or of the whole experiment."""
        within = f" and tags.`{MLFLOW_PARENT_RUN_ID}` = '{parent}'" if parent else ""
        found = self._search(f"tags.`cell.id` = '{cell}' and attributes.status = 'FINISHED'{within}")
        originals = [run for run in found if REUSED_TAG not in run.data.tags]
        return next(iter(originals or found), None)

    def result(self, run: Run) -> RunResult | None:
        """Returns the ``result.json`` of a finished run, None where it is gone or damaged; the latter is told."""
        try:
            return RunResult.model_validate_json(self._artifact(run, RESULT))
        except (mlflow.MlflowException, OSError):
            return None
        except (DamagedFileError, ValidationError) as error:
            reason = str(error).partition("\n")[0]
            _log.warning("The result of the run %s is damaged, and counts as missing: %s", run.info.run_id, reason)
            return None

    def adopt(self, run: Run, parent: str, name: str, tags: Mapping[str, str]) -> None:
        """Shows a finished run of elsewhere as a cell of this sweep: a child run with what it says of itself."""
        now = get_current_time_millis()
        said = {tag: value for tag, value in run.data.tags.items() if tag in SAID}
        every = {**said, **tags, MLFLOW_PARENT_RUN_ID: parent, REUSED_TAG: self.original(run)}
        child = self.client.create_run(self.experiment_id, tags=every, run_name=name).info.run_id
        params = [Param(key, value) for key, value in run.data.params.items()]
        metrics = [Metric(key, value, now, 0) for key, value in run.data.metrics.items()]
        for start in range(0, len(params), 100):
            self.client.log_batch(child, params=params[start : start + 100])
        self.client.log_batch(child, metrics=metrics)
        self.client.set_terminated(child)

    def record_failure(self, parent: str, name: str, tags: Mapping[str, str], begun: int, error: BaseException) -> None:
        """Records a cell that failed before its run was opened; one that failed later is recorded already.

        Args:
            parent: of the cell.
            name: of the cell.
            tags: of its run.
            begun: milliseconds since the epoch at the start of the cell.
            error: why it failed.
        """
        if any(run.info.run_name == name and run.info.start_time >= begun for run in self.children(parent)):
            return
        text = visible(f"{type(error).__name__}: {error}")[:5000]
        every = {**tags, MLFLOW_PARENT_RUN_ID: parent, "error": text}
        child = self.client.create_run(self.experiment_id, tags=every, run_name=name).info.run_id
        self.client.set_terminated(child, "FAILED")

    def cells(self, parent: str) -> tuple[list[Cell], list[Failure]]:
        """Returns the cells of a sweep by their newest finished run that can be read, and those that have none."""
        cells: dict[str, Cell] = {}
        failures: dict[str, Failure] = {}
        for run in self.children(parent):
            key = run.data.tags.get("sweep.settings", run.info.run_id)
            if run.info.status == "FINISHED" and key not in cells:
                try:
                    cells[key] = self.cell(run, _tag(run, "sweep.settings", dict[str, Any]))
                except DataError as error:
                    failures.setdefault(key, Failure(run.info.run_name, "UNREADABLE", str(error)))
            elif run.info.status != "RUNNING" and key not in failures:
                failures[key] = Failure(run.info.run_name, run.info.status, run.data.tags.get("error", ""))
        return list(cells.values()), [failure for key, failure in failures.items() if key not in cells]

    def cell(self, run: Run, settings: Mapping[str, Any] | None = None) -> Cell:
        """Reads what a comparison needs of a finished run.

        Args:
            run: finished.
            settings: what it varies; None: as its sweep says.

        Raises:
            DataError: the run holds no predictions, or they are not those that were logged.
        """
        if settings is None:
            settings = _tag(run, "sweep.settings", dict[str, Any]) if "sweep.settings" in run.data.tags else {}
        path = "test/predictions.csv"
        try:
            predictions = read_predictions(BytesIO(self._artifact(run, path)))
        except ValueError as error:
            raise damaged(run, path, str(error)) from error
        except (mlflow.MlflowException, OSError) as error:
            raise DataError(
                f"The run holds no predictions that can be read, so it cannot be compared: {_reason(error)}. Type the "
                f"id of a run of crackexp.train that finished. Received: {run.info.run_id}"
            ) from error
        return Cell(
            run_id=run.info.run_id,
            name=run.info.run_name,
            settings=settings,
            metrics=run.data.metrics,
            predictions=predictions,
            seconds=run.data.metrics.get("time/total_seconds", math.nan)
            + run.data.metrics.get("time/embedding_saved_seconds", 0.0),
            parameters=int(run.data.params.get("network.parameters", 0)),
        )

    def original(self, run: Run) -> str:
        """Returns the id of the run that was trained; another one where `run` shows a result of elsewhere."""
        return run.data.tags.get(REUSED_TAG, run.info.run_id)

    def split(self, run: Run) -> pd.DataFrame:
        """Returns the images of a run, a row each: split ("train", "val" or "test") and digest.

        Raises:
            DataError: the run holds no such table, or it is not the one that was logged.
        """
        path = "data/manifest.csv"
        try:
            return read_split(run, path, self._artifact(run, path))
        except (mlflow.MlflowException, OSError) as error:
            raise DataError(
                f"The run does not say which images it was trained on. Received: {run.info.run_id}"
            ) from error

    def log(self, parent: str, *, texts: Mapping[str, str], figures: Mapping[str, Figure]) -> None:
        """Logs files to a parent run, by their artifact paths."""
        for path, text in texts.items():
            self.client.log_text(parent, text, path)
        for path, figure in figures.items():
            self.client.log_figure(parent, figure, path, save_kwargs=PNG)

    def annotate(self, run_id: str, *, metrics: Mapping[str, float], tags: Mapping[str, str]) -> None:
        """Sets metrics and tags of a sweep or of a cell."""
        now = get_current_time_millis()
        self.client.log_batch(
            run_id,
            metrics=[Metric(key, value, now, 0) for key, value in metrics.items()],
            tags=[RunTag(key, value) for key, value in tags.items()],
        )

    def save_view(self, view: View) -> None:
        """Saves a view of the runs table, which the UI opens by its address."""
        self.client.set_experiment_tag(self.experiment_id, view.tag, view.value)

    def where(self, parent: str, view: View) -> list[str]:
        """Returns lines that tell where the sweep lies and how to open it."""
        local = not self.uri.startswith("http")
        serve = [f"Open it     {shlex.join(ui_words(self.uri))}"] if local else []
        address = "http://127.0.0.1:5000" if local else self.uri.rstrip("/")
        return [
            *serve,
            f"The answer  {address}/#/experiments/{self.experiment_id}/runs/{parent}?workflowType=machine_learning",
            f"The cells   {address}/{view.table}",
            f"The charts  {address}/{view.charts}",
        ]

    def _mark_stopped(self, parent: str) -> None:
        for child in self.children(parent):
            if child.info.status == "RUNNING":
                mark_killed(self.client, child.info.run_id)

    def _artifact(self, run: Run, path: str) -> bytes:
        original = self.original(run)
        source = run if original == run.info.run_id else self.client.get_run(original)
        return read_again(source, path, self.uri)

    def _search(self, condition: str) -> list[Run]:
        runs: list[Run] = []
        token: str | None = None
        while True:
            page = self.client.search_runs(
                [self.experiment_id], condition, max_results=500, order_by=["start_time DESC"], page_token=token
            )
            runs += page
            token = page.token
            if not token:
                return runs


def _reason(error: Exception) -> str:
    """Returns the first sentence of what an error says."""
    return str(error).partition("\n")[0].rstrip(".")[:300]


def _tag(run: Run, key: str, kind: Any) -> Any:
    """Returns the value of a tag that holds JSON.

    Raises:
        DataError: the run has no such tag, or it holds something else than `kind`.
    """
    try:
        return TypeAdapter(kind).validate_json(run.data.tags.get(key, ""))
    except ValidationError as error:
        raise DataError(
            f"The tag {key} of a run is not what crackexp wrote. Set it back on the page of the run, or run the sweep "
            f"again with sweep.rerun=true. Received: {key}={run.data.tags.get(key)} of {run.info.run_id}"
        ) from error
