"""The runs of a store, as far as it takes to find one by its name.

A local database is read by the standard library, since importing MLflow takes seconds.
"""

import json
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from crackexp.utils.names import on_one_line
from crackexp.utils.store_uri import database_file

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

RUN_ID = re.compile("[0-9a-f]{32}")
"""The form of a run id."""
SHORT = 8
"""The number of digits of a run id that are printed to be typed."""
REUSED_TAG = "sweep.reused_from"
"""The tag of a copied run, whose value is the id of the run that was trained."""
BEST_TAG = "sweep.best"
"""The tag of a sweep, whose value is the id of its best trial."""
TAGS = ("cell.id", "sweep.key", "sweep.verdict", REUSED_TAG, BEST_TAG)
"""The tags of runs that `StoredRun` keeps; "cell.id" is that of a training, "sweep.key" that of a sweep."""
_NUMBER = re.compile("[0-9]+(e[0-9]+)?")
_PARENT = "mlflow.parentRunId"
_MODELS_OF_MLFLOW_2 = "mlflow.log-model.history"


@dataclass(frozen=True)
class StoredRun:
    """A run of a store that is not deleted.

    Attributes:
        run_id: The id.
        name: The name, which need not be unique.
        status: The status: RUNNING, FINISHED, FAILED or KILLED.
        started: The start, in milliseconds since the epoch.
        experiment: The name of the experiment.
        has_model: Whether the run has logged a model.
        parent: The id of the run that it belongs to, such as a sweep; "" for none.
        tags: Its tags that are named in `TAGS`.
    """

    run_id: str
    name: str
    status: str
    started: int
    experiment: str
    has_model: bool
    parent: str
    tags: Mapping[str, str]

    @property
    def original(self) -> str:
        """The id of the run that was trained, which is another one where this one is a copy of its result."""
        return self.tags.get(REUSED_TAG, self.run_id)

    @property
    def start_text(self) -> str:
        """The start in local time."""
        return f"{datetime.fromtimestamp(self.started / 1000):%Y-%m-%d %H:%M}"

    @property
    def shown_name(self) -> str:
        """The name as text for a line of the terminal."""
        return on_one_line(self.name)


class StoredRuns(Protocol):
    """The runs of a store, of which every method returns the newest first."""

    def newest(self, experiment: str) -> Iterator[StoredRun]:
        """Returns the runs of an experiment."""

    def with_id(self, beginning: str) -> Iterator[StoredRun]:
        """Returns the runs of all experiments whose ids begin with some digits."""

    def named(self, name: str) -> Iterator[StoredRun]:
        """Returns the runs of all experiments that have a name."""

    def children(self, parent: str) -> Iterator[StoredRun]:
        """Returns the runs of all experiments that belong to a parent run."""


def short(run_id: str | None) -> str:
    """Returns the beginning of a run id that is printed to be typed. An id of another form than MLflow's stays whole.

    It has more digits than `SHORT` where Hydra would read it as a number.

    Example:

    >>> short("0a6e8d3c3be94d0f9dc3d2d9ba3f8c11"), short("12345e78c9be4d0f9dc3d2d9ba3f8c11")
    ('0a6e8d3c', '12345e78c')
    """
    text = str(run_id)
    if not RUN_ID.fullmatch(text):
        return text
    lengths = range(SHORT, len(text))
    return next((text[:length] for length in lengths if not _NUMBER.fullmatch(text[:length])), text)


@contextmanager
def open_runs(uri: str) -> Iterator[StoredRuns]:
    """Opens the runs of the store at `uri` for the `with` block, without changing the store.

    Raises:
        UserError: The store cannot be read.
    """
    file = database_file(uri)
    if file is None:
        from crackexp.tracking.store import answering, connect

        with answering(uri):
            yield ServerRuns(connect(uri))
        return
    try:
        yield LocalRuns(file)
    except sqlite3.Error as error:
        from crackexp.tracking.store import connect, unusable

        connect(uri)  # raises an error that says what is wrong with the database, as far as that is known
        raise unusable(uri, error) from error


