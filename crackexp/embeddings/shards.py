"""Shards: files of embeddings with checksums, each of which is there whole or not at all.

A shard is three files of one name: ``<id>.rows.npy`` (n, d) float32, ``<id>.keys.npy`` (n,) digests of the images, and
``<id>.json`` with the CRC-32 of both. Each is renamed into place, the last one last: a shard without it does not count.
"""

import logging
import time
import uuid
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from crackexp.utils.files import replacing, write_text

KEY = "S32"
ABANDONED_SECONDS = 86_400
_log = logging.getLogger(__name__)
_verified: set[Path] = set()  # the shards whose checksums this process has found right


@dataclass(frozen=True)
class Shard:
    """Embeddings that were computed together.

    Attributes:
        keys: (n,) S32, the digests of the images.
        rows: (n, d) float32, memory-mapped.
        seconds: How long it took to compute them.
    """

    keys: np.ndarray
    rows: np.ndarray
    seconds: float


class _Info(BaseModel):
    """The content of ``<id>.json``: the CRC-32 of both arrays, and how many seconds it took to compute them."""

    model_config = ConfigDict(extra="forbid")

    rows: int
    keys: int
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]


def keys_of(digests: np.ndarray) -> np.ndarray:
    """Returns digests, (n,) str of hex digits, as (n,) S32."""
    points = np.ascontiguousarray(digests, "U32").view(np.uint32)
    return points.astype(np.uint8).view(KEY)


def write_shard(folder: Path, digests: np.ndarray, rows: np.ndarray, seconds: float) -> None:
    """Adds a shard to the table in `folder`.

    Args:
        folder: The folder of the table.
        digests: (n,) str, the digests of the images.
        rows: (n, d) float32, the embeddings.
        seconds: How long it took to compute them.
    """
    name = uuid.uuid4().hex
    checksums = {}
    for kind, array in (("rows", rows), ("keys", keys_of(digests))):
        part = folder / f"{name}.{kind}.npy"
        with replacing(part) as temporary, temporary.open("wb") as stream:
            np.save(stream, array)
        checksums[kind] = _checksum(part)
    info = folder / f"{name}.json"
    write_text(info, _Info(seconds=seconds, **checksums).model_dump_json())
    _verified.add(info)


def read_shards(folder: Path) -> Iterator[Shard]:
    """Yields the shards of the table in `folder`; a damaged one is removed with a warning."""
    for place in sorted(folder.glob("*.json")):
        try:
            yield _read(place)
        except FileNotFoundError:
            continue
        except (ValueError, EOFError) as error:
            _log.warning(
                "Stored embeddings are damaged and will be computed again: %s (%s)",
                place,
                str(error).partition("\n")[0],
            )
            for part in folder.glob(f"{place.stem}.*"):
                part.unlink(missing_ok=True)


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


def _read(place: Path) -> Shard:
    info = _Info.model_validate_json(place.read_bytes())
    parts = {kind: place.with_name(f"{place.stem}.{kind}.npy") for kind in ("rows", "keys")}
    if place not in _verified:
        for kind, part in parts.items():
            if _checksum(part) != getattr(info, kind):
                raise ValueError(f"the checksum of {part.name} is wrong")
    shard = Shard(np.load(parts["keys"]), np.load(parts["rows"], mmap_mode="r"), info.seconds)
    _verified.add(place)
    return shard


def _checksum(file: Path) -> int:
    """Returns the CRC-32 of a file."""
    total = 0
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            total = zlib.crc32(block, total)
    return total
