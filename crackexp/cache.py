"""Lists and clears the files that are kept between runs: ``python -m crackexp.cache [clear=NAME]``."""

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
from crackexp.utils.progress import status

FOLDERS = {
    "programs": ("programs", "compiled by XLA"),
    "engines": ("engines", "and places of augmentation, as they were measured to be fastest"),
    "splits": ("splits", "links to train, val and test images"),
    "digests": ("index", "of image files"),
    "images": ("images", "decoded and resized"),
    "duplicates": ("duplicates", "thumbnails and copies of image files"),
    "states": ("states", "of interrupted runs, for resume=RUN_ID"),
    "sweeps": ("sweeps", "marks of sweeps that run"),
    "datasets": ("datasets", "drawn or unpacked"),
    "downloads": ("downloads", "archives"),
    "peers": ("peers", "environments of experiments/speed"),
}
"""The folder in the cache and a description of its files, by the name that a user types.

Embeddings are not among them, since they are listed by backbone.
"""


class CacheConfig(JobConfig):
    """The config of ``python -m crackexp.cache``."""

    groups: ClassVar = ("paths",)
    clear: Text | None
    """The part of the cache to remove: a name in the list, "embeddings" or "all"; null lists the parts."""


@dataclass(frozen=True)
class Entry:
    """A part of the cache.

    Attributes:
        name: The name that a user types to clear it.
        about: A description of its files.
        folder: The folder of its files.
    """

    name: str
    about: str
    folder: Path

    def measure(self) -> tuple[int, int, float]:
        """Returns the number of files, their bytes, and the time of the last change, in seconds since the epoch."""
        count, size, newest = 0, 0, 0.0
        for path in self.folder.rglob("*"):
            with suppress(FileNotFoundError):
                status = path.lstat()
                newest = max(newest, status.st_mtime)
                if not path.is_dir():
                    count, size = count + 1, size + status.st_size
        return count, size, newest

    def in_use(self, tables: set[Path]) -> bool:
        """Returns whether a running process uses one of `tables` in the folder, or holds a lock in it.

        Locks show the use of states and sweeps, and files that are being written. It is not known whether a process
        reads programs, splits or datasets.
        """
        return any(table.is_relative_to(self.folder) for table in tables) or any(map(_held, self.folder.rglob("*lock")))


def cache(composed: DictConfig) -> None:
    """Lists the parts of the cache, or clears one.

    Args:
        composed: The config that Hydra composed from ``conf/cache.yaml``.

    Raises:
        ConfigError: There is no part of that name.
        DataError: A part to clear is in use.
    """
    cfg = check(composed, CacheConfig)
    status("Looking through the cache")
    root = Path(cfg.paths.cache)
    parts = list(entries(root))
    if cfg["clear"] is None:
        show(root, parts)
    else:
        clear(root, parts, cfg["clear"])


def entries(root: Path) -> Iterator[Entry]:
    """Yields the parts of the cache, of which embeddings of each backbone are one."""
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


def show(root: Path, parts: list[Entry]) -> None:
    """Prints a table of the parts of the cache: name, description, number of files, size, last use."""
    rows, total = [], 0
    with frozen(root) as tables:
        for entry in parts:
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


def clear(root: Path, parts: list[Entry], name: str) -> None:
    """Removes a part of the cache, all embeddings, or everything, but for parts that a running process uses.

    Args:
        root: The folder of the cache.
        parts: The parts of the cache.
        name: The name of a part, "embeddings" or "all".

    Raises:
        ConfigError: There is no part of that name.
        DataError: A part to remove is in use.
    """
    chosen = [
        entry
        for entry in parts
        if name in (entry.name, "all") or (name == "embeddings" and entry.folder.parent.name == "embeddings")
    ]
    if not chosen and name not in (*FOLDERS, "embeddings", "all"):
        names = ", ".join(dict.fromkeys(["all", "embeddings", *FOLDERS, *(entry.name for entry in parts)]))
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
    """Yields the tables of embeddings in use. Processes cannot use further ones until the `with` block ends."""
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
    """Returns whether a process holds a lock."""
    if not lock.is_file():
        return False
    try:
        with FileLock(lock, timeout=0):
            return False
    except Timeout:
        return True


if __name__ == "__main__":
    run(cache, "cache", CacheConfig)
