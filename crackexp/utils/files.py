"""Files that are written completely or not at all."""

import contextlib
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from crackexp.utils.names import visible

TEMPORARY = ".tmp"


@contextlib.contextmanager
def replacing(file: Path, lasting: bool = False) -> Iterator[Path]:
    """Yields a temporary path to write to, which replaces `file` after the `with` block unless the block fails.

    Args:
        file: The file to write. Its folder is created.
        lasting: Whether the data are flushed to the disk first, so that after a power failure there is either the new
            file or the previous one.
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


@contextlib.contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Yields a temporary folder to fill, which becomes `folder` after the `with` block unless the block fails.

    Args:
        folder: The folder to make, which is empty or does not exist. The folders above it are created.
    """
    folder = folder.absolute()
    temporary = folder.with_name(f"{_beginning(folder)}{uuid.uuid4().hex}{TEMPORARY}")
    temporary.mkdir(parents=True)
    try:
        yield temporary
        temporary.replace(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_leftovers(file: Path) -> None:
    """Removes temporary files of killed processes that were writing `file`. No process may be writing it meanwhile."""
    for left in file.parent.iterdir():
        if (
            left.name.startswith(_beginning(file)) and TEMPORARY in left.suffix
        ):  # the journal of SQLite has the suffix .tmp-journal
            left.unlink()


def _beginning(file: Path) -> str:
    return f"{file.name[:40]}."  # a name has at most 255 bytes, and a character up to 4


def file_digest(file: Path) -> str:
    """Returns the blake2b digest of the bytes of a file, 128 hex digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "blake2b").hexdigest()


def write_text(file: Path, text: str) -> None:
    """Writes a text in UTF-8, completely or not at all, with names made `visible`. The folder is created."""
    with replacing(file) as temporary:
        temporary.write_text(visible(text), encoding="utf-8")
