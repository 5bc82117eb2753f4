"""Embeddings on disk: written by several processes at once, each computed once, bounded in size.

A table holds the embeddings of one view by one backbone at one size, in ``<cache>/embeddings/<model>/<view>``; see
`shards` for its files. ``<model>/about.json`` says what the model is.
"""

import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from crackexp.files import write_text
from crackexp.training.in_use import InUse
from crackexp.training.shards import (
    Shard,
    keys_of,
    modified,
    read_shards,
    remove_abandoned,
    write_shard,
)

BUCKETS = 4
"""Parts of a table that different processes compute at the same time."""
_log = logging.getLogger(__name__)


class Table:
    """The embeddings of one view; row i belongs to the i-th of the digests it was asked for.

    Args:
        shards: of the table.
        digests: (n,) str.

    Attributes:
        places: (n, 2) int64, shard and row of each digest; -1 where it is missing.
        seconds: that computing the found rows took once.
    """

    def __init__(self, shards: Sequence[Shard], digests: np.ndarray) -> None:
        self.shards = [shard.rows for shard in shards]
        self.places = np.full((len(digests), 2), -1, np.int64)
        self.seconds = 0.0
        counts = [len(shard.keys) for shard in shards]
        if not sum(counts):
            return
        held = np.stack([np.repeat(np.arange(len(counts)), counts), np.concatenate([np.arange(n) for n in counts])], 1)
        keys, wanted = np.concatenate([shard.keys for shard in shards]), keys_of(digests)
        order, turn = np.argsort(keys), np.argsort(wanted)
        keys, wanted = keys[order], wanted[turn]
        nearest = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        found = keys[nearest] == wanted
        self.places[turn[found]] = held[order[nearest[found]]]
        costs = np.asarray([shard.seconds / max(len(shard.keys), 1) for shard in shards])
        self.seconds = float(costs[self.places[turn[found], 0]].sum())

    @property
    def missing(self) -> np.ndarray:
        """Positions of the digests that the table does not hold, (m,) int64."""
        return np.flatnonzero(self.places[:, 0] < 0)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray:
        """Returns the embeddings of `rows`, (len(rows), d) float32.

        Raises:
            KeyError: some of them are missing.
        """
        places = self.places[rows]
        if np.any(places < 0):
            raise KeyError(f"{np.sum(places[:, 0] < 0)} of {len(places)} embeddings are missing")
        result = np.empty((len(places), self.shards[0].shape[1]), np.float32)
        for shard in np.unique(places[:, 0]):
            here = places[:, 0] == shard
            result[here] = self.shards[shard][places[here, 1]]
        return result


class Store:
    """The tables of one backbone at one size.

    Args:
        cache: folder that holds ``embeddings/``.
        model: key of the backbone, its weights, size and arithmetic.
        about: what `model` stands for, for a person to read.
        budget: bytes that all tables of all models may take.
    """

    def __init__(self, cache: Path, model: str, about: Mapping[str, Any], budget: float) -> None:
        self.root = cache / "embeddings"
        self.folder = self.root / model
        self.about = dict(about)
        self.budget = budget
        self.in_use = InUse(self.root)

    def open(self, view: str, digests: np.ndarray) -> Table:
        """Returns the rows of `digests`, (n,) str, that are stored for a view, and marks the table as used now."""
        folder = self._table(view)
        with suppress(FileNotFoundError):
            os.utime(folder)
        return Table(list(read_shards(folder)), digests)

    @contextmanager
    def claim(self, view: str, bucket: int, wait: bool) -> Iterator[bool]:
        """Yields whether this process may compute a part of a table; others wait until the `with` block ends.

        The system frees the part when the process ends, however it ends.
        """
        folder = self._table(view)
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / f"{bucket}.lock")
        try:
            lock.acquire(timeout=-1 if wait else 0)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def write(self, view: str, digests: np.ndarray, rows: np.ndarray, seconds: float) -> None:
        """Adds embeddings to the table of a view; see `write_shard`."""
        write_shard(self._table(view), digests, rows, seconds)
        about = self.folder / "about.json"
        if not about.exists():
            write_text(about, json.dumps(self.about))

    def evict(self) -> None:
        """Removes the tables that were used least recently until all fit the budget, and what killed processes left.

        A table that a running process uses stays, whatever the budget.
        """
        with self.in_use.frozen() as used:
            tables = sorted(tables_in(self.root), key=modified)
            for folder in tables:
                remove_abandoned(folder)
            sizes = {folder: size_of(folder) for folder in tables}
            total = sum(sizes.values())
            for folder in tables:
                if total > self.budget and folder not in used:
                    _log.info("Removing embeddings that were not used for longest: %s", folder)
                    shutil.rmtree(folder, ignore_errors=True)
                    total -= sizes[folder]
            models = {folder.parent for folder in used}
            for model in self.root.glob("[!.]*/"):
                if model not in models and not list(model.glob("*/")):
                    shutil.rmtree(model, ignore_errors=True)

    def _table(self, view: str) -> Path:
        folder = self.folder / view
        self.in_use.add(folder)
        return folder


def tables_in(root: Path) -> list[Path]:
    """Returns the folders of all tables below ``<cache>/embeddings``."""
    return sorted(root.glob("[!.]*/*/"))


def bucket_of(digests: np.ndarray) -> np.ndarray:
    """Returns the part of the table that each digest belongs to, (n,) int64 in [0, BUCKETS)."""
    return np.asarray([int(digest[:2], 16) % BUCKETS for digest in digests.tolist()], np.int64)


def size_of(folder: Path) -> int:
    """Returns the bytes of all files below `folder`, which other processes may be changing."""
    total = 0
    for file in folder.rglob("*"):
        with suppress(FileNotFoundError):
            total += file.lstat().st_size if not file.is_dir() else 0
    return total
