"""Which tables of embeddings running processes use, so that nobody removes them."""

import os
import uuid
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


class InUse:
    """The tables in use below one folder, by this object and by those of other processes.

    Each user holds a lock as long as it lives, which the system frees however the process ends, and names its tables in
    a list beside it. So this works between machines wherever the file system has locks.

    Args:
        root: ``<cache>/embeddings``.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / ".users"
        self.tables: set[Path] = set()
        self.names: Path | None = None
        _here.add(self)

    def add(self, table: Path) -> None:
        """Marks a table as used until this object, or its process, ends."""
        if table in self.tables:
            return
        with self._gate():
            if self.names is None:
                self.names = self._enter()
            with self.names.open("a", encoding="utf-8") as stream:
                stream.write(f"{table.relative_to(self.root).as_posix()}\n")
        self.tables.add(table)

    @contextmanager
    def frozen(self) -> Iterator[set[Path]]:
        """Yields the tables in use; none is added until the `with` block ends."""
        with self._gate():
            users = [user for user in _here if user.root == self.root]
            used = set[Path]().union(*(user.tables for user in users))
            for names in set(self.folder.glob("*.txt")) - {user.names for user in users}:
                lock = FileLock(names.with_suffix(".lock"))
                try:
                    lock.acquire(timeout=0)
                except Timeout:
                    used |= {self.root / name for name in names.read_text("utf-8", "surrogateescape").splitlines()}
                else:
                    _leave(names, lock, os.getpid())
            yield used

    def _gate(self) -> FileLock:
        self.folder.mkdir(parents=True, exist_ok=True)
        return FileLock(self.folder / "gate")

    def _enter(self) -> Path:
        names = self.folder / f"{uuid.uuid4().hex}.txt"
        lock = FileLock(names.with_suffix(".lock"), thread_local=False)
        lock.acquire()
        weakref.finalize(self, _leave, names, lock, os.getpid())
        return names


_here: weakref.WeakSet[InUse] = weakref.WeakSet()
"""Users in this process; to try their locks would free them on some network file systems."""


def _leave(names: Path, lock: FileLock, process: int) -> None:
    """Removes a user and its list, unless this is a fork of its process."""
    if os.getpid() == process:
        names.unlink(missing_ok=True)
        lock.release()
        Path(lock.lock_file).unlink(missing_ok=True)
