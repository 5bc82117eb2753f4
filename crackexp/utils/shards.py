"""Shards: files of arrays with one row for each image and checksums, each of which is there whole or not at all.

A shard is three files of one name: ``<id>.rows.npy`` (n, ...), ``<id>.keys.npy`` (n,) digests of the images, and
``<id>.json`` with the CRC-32 of both, and of the first bytes of the rows. Each is renamed into place, the last one
last: a shard without it does not count.
"""

import logging
import re
import time
import uuid
import zlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from crackexp.utils.files import replacing, write_text

KEY = "S32"
KINDS = ("rows", "keys")
HEAD_BYTES = 4096
"""The first bytes of the rows, which hold the header of ``.npy`` and have a checksum of their own."""
_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00(..){'descr': '([^']+)', 'fortran_order': False, 'shape': \(([\d, ]*)\), } *\n", re.DOTALL
)
ABANDONED_SECONDS = 86_400
_log = logging.getLogger(__name__)
_verified: set[Path] = set()  # the shards whose checksums this process has found right


@dataclass(frozen=True)
class Shard:
    """Rows that were computed together.

    Attributes:
        place: The file that is written last.
        keys: (n,) S32, the digests of the images.
        rows: (n, ...), the rows of the images, memory-mapped. They stay readable when the files are removed, but for
            files of a network file system that another machine removes.
        seconds: How long it took to compute them.
    """

    place: Path
    keys: np.ndarray
    rows: np.ndarray
    seconds: float


class _Info(BaseModel):
    """The content of ``<id>.json``.

    Attributes:
        rows: The CRC-32 of the file of rows.
        keys: The CRC-32 of the file of keys.
        head: The CRC-32 of the first `HEAD_BYTES` of the rows.
        seconds: How many seconds it took to compute the rows.
    """

    model_config = ConfigDict(extra="forbid")

    rows: int
    keys: int
    head: int
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]


def keys_of(digests: np.ndarray) -> np.ndarray:
    """Returns digests, (n,) str of hex digits, as (n,) S32."""
    points = np.ascontiguousarray(digests, "U32").view(np.uint32)
    return points.astype(np.uint8).view(KEY)


def write_shard(folder: Path, digests: np.ndarray, rows: np.ndarray, seconds: float) -> Shard:
    """Adds a shard to a folder, and returns it.

    Args:
        folder: The folder of the shards.
        digests: (n,) str, the digests of the images.
        rows: (n, ...), the rows of the images.
        seconds: How long it took to compute them.
    """
    info = folder / f"{uuid.uuid4().hex}.json"
    checksums = {}
    for kind, array in zip(KINDS, (np.ascontiguousarray(rows), keys_of(digests)), strict=True):
        part = _part(info, kind)
        with replacing(part) as temporary, temporary.open("wb") as stream:
            np.save(stream, array)
        checksums[kind] = _checksum(part)
    head = _checksum(_part(info, "rows"), HEAD_BYTES)
    write_text(info, _Info(seconds=seconds, head=head, **checksums).model_dump_json())
    _verified.add(info)
    return _read(info)


def read_shards(folder: Path, what: str, rows: bool = True) -> Iterator[Shard]:
    """Yields the shards in `folder`; a damaged one is removed with a warning.

    Args:
        folder: The folder of the shards.
        what: The name of what is stored, in plural, for the warning.
        rows: Whether the checksum of the rows is verified, for which they are read. Otherwise only their header is
            verified here, and the rows by `is_whole`.
    """
    with ThreadPoolExecutor() as pool:
        reading: list[tuple[Path, Future[Shard]]] = [
            (place, pool.submit(_read, place, rows)) for place in sorted(folder.glob("*.json"))
        ]
    for place, shard in reading:
        try:
            yield shard.result()
        except FileNotFoundError:
            continue
        except (ValueError, EOFError) as error:
            _remove_damaged(place, what, error)


def is_whole(place: Path, what: str) -> bool:
    """Returns whether the checksums of the shard are right whose last file is `place`; a damaged one is removed.

    Args:
        place: The last file of the shard.
        what: The name of what is stored, in plural, for the warning.
    """
    try:
        _read(place)
    except FileNotFoundError:
        return False
    except (ValueError, EOFError) as error:
        _remove_damaged(place, what, error)
        return False
    return True


def _remove_damaged(place: Path, what: str, error: Exception) -> None:
    reason, _, _ = str(error).partition("\n")
    _log.warning("Stored %s are damaged and will be computed again: %s (%s)", what, place, reason)
    remove_shard(place)


def remove_shard(place: Path) -> None:
    """Removes the files of the shard whose last file is `place`; what is mapped of them stays readable."""
    for part in (place, *(_part(place, kind) for kind in KINDS)):
        part.unlink(missing_ok=True)


def shard_size(place: Path) -> int:
    """Returns how many bytes the files of the shard take whose last file is `place`; 0 if it was just removed."""
    total = 0
    for kind in KINDS:
        with suppress(FileNotFoundError):
            total += _part(place, kind).stat().st_size
    return total


def remove_abandoned(folder: Path) -> None:
    """Removes what was left half-written in `folder` by processes that were killed, a day after."""
    whole = {place.stem for place in folder.glob("*.json")}
    for file in (*folder.glob("*.tmp"), *folder.glob("*.npy")):
        if file.name.partition(".")[0] not in whole and time.time() - modified(file) > ABANDONED_SECONDS:
            file.unlink(missing_ok=True)


def modified(path: Path) -> float:
    """Returns when `path` was last changed, in seconds; the present time if another process has just removed it."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()


def _read(place: Path, rows: bool = True) -> Shard:
    """Returns a shard whose checksums are right; without `rows`, that of the rows' header instead of all rows.

    Nothing is parsed before its checksum is verified: a damaged header makes NumPy raise errors of many kinds.
    """
    info = _Info.model_validate_json(place.read_bytes())
    parts = {kind: _part(place, kind) for kind in KINDS}
    if place not in _verified:
        of_rows = ("rows", info.rows, None) if rows else ("rows", info.head, HEAD_BYTES)
        for kind, checksum, limit in (of_rows, ("keys", info.keys, None)):
            if _checksum(parts[kind], limit) != checksum:
                raise ValueError(f"the checksum of {parts[kind].name} is wrong")
    shard = Shard(place, np.array(_mapped(parts["keys"])), _mapped(parts["rows"]), info.seconds)
    if rows:
        _verified.add(place)
    return shard


def _mapped(file: Path) -> np.ndarray:
    """Returns the array in a file that `numpy.save` wrote, mapped into memory.

    `numpy.load` parses the header with `ast`, which Python 3.11 cannot do in two threads at once: it raises SystemError
    where one of them interrupts the other.
    """
    with file.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    found = _HEADER.match(head)
    if not found:
        raise ValueError(f"{file.name} has another header than numpy.save writes")
    size, kind, shape = found.groups()
    lengths = tuple(int(length) for length in shape.split(b",") if length.strip())
    return np.memmap(file, np.dtype(kind.decode()), "r", 10 + int.from_bytes(size, "little"), lengths)


def _part(place: Path, kind: str) -> Path:
    """Returns the file of an array of the shard whose last file is `place`."""
    return place.with_name(f"{place.stem}.{kind}.npy")


def _checksum(file: Path, limit: int | None = None) -> int:
    """Returns the CRC-32 of a file, or of its first `limit` bytes."""
    with file.open("rb") as stream:
        if limit:
            return zlib.crc32(stream.read(limit))
        total = 0
        while block := stream.read(1 << 20):
            total = zlib.crc32(block, total)
    return total
