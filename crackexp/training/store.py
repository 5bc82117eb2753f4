"""Embeddings on disk: tables of shards with checksums, written by several processes at once, bounded in size.

A table holds the embeddings of one view by one backbone at one size, in ``<cache>/embeddings/<model>/<view>``. A shard
is three files: ``<id>.rows.npy`` (n, d) float32, ``<id>.keys.npy`` (n,) digests of the images, and ``<id>.json`` with
the checksums of both, which is written last: a shard without it does not count.
"""

import json
import logging
import os
import shutil
import time
import uuid
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

BUCKETS = 4
"""Parts of a table that different processes compute at the same time."""
ABANDONED_SECONDS = 86_400
_log = logging.getLogger(__name__)
_sound: set[tuple[Path, int]] = set()
"""Shards whose checksums this process found right, by file and time of writing."""


class Table:
    """The embeddings of one view; row i belongs to the i-th of the digests it was asked for.

    Args:
        folder: of the table.
        digests: (n,) str.

    Attributes:
        seconds: that computing the found rows took once.
    """

    def __init__(self, folder: Path, digests: np.ndarray) -> None:
        self.shards: list[np.ndarray] = []
        keys, shards, rows, costs = [np.empty(0, "S32")], [], [], []
        for number, (info, shard_keys, shard_rows) in enumerate(_sound_shards(folder)):
            self.shards.append(shard_rows)
            keys.append(shard_keys)
            shards.append(np.full(len(shard_keys), number))
            rows.append(np.arange(len(shard_keys)))
            costs.append(info["seconds"] / len(shard_keys))
        every = np.concatenate(keys)
        order = np.argsort(every, kind="stable")
        wanted = digests.astype("S32")
        self.places = np.full((len(wanted), 2), -1, np.int64)
        if len(every):
            nearest = order[np.minimum(np.searchsorted(every, wanted, sorter=order), len(every) - 1)]
            found = every[nearest] == wanted
            places = np.stack([np.concatenate(shards), np.concatenate(rows)], axis=1)
            self.places[found] = places[nearest[found]]
        of_shard = np.bincount(self.places[self.places[:, 0] >= 0, 0], minlength=len(costs))
        self.seconds = float(of_shard @ np.asarray(costs, float))

    @property
    def missing(self) -> np.ndarray:
        """Positions of the digests that the table does not hold, (m,) int64."""
        return np.flatnonzero(self.places[:, 0] < 0)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray:
        """Returns the embeddings of `rows`, (len(rows), d) float32."""
        places = self.places[rows]
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
        budget: bytes that all tables of all models may take; the tables that were used least recently go first.
    """

    def __init__(self, cache: Path, model: str, about: Mapping[str, Any], budget: float) -> None:
        self.root = cache / "embeddings"
        self.folder = self.root / model
        self.about = dict(about)
        self.budget = budget
        self.used: set[Path] = set()

    def open(self, view: str, digests: np.ndarray) -> Table:
        """Returns the rows of `digests`, (n,) str, that are stored for a view, and marks the table as used now."""
        folder = self.folder / view
        self.used.add(folder)
        if folder.is_dir():
            os.utime(folder)
        return Table(folder, digests)

    @contextmanager
    def claim(self, view: str, bucket: int, wait: bool) -> Iterator[bool]:
        """Yields whether this process may compute a part of a table; others wait until the `with` block ends.

        The system frees the part when the process ends, however it ends.
        """
        lock = self._lock(view, bucket)
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
        """Adds a shard.

        Args:
            view: key of the view.
            digests: (n,) str.
            rows: (n, d) float32.
            seconds: that they took.
        """
        folder = self.folder / view
        folder.mkdir(parents=True, exist_ok=True)
        about = self.folder / "about.json"
        if not about.exists():
            _write(about, json.dumps(self.about).encode())
        name = uuid.uuid4().hex
        sums = {}
        for kind, array in (("rows", rows), ("keys", digests.astype("S32"))):
            file = folder / f"{name}.{kind}.npy"
            temporary = file.with_suffix(".tmp")
            with temporary.open("wb") as stream:
                np.save(stream, array)
            sums[kind] = _checksum(temporary)
            temporary.replace(file)
        info = {**sums, "seconds": seconds}
        _write(folder / f"{name}.json", json.dumps(info).encode())
        _sound.add((folder / f"{name}.json", (folder / f"{name}.json").stat().st_mtime_ns))

    def evict(self) -> None:
        """Removes the tables that were used least recently until all fit the budget; never one that this run uses.

        A table that another process has open stays readable to it until it ends.
        """
        tables = sorted(self.root.glob("*/*/"), key=lambda folder: folder.stat().st_mtime)
        sizes = {folder: size_of(folder) for folder in tables}
        total = sum(sizes.values())
        for folder in tables:
            if total <= self.budget:
                return
            if folder not in self.used:
                _log.info("Removing embeddings that were not used for longest: %s", folder)
                shutil.rmtree(folder, ignore_errors=True)
                total -= sizes[folder]

    def _lock(self, view: str, bucket: int) -> FileLock:
        folder = self.root.parent / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        return FileLock(folder / f"{self.folder.name}-{view}-{bucket}.lock")


def bucket_of(digests: np.ndarray) -> np.ndarray:
    """Returns the part of the table that each digest belongs to, (n,) int in [0, BUCKETS)."""
    return np.asarray([int(str(digest)[:2], 16) % BUCKETS for digest in digests], np.int64)


def size_of(folder: Path) -> int:
    """Returns the bytes of all files below `folder`."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _sound_shards(folder: Path) -> Iterator[tuple[dict[str, Any], np.ndarray, np.ndarray]]:
    """Yields checksums and times, keys and memory-mapped rows of the shards; removes the damaged ones."""
    for file in sorted(folder.glob("*.json")):
        try:
            yield _load(file)
        except FileNotFoundError:
            continue
        except (OSError, ValueError, KeyError) as error:
            _log.warning("Stored embeddings are damaged and will be computed again: %s (%s)", file, error)
            for part in folder.glob(f"{file.stem}.*"):
                part.unlink(missing_ok=True)
    _remove_abandoned(folder)


def _load(file: Path) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    info = json.loads(file.read_bytes())
    parts = {kind: file.with_name(f"{file.stem}.{kind}.npy") for kind in ("rows", "keys")}
    mark = (file, file.stat().st_mtime_ns)
    if mark not in _sound:
        for kind, part in parts.items():
            if _checksum(part) != info[kind]:
                raise ValueError(f"the checksum of {part.name} is wrong")
        _sound.add(mark)
    return info, np.load(parts["keys"]), np.load(parts["rows"], mmap_mode="r")


def _remove_abandoned(folder: Path) -> None:
    """Removes what processes left half-written when they were killed."""
    for file in folder.glob("*.tmp"):
        if time.time() - file.stat().st_mtime > ABANDONED_SECONDS:
            file.unlink(missing_ok=True)


def _checksum(file: Path) -> int:
    """Returns the CRC-32 of a file."""
    total = 0
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            total = zlib.crc32(block, total)
    return total


def _write(file: Path, content: bytes) -> None:
    temporary = file.with_name(f"{file.name}.{uuid.uuid4().hex}.tmp")
    temporary.write_bytes(content)
    temporary.replace(file)
