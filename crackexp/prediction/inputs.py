"""Images that a user names on the command line: files, folders, patterns, or a list on standard input."""

import glob
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from crackexp.data.folder import images_below
from crackexp.errors import DataError

STANDARD_INPUT = "-"


@dataclass(frozen=True)
class Input:
    """A file that was named, or a name that leads to none.

    Attributes:
        name: the path, as it was named.
        reason: why there is no image to read; None for a file.
    """

    name: str
    reason: str | None = None


def named(names: str | Sequence[str], standard_input: Iterable[str]) -> list[Input]:
    """Returns what `find` finds of the value of ``input=``.

    Raises:
        DataError: there is not one file.
    """
    found = find([names] if isinstance(names, str) else names, standard_input)
    if all(one.reason for one in found):
        reasons = "; ".join(f"{one.name}: {one.reason}" for one in found) or "standard input is empty"
        raise DataError(f"There is no image to look at. Type input=FILES, FOLDERS or PATTERNS. Received: {reasons}")
    return found


def find(names: Sequence[str], standard_input: Iterable[str]) -> list[Input]:
    """Returns the files that `names` lead to, in their order, each once; of a folder, sorted, those that are images.

    Args:
        names: files, folders, patterns with ``*``, ``**``, ``?`` or ``[...]``, and "-" for the lines of
            `standard_input`.
        standard_input: a file, a folder or a pattern a line.
    """
    found: dict[str, Input] = {}
    for name in names:
        lines = (line.strip() for line in standard_input) if name == STANDARD_INPUT else [name]
        for line in filter(None, lines):
            found.update({one.name: one for one in _lead(line)})
    return list(found.values())


def _lead(name: str) -> Iterator[Input]:
    path = Path(name).expanduser()
    if path.is_file():
        yield Input(name)
    elif path.is_dir():
        files = sorted(images_below(path))
        yield from map(Input, map(str, files))
        if not files:
            yield Input(name, "this folder holds no images")
    elif glob.has_magic(name):
        matches = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207, pathlib's takes no absolute pattern
        for match in matches:
            yield from _lead(match)
        if not matches:
            yield Input(name, "this pattern fits no file")
    else:
        yield Input(name, "there is no such file or folder")