def read_only(file: Path) -> sqlite3.Connection:
    """Opens a local database so that nothing in it or beside it is written."""
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=20)


class LocalRuns:
    """The runs of a local store.

    Args:
        file: The SQLite database, which is opened read-only.
    """

    def __init__(self, file: Path) -> None:
        self.file = file

    def newest(self, experiment: str) -> Iterator[StoredRun]:
        return self._search("experiments.name = ?", experiment)

    def with_id(self, beginning: str) -> Iterator[StoredRun]:
        return self._search("run_uuid LIKE ? || '%'", beginning)

    def named(self, name: str) -> Iterator[StoredRun]:
        return self._search("runs.name = ?", name)

    def children(self, parent: str) -> Iterator[StoredRun]:
        return self._search(f"run_uuid IN (SELECT run_uuid FROM tags WHERE key = '{_PARENT}' AND value = ?)", parent)

    def _search(self, condition: str, value: str) -> Iterator[StoredRun]:
        keys = ", ".join(f"'{key}'" for key in (*TAGS, _PARENT))
        query = f"""
            SELECT run_uuid, coalesce(runs.name, ''), status, start_time, experiments.name,
                run_uuid IN (SELECT source_run_id FROM logged_models WHERE lifecycle_stage = 'active'),
                (SELECT json_group_object(key, value) FROM tags WHERE tags.run_uuid = runs.run_uuid AND key IN ({keys}))
            FROM runs JOIN experiments USING (experiment_id)
            WHERE runs.lifecycle_stage = 'active' AND {condition} ORDER BY start_time DESC, run_uuid
        """
        with closing(read_only(self.file)) as connection:
            rows = connection.execute(query, [value]).fetchall()
        for run_id, name, status, started, experiment, has_model, text in rows:
            tags = json.loads(text)
            parent = tags.pop(_PARENT, "")
            yield StoredRun(run_id, name, status, started, experiment, bool(has_model), parent, tags)


class ServerRuns:
    """The runs of a store that MLflow's client reads, such as that of a server.

    Args:
        client: The client of the store.
    """

    def __init__(self, client: "MlflowClient") -> None:
        self.client = client
        self.experiments = {found.experiment_id: found.name for found in client.search_experiments()}

    def newest(self, experiment: str) -> Iterator[StoredRun]:
        return self._search("", [key for key, name in self.experiments.items() if name == experiment])

    def with_id(self, beginning: str) -> Iterator[StoredRun]:
        return self._search(f"attributes.run_id LIKE '{beginning}%'")

    def named(self, name: str) -> Iterator[StoredRun]:
        quote = '"' if "'" in name else "'"
        return self._search(f"attributes.run_name = {quote}{name}{quote}")

    def children(self, parent: str) -> Iterator[StoredRun]:
        return self._search(f"tags.`{_PARENT}` = '{parent}'")

    def _search(self, condition: str, experiments: list[str] | None = None) -> Iterator[StoredRun]:
        ids = list(self.experiments) if experiments is None else experiments
        token: str | None = None
        while ids and token != "":
            page = self.client.search_runs(
                ids, condition, max_results=100, order_by=["start_time DESC"], page_token=token
            )
            yield from map(self._read, page)
            token = page.token or ""

    def _read(self, run: "Run") -> StoredRun:
        info, tags = run.info, run.data.tags
        return StoredRun(
            run_id=info.run_id,
            name=info.run_name or "",
            status=info.status,
            started=info.start_time,
            experiment=self.experiments[info.experiment_id],
            has_model=bool(run.outputs and run.outputs.model_outputs) or _MODELS_OF_MLFLOW_2 in tags,
            parent=tags.get(_PARENT, ""),
            tags={key: tags[key] for key in TAGS if key in tags},
        )
