"""Refuses archives whose members cannot be unpacked safely, or not in the same way on every computer."""

import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from crackexp.utils.errors import DataError
from crackexp.utils.names import on_one_line

MAX_MEMBERS = 2_000_000
MAX_DEPTH = 64
"""The largest depth of nested folders; the largest published sets of images need six."""
MAX_NAME = 255
MAX_PATH = 4095
"""The longest file name and the longest path on Linux, in bytes."""
BY_HAND = "Unpack it by hand and give its folder as dataset.path"
_SHOWN = 60
"""The number of characters at either end of a long name that a message shows."""


@dataclass(frozen=True)
class Member:
    """A file or folder in an archive, as its directory describes it.

    Attributes:
        name: The path in the archive.
        size: The size in bytes after unpacking.
        encrypted: Whether a password is needed.
        folder: Whether it is a folder.
        link: Whether it is a link.
        special: Whether it is a device, a pipe or a socket.
    """

    name: str
    size: int
    encrypted: bool
    folder: bool
    link: bool
    special: bool


def check_members(archive: Path, folder: Path, members: Sequence[Member]) -> None:
    """Checks the members of an archive before any of them is unpacked.

    Args:
        archive: The archive, for messages.
        folder: Where it is to be unpacked.
        members: All members of the archive.

    Raises:
        DataError: A member would be written outside `folder`, is a link or a device, is encrypted, has too long a
            name, is nested too deeply, or would replace another member, also on a disk that ignores case; or there are
            too many members.
    """
    if len(members) > MAX_MEMBERS:
        raise DataError(
            f"The archive holds {len(members):,} files, but {MAX_MEMBERS:,} is the limit. {BY_HAND}. "
            f"Received: {archive}"
        )
    for member in members:
        _check_alone(archive, folder, member)
    known: dict[str, tuple[str, bool]] = {}
    for member in members:
        _check_beside(archive, member, known)


def encrypted(archive: Path) -> DataError:
    """Returns the error for an archive that needs a password."""
    return DataError(f"The archive is encrypted. {BY_HAND}. Received: {archive}")


def _check_alone(archive: Path, folder: Path, member: Member) -> None:
    """Raises DataError where a member cannot be unpacked safely, whatever the other members are."""
    shown = _shown(member.name)
    as_windows = PureWindowsPath(member.name)  # takes / and \ as separators
    parts = as_windows.parts
    if as_windows.drive or as_windows.root or ".." in parts:
        raise DataError(
            f"The archive would write outside its folder, to {shown}. It is not safe to unpack. Received: {archive}"
        )
    if member.link:
        raise DataError(f"The archive holds a link, {shown}. It is not safe to unpack. Received: {archive}")
    if member.special:
        raise DataError(
            f"The archive holds a device, a pipe or a socket, {shown}. It is not safe to unpack. Received: {archive}"
        )
    if member.encrypted:
        raise encrypted(archive)
    if len(parts) > MAX_DEPTH:
        raise DataError(
            f"The archive holds {shown}, which is {len(parts) - 1:,} folders deep, but {MAX_DEPTH - 1} is the limit. "
            f"{BY_HAND}. Received: {archive}"
        )
    name = max((len(os.fsencode(part)) for part in parts), default=0)
    path = len(os.fsencode(folder / member.name))
    if name > MAX_NAME or path > MAX_PATH:
        raise DataError(
            f"The archive holds {shown}, which is too long to unpack: a name may have {MAX_NAME} bytes and has "
            f"{name:,}, a path may have {MAX_PATH:,} and has {path:,}. {BY_HAND}. Received: {archive}"
        )


def _check_beside(archive: Path, member: Member, known: dict[str, tuple[str, bool]]) -> None:
    """Raises DataError where a member would replace another one.

    Args:
        archive: The archive, for messages.
        member: The member to check.
        known: The path of each file and folder so far, and whether it is a file, by the path where case does not
            count; those of `member` are added.
    """
    for place, is_file in _places(member):
        key = unicodedata.normalize("NFC", place).casefold()
        other, was_file = known.get(key, (place, None))
        known[key] = place, is_file
        if other != place:
            problem = f"{_shown(other)} and {_shown(place)}, which many computers take for one name"
        elif was_file and is_file:
            problem = f"{_shown(place)} twice"
        elif was_file is not None and was_file != is_file:
            problem = f"{_shown(place)} as a file and as a folder"
        else:
            continue
        raise DataError(f"The archive holds {problem}. {BY_HAND}. Received: {archive}")


def _places(member: Member) -> Iterator[tuple[str, bool]]:
    """Yields the folders of a member from the outermost on, then the member itself, each with whether it is a file."""
    path = PurePosixPath(member.name)
    for parent in reversed(path.parents[:-1]):
        yield str(parent), False
    yield str(path), not member.folder


def _shown(name: str) -> str:
    """Returns a name on one line, shortened in its middle where it is long."""
    text = on_one_line(name)
    return text if len(text) <= 2 * _SHOWN else f"{text[:_SHOWN]}...{text[-_SHOWN:]}"
