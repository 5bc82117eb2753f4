"""Local stores that were copied or moved, whose database is updated so that it names the artifacts beside it.

MLflow keeps the locations of artifacts as absolute paths. So crackexp keeps the folder of the database in a table of
its own. Where the database is opened in another folder, the paths are rewritten.
"""

import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from filelock import FileLock

from crackexp.utils.errors import UserError

TABLE = "crackexp_place"
PLACES = (
    ("experiments", "artifact_location", "TRUE"),
    ("runs", "artifact_uri", "TRUE"),
    ("logged_models", "artifact_location", "TRUE"),
    ("model_versions", "source", "TRUE"),
    ("model_versions", "storage_location", "TRUE"),
    ("trace_tags", "value", "key = 'mlflow.artifactLocation'"),
)
"""The table, column and condition of all locations of artifacts in a database of MLflow."""


@dataclass(frozen=True)
class Move:
    """The move of a store from one folder to another.

    Attributes:
        there: The folder in which the store was before.
        here: The folder in which it is now.
    """

    there: Path
    here: Path

    def __call__(self, path: Path) -> Path | None:
        """Returns the path of a file or folder after the move, or None where it has not moved.

        Everything below `there` has moved. Outside of it, a path has moved if it exists at the same place in a larger
        folder that was copied as a whole: ``/old/results`` is then ``/new/results`` where ``/old/mlruns`` became
        ``/new/mlruns``.
        """
        if path.is_relative_to(self.there):
            return self.here / path.relative_to(self.there)
        there, here = self.there, self.here
        while there.name and there.name == here.name:
            there, here = there.parent, here.parent
        if path.is_relative_to(there):
            counterpart = here / path.relative_to(there)
            return counterpart if counterpart.exists() else None
        return None

    def text(self, place: str) -> str | None:
        """Returns a location as MLflow writes it, a path or a ``file:`` URI, after the move, or None where it stays."""
        path = local_path(place)
        moved = self(path) if path else None
        if moved is None:
            return None
        return moved.as_uri() if place.startswith("file:") else str(moved)


def local_path(place: str) -> Path | None:
    """Returns the path of a location as MLflow writes it, or None where it is not on a local disk."""
    if place.startswith("file:"):
        return Path(url2pathname(urlsplit(place).path))
    return Path(place) if place.startswith("/") else None


def follow(file: Path, write: bool) -> None:
    """Makes the database `file` name the artifacts beside it where it was copied or moved.

    Args:
        file: The database of a local store.
        write: Whether the folder is also recorded in a database that does not have it yet.

    Raises:
        UserError: The artifacts were not copied, or the database cannot be written.
    """
    here = file.resolve().parent
    with closing(_open(file)) as connection:
        there = _origin(connection, here)
        if there == here or (there is None and not write) or (there and _is_same(there, here)):
            return
        if there:
            _require_artifacts(connection, Move(there, here), file)
    try:
        with FileLock(f"{file}.lock"), closing(_open(file)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            there = _origin(connection, here)
            if there not in (None, here):
                _rewrite(connection, Move(there, here))
            connection.execute(f"CREATE TABLE IF NOT EXISTS {TABLE} (folder TEXT NOT NULL)")
            connection.execute(f"DELETE FROM {TABLE}")
            connection.execute(f"INSERT INTO {TABLE} VALUES (?)", (str(here),))
            connection.execute("COMMIT")
    except (PermissionError, sqlite3.OperationalError) as error:
        if there is None or there == here:
            raise
        raise UserError(
            f"The MLflow store in {here} is a copy of the one in {there} and still names the files there. That could "
            f"not be mended, since the copy cannot be written ({error}). Type "
            f"{shlex.join(['chmod', '-R', 'u+w', str(here)])} or copy it to a folder where you may write. "
            f"Received: tracking.uri=sqlite:///{file}"
        ) from error


def _open(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True, timeout=20, isolation_level=None)


def _origin(connection: sqlite3.Connection, here: Path) -> Path | None:
    """Returns the folder to which the locations in the database refer, or None where it is not known to have moved.

    A database of an earlier version has no record of its folder. It has moved where it names another folder for runs
    whose artifacts are beside it.
    """
    with suppress(sqlite3.OperationalError):  # there is no such table
        for (folder,) in connection.execute(f"SELECT folder FROM {TABLE}"):
            return Path(folder)
    runs = "SELECT artifact_location, run_uuid FROM experiments JOIN runs USING (experiment_id)"
    for place, run_id in connection.execute(runs):
        path = local_path(place or "")
        if path and path.parent != here and (here / path.name / run_id).is_dir():
            return path.parent
    return None


def _is_same(there: Path, here: Path) -> bool:
    """Returns whether the two paths are one folder, such as through two mounts."""
    try:
        return there.samefile(here)
    except OSError:
        return False


def _require_artifacts(connection: sqlite3.Connection, move: Move, file: Path) -> None:
    for (place,) in connection.execute("SELECT artifact_location FROM experiments"):
        path = local_path(place or "")
        moved = move(path) if path else None
        if path and moved and path.is_dir() and not moved.exists() and any(path.iterdir()):
            raise UserError(
                f"The MLflow store in {move.here} was copied from {move.there} without its artifacts. Type "
                f"{shlex.join(['cp', '-r', str(path), str(moved)])} Received: tracking.uri=sqlite:///{file}"
            )


def _rewrite(connection: sqlite3.Connection, move: Move) -> None:
    for table, column, condition in PLACES:
        rows = connection.execute(f"SELECT rowid, {column} FROM {table} WHERE {column} IS NOT NULL AND {condition}")
        connection.executemany(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", list(_changes(rows, move)))


def _changes(rows: sqlite3.Cursor, move: Move) -> Iterator[tuple[str, int]]:
    for row, place in rows:
        if (moved := move.text(place)) is not None:
            yield moved, row
