"""Detection of killed runs in a local store, so that a killed run does not stay RUNNING for ever.

A killed process cannot report its end to MLflow. Each run therefore has a tag with the name of a lock, which its
process holds while the run is open. The operating system releases the lock however the process ends. When the next run
is opened in the store, RUNNING runs whose lock is free are marked as KILLED.
"""

import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path

import mlflow
from filelock import FileLock, Timeout

from crackexp.utils.store_uri import database_file

LOCK_TAG = "process.lock"
_STOPPED = "Stopped from outside before its end."


def mark_killed(client: mlflow.MlflowClient, run_id: str) -> None:
    """Marks a run as KILLED, whose own process can no longer do so."""
    client.set_tag(run_id, "error", _STOPPED)
    client.set_terminated(run_id, "KILLED")


class Alive:
    """The locks of the runs of one local store. Runs in the store of a server have no locks.

    Args:
        uri: The address of the store.
    """

    def __init__(self, uri: str) -> None:
        file = database_file(uri)
        self.folder = None if file is None else Path(f"{file}.running")

    @contextlib.contextmanager
    def held(self) -> Iterator[dict[str, str]]:
        """Holds a lock for the `with` block, and yields the tags with which a run refers to it."""
        if self.folder is None:
            yield {}
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        name = uuid.uuid4().hex
        lock = self._lock(name)
        with lock:
            yield {LOCK_TAG: name}
        Path(lock.lock_file).unlink(missing_ok=True)

    def mark_all_killed(self, client: mlflow.MlflowClient, experiment_id: str) -> None:
        """Marks the runs of an experiment as KILLED that are RUNNING though their process has ended."""
        if self.folder is None:
            return
        condition = f"attributes.status = 'RUNNING' and tags.`{LOCK_TAG}` != ''"
        for run in client.search_runs([experiment_id], condition, max_results=1000):
            lock = self._lock(run.data.tags[LOCK_TAG])
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            mark_killed(client, run.info.run_id)
            lock.release()
            Path(lock.lock_file).unlink(missing_ok=True)

    def _lock(self, name: str) -> FileLock:
        assert self.folder is not None
        return FileLock(self.folder / f"{name}.lock", thread_local=False)
