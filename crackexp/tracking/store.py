"""Opening of an MLflow store, by which every command opens one.

A local database is created as a whole or not at all, and is checked before MLflow opens it. MLflow itself would retry a
database that it cannot open for minutes, would leave a half-made one where it is killed, and would read the locations
of artifacts from a copied database as they were before the copy.
"""

import logging
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import mlflow
from alembic.script import ScriptDirectory
from filelock import FileLock
from mlflow.entities import Experiment
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from sqlalchemy import Engine
from sqlalchemy.event import listens_for
from sqlalchemy.exc import SQLAlchemyError

from crackexp.tracking.logger import Logger, require_store
from crackexp.tracking.moved_store import follow
from crackexp.tracking.server import require_server
from crackexp.tracking.view import View, runs_view
from crackexp.utils.errors import UserError
from crackexp.utils.files import remove_leftovers, replacing
from crackexp.utils.store_uri import SQLITE, database_file, uri_problem

ARTIFACTS = "artifacts"
"""The folder beside the database for the artifacts of experiments that are created without a folder of their own."""
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
"""The tags with which the UI opens an experiment on its pages for training, and not on those for language models."""


_opened: set[Path] = set()
"""The databases that this process has opened, without symbolic links in their paths."""


class NoStoreError(UserError):
    """Raised where there is no database to read."""


def connect(uri: str, make: bool = False) -> mlflow.MlflowClient:
    """Opens the store at `uri`, which MLflow's functions use from then on.

    Args:
        uri: The address of the store; see `crackexp.utils.store_uri`.
        make: Whether a local store is created where it does not exist. It must be writable then.

    Raises:
        NoStoreError: The local store does not exist and must not be created.
        UserError: The local store cannot be used. A server is not contacted here.
    """
    if problem := uri_problem(uri):
        raise UserError(f"tracking.uri {problem}. Received: tracking.uri={uri}")
    for name in ("alembic", "mlflow.store"):
        logging.getLogger(name).setLevel(logging.WARNING)
    if file := database_file(uri):
        logging.getLogger("mlflow.store.db").setLevel(logging.CRITICAL)  # it also raises what it logs
        with answering(uri):
            _ready(file, make)
        _opened.add(file.resolve())
    mlflow.set_tracking_uri(uri)
    return mlflow.MlflowClient()


def open_experiment(logger: Logger, make: bool = True) -> str:
    """Opens the store of a logger and its experiment.

    Args:
        logger: The logger, which has a store.
        make: Whether store and experiment are created where they do not exist, by the first of several processes.

    Returns:
        The id of the experiment.

    Raises:
        UserError: The store cannot be used, the experiment was deleted, or one of them does not exist.
    """
    uri = require_store(logger, "An experiment lies in a store")
    require_server(uri)
    client = connect(uri, make)
    with answering(uri), store_lock(uri) if make else nullcontext():
        experiment = client.get_experiment_by_name(logger.experiment)
        if experiment is None and make:
            artifacts = Path(logger.artifacts).resolve().as_uri() if logger.artifacts else None
            experiment = client.get_experiment(client.create_experiment(logger.experiment, artifacts, EXPERIMENT_TAGS))
        if make and experiment is not None and experiment.lifecycle_stage != "deleted":
            save_runs_view(client, experiment)
    if experiment is None:
        raise UserError(
            f"The store at {uri} holds no experiment of that name. Type tracking.experiment=NAME. "
            f"Received: tracking.experiment={logger.experiment}"
        )
    if experiment.lifecycle_stage == "deleted":
        raise UserError(
            f"The MLflow experiment was deleted. Type tracking.experiment=ANOTHER_NAME. "
            f"Received: tracking.experiment={logger.experiment}"
        )
    return experiment.experiment_id


def save_runs_view(client: mlflow.MlflowClient, experiment: Experiment) -> View:
    """Returns the view of the runs of an experiment, and saves it there unless the experiment has one already."""
    view = runs_view(experiment.experiment_id)
    if view.tag not in experiment.tags:
        client.set_experiment_tag(experiment.experiment_id, view.tag, view.value)
    return view


def store_lock(uri: str, part: str = "") -> AbstractContextManager[Any]:
    """Returns a lock that keeps other processes from changing a part of a local store; a server needs none.

    Args:
        uri: The address of the store.
        part: The part, such as ".registry"; "" means the tables themselves.
    """
    file = database_file(uri)
    return FileLock(f"{file}{part}.lock") if file else nullcontext()


