"""Lists and clears what is kept between runs: ``python -m crackexp.cache [clear=NAME]``."""

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from filelock import FileLock, Timeout
from omegaconf import DictConfig

from crackexp.cli.main import run
from crackexp.config.checking import check
from crackexp.config.commands import next_command
from crackexp.config.settings import JobConfig
from crackexp.config.types import Text
from crackexp.reporting import Column, Report, Section, Table
from crackexp.reporting.terminal import print_report
from crackexp.utils.errors import ConfigError, DataError

FOLDERS = {
    "programs": ("programs", "compiled by XLA"),
    "splits": ("splits", "links to train, val and test images"),
    "digests": ("index", "of image files"),
    "duplicates": ("duplicates", "thumbnails and copies of image files"),
    "states": ("states", "of interrupted runs, for resume=RUN_ID"),
    "sweeps": ("sweeps", "marks of sweeps that run"),
    "datasets": ("datasets", "drawn or unpacked"),
    "downloads": ("downloads", "archives"),
    "peers": ("peers", "environments of experiments/speed"),
}
"""The folder in the cache, and what it holds, by the name that a user types; beside it there is `embeddings`."""


class CacheConfig(JobConfig):
    """The config of ``python -m crackexp.cache``."""

    groups: ClassVar = ("paths",)
    clear: Text | None
    """What to remove: all, a kind of files that the list shows, or a key of it."""


@dataclass(frozen=True)
class Entry:
    """Something kept: its name, what it is, where it lies."""

    name: str
    about: str
    folder: Path

    def measure(self) -> tuple[int, int, float]:
        """Returns how many files there are, their bytes, and when one was used last, in seconds."""
        count, size, newest = 0, 0, 0.0
        for path in self.folder.rglob("*"):
            with suppress(FileNotFoundError):
                status = path.lstat()
                newest = max(newest, status.st_mtime)
                if not path.is_dir():
                    count, size = count + 1, size + status.st_size
        return count, size, newest

    def in_use(self, tables: set[Path]) -> bool:
        """Whether a running process uses one of `tables`, or holds a lock, in the folder.

        Locks tell of states, sweeps, and of what is being made; who reads programs, splits or datasets is not known.
        """
        return any(table.is_relative_to(self.folder) for table in tables) or any(map(_held, self.folder.rglob("*lock")))


def cache(composed: DictConfig) -> None:
    """Lists what the cache holds, or clears the named part of it.

    Args:
        composed: what Hydra composed from ``conf/cache.yaml``.

    Raises:
        ConfigError: nothing of that name is kept.
        DataError: a part that was to be cleared is in use.
    """
    cfg = check(composed, CacheConfig)
    root = Path(cfg.paths.cache)
    found = list(entries(root))
    if cfg["clear"] is None:
        show(root, found)
    else:
        clear(root, found, cfg["clear"])


def entries(root: Path) -> Iterator[Entry]:
    """Yields what the cache holds; the embeddings by backbone."""
    for model in sorted((root / "embeddings").glob("[!.]*/")):
        about = "embeddings"
        with suppress(FileNotFoundError, ValueError, KeyError, TypeError):
            facts = json.loads((model / "about.json").read_bytes())
            about += f" by {facts['backbone']}, {facts['image_size']} px, {facts['device']}"
        views = len(list(model.glob("*/")))
        yield Entry(model.name, f"{about}, {views} view{'s' if views != 1 else ''}", model)
    for name, (folder, about) in FOLDERS.items():
        if (root / folder).is_dir():
            yield Entry(name, about, root / folder)


def show(root: Path, found: list[Entry]) -> None:
    """Prints a row an entry: name, what it is, files, size, last use."""
    rows, total = [], 0
    with frozen(root) as tables:
        for entry in found:
            count, size, newest = entry.measure()
            when = time.strftime("%Y-%m-%d %H:%M", time.localtime(newest))
            when = "in use now" if entry.in_use(tables) else when
            rows.append((entry.name, entry.about, str(count), megabytes(size), when))
            total += size
    rows.append(("all", "", "", megabytes(total), ""))
    titles = ("name", "what", "files", "size", "last used")
    columns = [
        Column(title, texts, numeric=title in ("files", "size"))
        for title, texts in zip(titles, zip(*rows, strict=True), strict=True)
    ]
    command = next_command("cache", "clear=NAME")
    clearing = f"Clear with: {command} (embeddings: all backbones)"
    print_report(Report("Cache", [Section(f"Kept in {root}", [clearing], [Table(columns)])]))


def clear(root: Path, found: list[Entry], name: str) -> None:
    """Removes what `name` stands for: an entry, all embeddings, or everything; not what a running process uses.

    Raises:
        ConfigError: nothing of that name is kept.
        DataError: something that was to be removed is in use.
    """
    chosen = [
        entry
        for entry in found
        if name in (entry.name, "all") or (name == "embeddings" and entry.folder.parent.name == "embeddings")
    ]
    if not chosen and name not in (*FOLDERS, "embeddings", "all"):
        names = ", ".join(dict.fromkeys(["all", "embeddings", *FOLDERS, *(entry.name for entry in found)]))
        raise ConfigError(f"Nothing of that name is kept in {root}. Choose from: {names}. Received: clear={name}")
    kept = []
    with frozen(root) as tables:
        for entry in chosen:
            if entry.in_use(tables):
                kept.append(entry.name)
                continue
            _, size, _ = entry.measure()
            entry.folder.rename(root / f".trash-{time.time_ns()}")
            print(f"Removed {entry.name}: {megabytes(size)}")
    for trash in root.glob(".trash-*"):
        shutil.rmtree(trash, ignore_errors=True)
    if kept:
        raise DataError(
            f"A running process uses {', '.join(kept)}, which stays. Wait for its end, then type the same again. "
            f"Received: clear={name}"
        )


@contextmanager
def frozen(root: Path) -> Iterator[set[Path]]:
    """Yields the tables of embeddings that are in use; none is added until the `with` block ends."""
    folder = root / "embeddings"
    if not folder.is_dir():
        yield set()
        return
    from crackexp.embeddings.leases import Leases

    with Leases(folder).locked() as tables:
        yield tables


def megabytes(size: int) -> str:
    """Returns a size in MB."""
    return f"{size / 1e6:,.1f} MB"


def _held(lock: Path) -> bool:
    """Whether a process holds a lock."""
    if not lock.is_file():
        return False
    try:
        with FileLock(lock, timeout=0):
            return False
    except Timeout:
        return True


if __name__ == "__main__":
    run(cache, "cache", CacheConfig)
