"""Files that are there whole or not at all."""

import contextlib
import hashlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from crackexp.utils.names import visible

TEMPORARY = ".tmp"


@contextlib.contextmanager
def replacing(file: Path, lasting: bool = False) -> Iterator[Path]:
    """Yields a temporary path to write to, which takes the place of `file` when the block has gone well.

    Args:
        file: its folder is made.
        lasting: waits for the disk, so that a power failure leaves the new file or the one before.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f"{_beginning(file)}{uuid.uuid4().hex}{TEMPORARY}")
    try:
        yield temporary
        if lasting:
            with temporary.open("rb+") as stream:
                os.fsync(stream.fileno())
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(file: Path) -> None:
    """Removes what killed processes left of writing `file`, which nobody may be writing meanwhile."""
    for left in file.parent.iterdir():
        if left.name.startswith(_beginning(file)) and TEMPORARY in left.suffix:  # SQLite's journal is a .tmp-journal
            left.unlink()


def _beginning(file: Path) -> str:
    return f"{file.name[:40]}."  # a name has 255 bytes at most, and a letter up to 4


def file_digest(file: Path) -> str:
    """Returns the blake2b digest of a file's bytes, 128 hex digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "blake2b").hexdigest()


def write_text(file: Path, text: str) -> None:
    """Writes `text` to `file` in UTF-8, whole or not at all, with names made `visible`; makes the folder."""
    with replacing(file) as temporary:
        temporary.write_text(visible(text), encoding="utf-8")
