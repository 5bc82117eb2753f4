"""Sweeps in an MLflow store: a parent run with a child run for each trial, and finished trials that are used again."""

import contextlib
import getpass
import logging
import math
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

from crackexp.comparison.comparison import Trial
from crackexp.comparison.items import read_predictions
from crackexp.evaluation.doubts import WARNING_TAG
from crackexp.reporting.png import OPTIONS
from crackexp.tracking.alive import Alive, mark_killed
from crackexp.tracking.artifacts import damaged, read_again
from crackexp.tracking.logger import Logger, require_store
from crackexp.tracking.result import RESULT, RunResult
from crackexp.tracking.runs import read_split
from crackexp.tracking.store import open_experiment, store_lock
from crackexp.tracking.stored_runs import REUSED_TAG
from crackexp.tracking.view import View, run_page
from crackexp.utils.errors import DamagedFileError, DataError
from crackexp.utils.names import visible
from crackexp.utils.store_uri import ui_lines

KEPT_TAGS = {"cell.id", WARNING_TAG, MLFLOW_RUN_NOTE}
"""The tags that a copy of a run keeps; "cell.id" is the digest of the training (a trial was once called a cell)."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Parent:
    """The parent run of a sweep.

    Attributes:
        run_id: The id of the parent run.
        keys: The swept keys.
    """

    run_id: str
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Failure:
    """A trial without a finished run.

    Attributes:
        name: The name of the trial.
        status: The status of its run, such as "FAILED".
        error: The error by which it failed.
    """

    name: str
    status: str
    error: str

    @property
    def summary(self) -> tuple[str, str]:
        """The name of the trial, and its status with the error."""
        return self.name, f"{self.status}: {self.error}"


class SweepStore:
    """The sweeps of one experiment in an MLflow store.

    Args:
        logger: The logger that names the store and the experiment.
        make: Whether the two are created where they do not exist. A store that is only read is not created.

    Raises:
        UserError: The store cannot be used, or does not exist and must not be created.
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
        """Opens the parent run of a sweep: the one with the same ``sweep.key`` where there is one, else a new one.

        Child runs that an earlier launch left RUNNING are marked KILLED.

        Args:
            name: The name of the sweep.
            tags: The tags of the parent run, with ``sweep.key``, ``sweep.dir`` and ``sweep.varies``.
            rerun: Whether a finished parent run stays as it is and a new one is opened.

        Returns:
            The run id of the parent.
        """
        alive = Alive(self.uri)
        alive.mark_all_killed(self.client, self.experiment_id)
        tags = {**tags, **self._held.enter_context(alive.held())}
        parents = self._search(f"tags.`sweep.key` = '{tags['sweep.key']}'")
        if parents and not (rerun and parents[0].info.status == "FINISHED"):
            run_id = parents[0].info.run_id
            self._mark_stopped(run_id)
            self.client.update_run(run_id, status="RUNNING")
            self.client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])
        else:
            source = {"mlflow.user": getpass.getuser(), "mlflow.source.name": "crackexp.train", **tags}
            run_id = self.client.create_run(self.experiment_id, tags=source, run_name=name).info.run_id
        return run_id

    def close_parent(self, parent: str, status: str) -> None:
        """Ends a parent run as FINISHED, FAILED or KILLED, and its child runs that are still RUNNING as KILLED."""
        self._mark_stopped(parent)
        self.client.set_terminated(parent, status)
        self._held.close()

    def find_parent(self, sweep_dir: str) -> Parent | None:
        """Returns the parent of the sweep that was launched with the folder `sweep_dir`."""
        for run in self._search(
            "tags.`sweep.dir` != ''"
        ):  # a filter of MLflow cannot hold a quote, so folders are compared here
            if run.data.tags["sweep.dir"] == sweep_dir:
                return Parent(run.info.run_id, tuple(_tag(run, "sweep.varies", list[str])))
        return None

    def children(self, parent: str) -> list[Run]:
        """Returns the child runs of a sweep, the newest first. Runs that only evaluate a model are not among them."""
        return self._search(f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{parent}'")

    def finished(self, training_digest: str, parent: str | None = None) -> Run | None:
        """Returns a finished run of a training, or None where there is none.

        Args:
            training_digest: The digest of the training; see `crackexp.sweep.identity.training_digest`.
            parent: The run id of the sweep to search; None for the whole experiment.
        """
        within = f" and tags.`{MLFLOW_PARENT_RUN_ID}` = '{parent}'" if parent else ""
        runs = self._search(f"tags.`cell.id` = '{training_digest}' and attributes.status = 'FINISHED'{within}")
        originals = [run for run in runs if REUSED_TAG not in run.data.tags]
        return next(iter(originals or runs), None)

    def result(self, run: Run) -> RunResult | None:
        """Returns the ``result.json`` of a finished run, or None where it is missing or, with a warning, damaged."""
        try:
            return RunResult.model_validate_json(self._artifact(run, RESULT))
        except (mlflow.MlflowException, OSError):
            return None
        except (DamagedFileError, ValidationError) as error:
            reason = str(error).partition("\n")[0]
            _log.warning("The result of the run %s is damaged, and counts as missing: %s", run.info.run_id, reason)
            return None

    def adopt(self, run: Run, parent: str, name: str, tags: Mapping[str, str]) -> None:
        """Adds a finished run from outside of a sweep to it, as a child run with the same params and metrics."""
        now = get_current_time_millis()
        kept = {tag: value for tag, value in run.data.tags.items() if tag in KEPT_TAGS}
        every = {**kept, **tags, MLFLOW_PARENT_RUN_ID: parent, REUSED_TAG: self.original(run)}
        child = self.client.create_run(self.experiment_id, tags=every, run_name=name).info.run_id
        params = [Param(key, value) for key, value in run.data.params.items()]
        metrics = [Metric(key, value, now, 0) for key, value in run.data.metrics.items()]
        for start in range(0, len(params), 100):
            self.client.log_batch(child, params=params[start : start + 100])
        self.client.log_batch(child, metrics=metrics)
        self.client.set_terminated(child)

    def record_failure(self, parent: str, name: str, tags: Mapping[str, str], begun: int, error: BaseException) -> None:
        """Records a trial that failed before its run was opened. One that failed later has been recorded already.

        Args:
            parent: The run id of the sweep.
            name: The name of the trial.
            tags: The tags of its run.
            begun: The start of the trial, in milliseconds since the epoch.
            error: The error by which it failed.
        """
        if any(run.info.run_name == name and run.info.start_time >= begun for run in self.children(parent)):
            return
        text = visible(f"{type(error).__name__}: {error}")[:5000]
        every = {**tags, MLFLOW_PARENT_RUN_ID: parent, "error": text}
        child = self.client.create_run(self.experiment_id, tags=every, run_name=name).info.run_id
        self.client.set_terminated(child, "FAILED")

    def trials(self, parent: str) -> tuple[list[Trial], list[Failure]]:
        """Returns the trials of a sweep, each by its newest readable finished run, and those without such a run."""
        trials: dict[str, Trial] = {}
        failures: dict[str, Failure] = {}
        for run in self.children(parent):
            key = run.data.tags.get("sweep.settings", run.info.run_id)
            if run.info.status == "FINISHED" and key not in trials:
                try:
                    trials[key] = self.trial(run, _tag(run, "sweep.settings", dict[str, Any]))
                except DataError as error:
                    failures.setdefault(key, Failure(run.info.run_name, "UNREADABLE", str(error)))
            elif run.info.status != "RUNNING" and key not in failures:
                failures[key] = Failure(run.info.run_name, run.info.status, run.data.tags.get("error", ""))
        return list(trials.values()), [failure for key, failure in failures.items() if key not in trials]

    def trial(self, run: Run, configuration: Mapping[str, Any] | None = None) -> Trial:
        """Reads what a comparison needs of a finished run.

        Args:
            run: The finished run.
            configuration: The level of each swept key; None for the one that its sweep has logged.

        Raises:
            DataError: The run holds no predictions, or they are not those that were logged.
        """
        if configuration is None:
            swept = "sweep.settings" in run.data.tags
            configuration = _tag(run, "sweep.settings", dict[str, Any]) if swept else {}
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
        return Trial(
            run_id=run.info.run_id,
            name=run.info.run_name,
            configuration=configuration,
            metrics=run.data.metrics,
            predictions=predictions,
            seconds=run.data.metrics.get("time/total_seconds", math.nan)
            + run.data.metrics.get("time/embedding_saved_seconds", 0.0),
            parameters=int(run.data.params.get("network.parameters", 0)),
        )

    def original(self, run: Run) -> str:
        """Returns the id of the run that was trained, which is another one where `run` is a copy of its result."""
        return run.data.tags.get(REUSED_TAG, run.info.run_id)

    def split(self, run: Run) -> pd.DataFrame:
        """Returns a table with a row for each image of a run: split ("train", "val" or "test") and digest.

        Raises:
            DataError: The run holds no such table, or it is not the one that was logged.
        """
        path = "data/manifest.csv"
        try:
            return read_split(run, path, self._artifact(run, path))
        except (mlflow.MlflowException, OSError) as error:
            raise DataError(
                f"The run does not say which images it was trained on. Received: {run.info.run_id}"
            ) from error

    def log(self, parent: str, *, texts: Mapping[str, str], figures: Mapping[str, Figure]) -> None:
        """Logs texts and figures to a parent run, by their artifact paths."""
        for path, text in texts.items():
            self.client.log_text(parent, text, path)
        for path, figure in figures.items():
            self.client.log_figure(parent, figure, path, save_kwargs=OPTIONS)

    def annotate(self, run_id: str, *, metrics: Mapping[str, float], tags: Mapping[str, str]) -> None:
        """Sets metrics and tags of the run of a sweep or of a trial."""
        now = get_current_time_millis()
        self.client.log_batch(
            run_id,
            metrics=[Metric(key, value, now, 0) for key, value in metrics.items()],
            tags=[RunTag(key, value) for key, value in tags.items()],
        )

    def save_view(self, view: View) -> None:
        """Saves a view of the runs table, which the MLflow UI opens by its address."""
        self.client.set_experiment_tag(self.experiment_id, view.tag, view.value)

    def where(self, parent: str, view: View) -> list[str]:
        """Returns the lines that say how to open the sweep in the MLflow UI."""
        answer = run_page(self.experiment_id, parent)
        return ui_lines(self.uri, {"The answer": answer, "The trials": view.table, "The charts": view.charts})

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
    """Returns the first line of the message of an error, of at most 300 characters."""
    return str(error).partition("\n")[0].rstrip(".")[:300]


def _tag(run: Run, key: str, kind: Any) -> Any:
    """Returns the value of a tag that holds JSON.

    Raises:
        DataError: The run has no such tag, or the tag does not hold a value of `kind`.
    """
    try:
        return TypeAdapter(kind).validate_json(run.data.tags.get(key, ""))
    except ValidationError as error:
        raise DataError(
            f"The tag {key} of a run is not what crackexp wrote. Restore it on the page of the run, or run the sweep "
            f"again with sweep.rerun=true. Received: {key}={run.data.tags.get(key)} of {run.info.run_id}"
        ) from error
