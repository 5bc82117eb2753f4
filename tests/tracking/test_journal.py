"""The journal of a local store, which decides how long a transaction takes."""

import sqlite3
from contextlib import closing
from pathlib import Path

from crackexp.tracking.store import connect


def test_a_store_keeps_its_journal_and_is_read_without_it(tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    client = connect(f"sqlite:///{file}", make=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mlflow.db", "mlflow.db.lock"]
    experiment = client.create_experiment("first")
    journal = tmp_path / "mlflow.db-journal"
    assert set(journal.read_bytes()[:28]) == {0}  # by its empty header SQLite knows that the transaction is complete

    journal.unlink()
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT name FROM experiments WHERE experiment_id = ?", (experiment,)).fetchone()


def test_a_write_ahead_log_that_a_user_chose_stays(tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    connect(f"sqlite:///{file}", make=True)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    copy = tmp_path / "copy" / "mlflow.db"
    copy.parent.mkdir()
    file.rename(copy)

    connect(f"sqlite:///{copy}", make=True).create_experiment("first")
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
