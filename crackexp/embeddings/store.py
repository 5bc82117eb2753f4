"""The store of embeddings on disk: written by several processes at once, each row computed once, bounded in size.

A table holds the embeddings of one view by one backbone at one size, in ``<cache>/embeddings/<model>/<view>``; its
files are described in `shards`. ``<model>/about.json`` says what the model is.
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

from crackexp.embeddings.leases import Leases
from crackexp.utils.files import write_text
from crackexp.utils.shards import Shard, keys_of, modified, read_shards, remove_abandoned, write_shard

PARTITIONS = 4
"""How many processes can compute one table at the same time."""
_log = logging.getLogger(__name__)


class EmbeddingTable:
    """The embeddings of one view; row i belongs to the i-th of the digests that were asked for.

    Args:
        shards: The shards of the table.
        digests: (n,) str, the digests of the images.

    Attributes:
        places: (n, 2) int64, the shard and the row of each digest; -1 where it is missing.
        seconds: How long it once took to compute the rows that are there.
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
        key_order, wanted_order = np.argsort(keys), np.argsort(wanted)
        keys, wanted = keys[key_order], wanted[wanted_order]
        nearest = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        equal = keys[nearest] == wanted
        self.places[wanted_order[equal]] = held[key_order[nearest[equal]]]
        costs = np.asarray([shard.seconds / max(len(shard.keys), 1) for shard in shards])
        self.seconds = float(costs[self.places[wanted_order[equal], 0]].sum())

    @property
    def missing(self) -> np.ndarray:
        """The positions of the digests that the table does not hold, (m,) int64."""
        return np.flatnonzero(self.places[:, 0] < 0)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray:
        """Returns the embeddings of `rows`, (len(rows), d) float32.

        Raises:
            KeyError: Some of them are missing.
        """
        places = self.places[rows]
        if np.any(places < 0):
            raise KeyError(f"{np.sum(places[:, 0] < 0)} of {len(places)} embeddings are missing")
        result = np.empty((len(places), self.shards[0].shape[1]), np.float32)
        for shard in np.unique(places[:, 0]):
            here = places[:, 0] == shard
            result[here] = self.shards[shard][places[here, 1]]
        return result


class EmbeddingStore:
    """The tables of one backbone at one image size.

    Args:
        cache: The folder that holds ``embeddings/``.
        model: The key of the backbone, its weights, the image size and the arithmetic.
        about: What `model` stands for, for a person to read.
        budget: How many bytes all tables of all models may take.

    Example:
        >>> import tempfile
        >>> store = EmbeddingStore(Path(tempfile.mkdtemp()), "model", {"backbone": "mobilenet_v2"}, budget=1e9)
        >>> digests = np.asarray(["00" * 16, "01" * 16])
        >>> store.write("plain", digests, np.ones((2, 3), np.float32), seconds=0.1)
        >>> store.open("plain", digests)[:].shape
        (2, 3)
    """

    def __init__(self, cache: Path, model: str, about: Mapping[str, Any], budget: float) -> None:
        self.root = cache / "embeddings"
        self.folder = self.root / model
        self.about = dict(about)
        self.budget = budget
        self.leases = Leases(self.root)

    def open(self, view: str, digests: np.ndarray) -> EmbeddingTable:
        """Returns what is stored of `digests`, (n,) str, for a view, and marks the table as used now."""
        folder = self._table(view)
        with suppress(FileNotFoundError):
            os.utime(folder)
        return EmbeddingTable(list(read_shards(folder, "embeddings")), digests)

    @contextmanager
    def lock_partition(self, view: str, partition: int, wait: bool) -> Iterator[bool]:
        """Yields whether this process may compute a partition of a table; others wait until the `with` block ends.

        The system frees the lock when the process ends, however it ends.

        Args:
            view: The key of the view.
            partition: The number of the partition, in [0, PARTITIONS).
            wait: Whether to wait for a process that holds the lock, instead of yielding False.
        """
        folder = self._table(view)
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / f"{partition}.lock")
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
        """Adds embeddings to the table of a view; the arguments are those of `write_shard`."""
        write_shard(self._table(view), digests, rows, seconds)
        about = self.folder / "about.json"
        if not about.exists():
            write_text(about, json.dumps(self.about))

    def evict(self) -> None:
        """Removes the tables that were used least recently until all fit the budget, and what killed processes left.

        A table that a running process uses stays, whatever the budget.
        """
        with self.leases.locked() as used:
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
        self.leases.add(folder)
        return folder


def tables_in(root: Path) -> list[Path]:
    """Returns the folders of all tables below ``<cache>/embeddings``."""
    return sorted(root.glob("[!.]*/*/"))


def partition_of(digests: np.ndarray) -> np.ndarray:
    """Returns the partition of the table that each digest belongs to, (n,) int64 in [0, PARTITIONS)."""
    return np.asarray([int(digest[:2], 16) % PARTITIONS for digest in digests.tolist()], np.int64)


def size_of(folder: Path) -> int:
    """Returns how many bytes all files below `folder` take, which other processes may be changing."""
    total = 0
    for file in folder.rglob("*"):
        with suppress(FileNotFoundError):
            total += file.lstat().st_size if not file.is_dir() else 0
    return total