@contextmanager
def answering(uri: str) -> Iterator[None]:
    """Turns exceptions of MLflow in the `with` block into an error that says why the store cannot be used.

    Raises:
        UserError: The store cannot be reached, read or written.
    """
    try:
        yield
    except (mlflow.MlflowException, SQLAlchemyError, OSError, ImportError) as error:
        raise unusable(uri, error) from error


def unusable(uri: str, reason: object) -> UserError:
    """Returns the error that says why a store cannot be used."""
    local = database_file(uri) is not None
    advice = "Fix that, or type tracking.uri=sqlite:///FILE" if local else "Start it, or type tracking=local"
    return UserError(f"The MLflow store cannot be used: {reason}. {advice}. Received: tracking.uri={uri}")


@listens_for(Engine, "connect")
def _keep_journal(connection: Any, record: object) -> None:
    """Makes SQLite overwrite the beginning of its journal after a transaction, and not delete the file.

    Both are equally safe, but a file system may take 10 ms for each file that it deletes, and a run has dozens of
    transactions. Other programs that open the database go on deleting it. A write-ahead log, which a database has where
    a user chose it, stays.
    """
    if not isinstance(connection, sqlite3.Connection):
        return
    (_, _, file), *_ = connection.execute("PRAGMA database_list")
    if file and Path(file).resolve() in _opened:
        connection.execute("PRAGMA busy_timeout = 20000")
        if connection.execute("PRAGMA journal_mode").fetchone() == ("delete",):
            connection.execute("PRAGMA journal_mode = PERSIST")


def _ready(file: Path, make: bool) -> None:
    if make:
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{file}.lock"):
            if not _is_there(file):
                _make(file)
    elif not _is_there(file):
        raise NoStoreError(
            f"There is no MLflow store at {file}. Change to the folder where the model was trained, or type "
            f"tracking.uri=URI. Received: tracking.uri={SQLITE}{file}"
        )
    with file.open("rb+" if make else "rb"):
        _check_schema(file)
    follow(file, make)


def _is_there(file: Path) -> bool:
    return file.exists() and (not file.is_file() or file.stat().st_size > 0)


def _make(file: Path) -> None:
    """Creates the database under a temporary name and renames it, so that a killed process leaves no broken one."""
    remove_leftovers(file)
    with replacing(file, lasting=True) as temporary:
        temporary.touch()
        place = temporary.resolve()
        _opened.add(place)
        try:
            store = SqlAlchemyStore(f"{SQLITE}{temporary}", (file.absolute().parent / ARTIFACTS).as_uri())
            store.engine.dispose()
        finally:
            _opened.remove(place)
            place.with_name(f"{place.name}-journal").unlink(missing_ok=True)


@cache
def _migrations() -> ScriptDirectory:
    """Returns the migrations of the tables that MLflow knows, which are read from its package once in a process."""
    return ScriptDirectory(str(Path(mlflow.__file__).parent / "store" / "db_migrations"))


def _check_schema(file: Path) -> None:
    """Raises UserError where this version of MLflow cannot use the tables of the database as they are."""
    uri = f"{SQLITE}{file}"
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True, timeout=10)) as connection:
        try:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        except sqlite3.Error as error:
            raise unusable(uri, error) from error
        used = "experiments" in tables and connection.execute("SELECT count(*) FROM experiments").fetchone()[0]
        revision = (
            connection.execute("SELECT version_num FROM alembic_version").fetchone()
            if "alembic_version" in tables
            else None
        )
    scripts = _migrations()
    if revision and revision[0] == scripts.get_current_head():
        return
    if not used:
        command = shlex.join(["rm", str(file)])
        raise unusable(uri, f"the process that was making it was killed, and nothing is in it. Type {command}")
    if revision and revision[0] in {script.revision for script in scripts.walk_revisions()}:
        command = shlex.join(["mlflow", "db", "upgrade", uri])
        raise UserError(
            f"The MLflow store was made by an older version of MLflow than {mlflow.__version__}. Copy {file} to a safe "
            f"place, then type {command} Received: tracking.uri={uri}"
        )
    raise UserError(
        f"The MLflow store was made by a newer version of MLflow than {mlflow.__version__}. Install that version, or "
        f"name another store. Received: tracking.uri={uri}"
    )
