"""Lists and clears what is kept between runs: ``python -m crackexp.cache [clear=NAME]``."""

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from crackexp.cli import run
from crackexp.config import check
from crackexp.errors import ConfigError
from crackexp.schema import CacheRoot

FOLDERS = {
    "embeddings": "embeddings",
    "programs": "xla",
    "splits": "splits",
    "digests": "index",
    "states": "states",
    "datasets": "datasets",
    "downloads": "downloads",
}
"""The folder in the cache by the name that a user types."""


@dataclass(frozen=True)
class Entry:
    """Something kept: its name, what it is, where it lies."""

    name: str
    about: str
    folder: Path

    def files(self) -> list[Path]:
        return [file for file in self.folder.rglob("*") if file.is_file() and not file.is_symlink()]


def cache(composed: DictConfig) -> None:
    """Lists what the cache holds, or clears the named part of it.

    Args:
        composed: what Hydra composed from ``conf/cache.yaml``.

    Raises:
        ConfigError: nothing of that name is kept.
    """
    cfg = check(composed, CacheRoot)
    root = Path(cfg.paths.cache)
    found = list(entries(root))
    if cfg["clear"] is None:
        show(root, found)
    else:
        clear(root, found, cfg["clear"])


def entries(root: Path) -> Iterator[Entry]:
    """Yields what the cache holds; the embeddings by backbone."""
    about = {
        "programs": "compiled by XLA",
        "splits": "links to train, val and test images",
        "digests": "of image files",
        "states": "of interrupted runs, for resume=RUN_ID",
        "datasets": "drawn or unpacked",
        "downloads": "archives",
    }
    for model in sorted((root / "embeddings").glob("*/")):
        file = model / "about.json"
        facts = json.loads(file.read_text()) if file.is_file() else {}
        backbone, size, device = (facts.get(key, "?") for key in ("backbone", "image_size", "device"))
        views = len(list(model.glob("*/")))
        yield Entry(model.name, f"embeddings by {backbone}, {size} px, {device}, {views} views", model)
    for name, words in about.items():
        if (root / FOLDERS[name]).is_dir():
            yield Entry(name, words, root / FOLDERS[name])


def show(root: Path, found: list[Entry]) -> None:
    """Prints a row an entry: name, what it is, files, size, last use."""
    table = Table(title=f"Kept in {root}", title_justify="left", title_style="bold")
    for column in ("name", "what", "files", "size", "last used"):
        table.add_column(column, justify="right" if column in ("files", "size") else "left")
    total = 0
    for entry in found:
        files = entry.files()
        size = sum(file.stat().st_size for file in files)
        newest = max((path.stat().st_mtime for path in (*files, *entry.folder.glob("*/"))), default=0.0)
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(newest))
        table.add_row(entry.name, entry.about, str(len(files)), megabytes(size), when)
        total += size
    table.add_section()
    table.add_row("all", "", "", megabytes(total), "")
    console = Console()
    console.print(table)
    console.print("Clear with: python -m crackexp.cache clear=NAME (embeddings: all backbones)", highlight=False)


def clear(root: Path, found: list[Entry], name: str) -> None:
    """Removes what `name` stands for: an entry, all embeddings, or everything.

    Raises:
        ConfigError: nothing of that name is kept.
    """
    chosen = [
        entry
        for entry in found
        if name in (entry.name, "all") or (name == "embeddings" and entry.folder.parent.name == "embeddings")
    ]
    if not chosen and name not in (*FOLDERS, "all"):
        names = ", ".join(dict.fromkeys([*FOLDERS, "all", *(entry.name for entry in found)]))
        raise ConfigError(f"Nothing of that name is kept in {root}. Choose from: {names}. Received: clear={name}")
    for entry in chosen:
        size = sum(file.stat().st_size for file in entry.files())
        trash = entry.folder.with_name(f"{entry.folder.name}.{time.time_ns()}.trash")
        entry.folder.rename(trash)
        shutil.rmtree(trash)
        print(f"Removed {entry.name}: {megabytes(size)}")


def megabytes(size: int) -> str:
    """Returns a size in MB."""
    return f"{size / 1e6:,.1f} MB"


if __name__ == "__main__":
    run(cache, "cache")
