"""Files that are there whole or not at all."""

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from crackexp.names import visible


@contextlib.contextmanager
def replacing(file: Path, lasting: bool = False) -> Iterator[Path]:
    """Yields a temporary path to write to, which takes the place of `file` when the block has gone well.

    Args:
        file: its folder is made.
        lasting: waits for the disk, so that a power failure leaves the new file or the one before.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f"{uuid.uuid4().hex}.tmp")
    try:
        yield temporary
        if lasting:
            with temporary.open("rb+") as stream:
                os.fsync(stream.fileno())
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(file: Path, text: str) -> None:
    """Writes `text` to `file` in UTF-8, whole or not at all, with names made `visible`; makes the folder."""
    with replacing(file) as temporary:
        temporary.write_text(visible(text), encoding="utf-8")
