"""Leases: which tables of embeddings running processes use, so that nobody removes them."""

import os
import uuid
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


class Leases:
    """The tables below one folder that are in use, by this object and by those of other processes.

    Each holder keeps a lock as long as it lives, which the system frees however the process ends, and names its tables
    in a list beside the lock. So leases work between machines wherever the file system has locks.

    Args:
        root: The folder of all tables, ``<cache>/embeddings``.

    Attributes:
        tables: The folders of the tables that this object uses.
        names: The file that lists them; None before the first.

    Example:
        >>> import tempfile
        >>> root = Path(tempfile.mkdtemp())
        >>> leases = Leases(root)
        >>> leases.add(root / "model" / "plain")
        >>> with Leases(root).locked() as tables:
        ...     [table.name for table in tables]
        ['plain']
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / ".users"
        self.tables: set[Path] = set()
        self.names: Path | None = None
        _of_this_process.add(self)

    def add(self, table: Path) -> None:
        """Marks a table as used until this object, or its process, ends."""
        if table in self.tables:
            return
        with self._gate():
            if self.names is None:
                self.names = self._register()
            with self.names.open("a", encoding="utf-8") as stream:
                stream.write(f"{table.relative_to(self.root).as_posix()}\n")
        self.tables.add(table)

    @contextmanager
    def locked(self) -> Iterator[set[Path]]:
        """Yields the tables that are in use; no table is leased until the `with` block ends."""
        with self._gate():
            own = [leases for leases in _of_this_process if leases.root == self.root]
            used = set[Path]().union(*(leases.tables for leases in own))
            for names in set(self.folder.glob("*.txt")) - {leases.names for leases in own}:
                lock = FileLock(names.with_suffix(".lock"))
                try:
                    lock.acquire(timeout=0)
                except Timeout:
                    used |= {self.root / name for name in names.read_text("utf-8", "surrogateescape").splitlines()}
                else:
                    _release(names, lock, os.getpid())
            yield used

    def _gate(self) -> FileLock:
        self.folder.mkdir(parents=True, exist_ok=True)
        return FileLock(self.folder / "gate")

    def _register(self) -> Path:
        names = self.folder / f"{uuid.uuid4().hex}.txt"
        lock = FileLock(names.with_suffix(".lock"), thread_local=False)
        lock.acquire()
        weakref.finalize(self, _release, names, lock, os.getpid())
        return names


# To try the locks of this process would free them on some network file systems, so its own leases are kept here.
_of_this_process: weakref.WeakSet[Leases] = weakref.WeakSet()


def _release(names: Path, lock: FileLock, process: int) -> None:
    """Removes a lock and its list, unless this process is a fork of the one that took them."""
    if os.getpid() == process:
        names.unlink(missing_ok=True)
        lock.release()
        Path(lock.lock_file).unlink(missing_ok=True)
