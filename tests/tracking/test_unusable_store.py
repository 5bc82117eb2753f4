"""Local stores that cannot be used: a sentence at once, where MLflow would try again for minutes."""

import resource
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from crackexp.tracking.models import load
from crackexp.tracking.store import open_experiment
from crackexp.utils.errors import UserError
from tests.tracking.conftest import Store
from tests.tracking.test_logger import make_logger


@pytest.fixture(autouse=True)
def within_seconds() -> Iterator[None]:
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < 10


def execute(root: Path, *statements: str) -> None:
    with closing(sqlite3.connect(root / "mlruns" / "mlflow.db")) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def refusal(root: Path) -> str:
    """What a command that reads and one that writes say of the store."""
    logger, said = make_logger(root), []
    for command in (lambda: open_experiment(logger), lambda: load("0" * 32, logger.store, "model")):
        with pytest.raises(UserError) as refused:
            command()
        said.append(str(refused.value))
    assert said[0] == said[1]
    assert f"Received: tracking.uri={logger.store}" in said[0]
    return said[0]


def test_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "mlruns" / "mlflow.db").mkdir(parents=True)
    assert "Is a directory" in refusal(tmp_path)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "mlruns").mkdir()
    (tmp_path / "mlruns" / "mlflow.db").write_text("not a database\n" * 1000)
    assert "not a database" in refusal(tmp_path)


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "mlruns").write_text("")
    with pytest.raises(UserError, match="cannot be used"):
        open_experiment(make_logger(tmp_path))


def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    (tmp_path / "mlruns").mkdir()
    (tmp_path / "mlruns" / "mlflow.db").touch()
    (tmp_path / "mlruns" / f"mlflow.db.{'0' * 32}.tmp-journal").touch()
    logger = make_logger(tmp_path)
    with logger.run("a run", {}):
        logger.log_text("hello", "a.txt")
    names = {file.name for file in (tmp_path / "mlruns").iterdir()}
    assert names == {"mlflow.db", "mlflow.db-journal", "mlflow.db.lock", "mlflow.db.running", "artifacts"}


def test_a_newer_schema(tmp_path: Path, store_at: Store) -> None:
    store_at(tmp_path)
    execute(tmp_path, "UPDATE alembic_version SET version_num = 'ffffffffffff'")
    assert "newer version of MLflow" in refusal(tmp_path)


def test_an_older_schema_is_told_with_the_command_that_upgrades_it(tmp_path: Path, store_at: Store) -> None:
    root = tmp_path / "my project"
    store_at(root)
    execute(root, "UPDATE alembic_version SET version_num = '451aebb31d03'")
    assert f"mlflow db upgrade 'sqlite:///{root}/mlruns/mlflow.db'" in refusal(root)


def test_a_database_that_was_left_half_made(tmp_path: Path) -> None:
    (tmp_path / "mlruns").mkdir()
    execute(tmp_path, "CREATE TABLE experiments (experiment_id INTEGER)", "CREATE TABLE entity_associations (a TEXT)")
    assert f"rm {tmp_path}/mlruns/mlflow.db" in refusal(tmp_path)


def test_a_full_disk_while_the_store_is_made(tmp_path: Path) -> None:
    with at_most(200_000), pytest.raises(UserError, match="cannot be used"):
        open_experiment(make_logger(tmp_path))
    assert [file.name for file in (tmp_path / "mlruns").iterdir() if "lock" not in file.name] == []


def test_a_full_disk_while_a_run_is_opened(tmp_path: Path, store_at: Store) -> None:
    logger = store_at(tmp_path)
    open_experiment(logger)
    with at_most(100_000), pytest.raises(UserError, match="cannot be used"), logger.run("a run", {}):
        pass


@contextmanager
def at_most(size: int) -> Iterator[None]:
    """Lets no file grow beyond `size` bytes in the `with` block, which looks like a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
