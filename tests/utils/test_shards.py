"""Shards of embeddings: whole or not there."""

import hashlib
import json
import logging
import os
import time
import zlib
from pathlib import Path

import numpy as np
import pytest

from crackexp.utils import shards
from crackexp.utils.shards import keys_of, read_shards, remove_abandoned, write_shard

DIGESTS = np.asarray([hashlib.blake2b(bytes([row]), digest_size=16).hexdigest() for row in range(200)])
ROWS = np.arange(800, dtype=np.float32).reshape(200, 4)


@pytest.fixture
def anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing has been checked yet, as in a new process."""
    monkeypatch.setattr(shards, "_verified", set())


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_shard(tmp_path, DIGESTS, ROWS, 1.5)
    (shard,) = read_shards(tmp_path, "rows")
    np.testing.assert_array_equal(shard.rows, ROWS)
    np.testing.assert_array_equal(shard.keys, np.char.encode(DIGESTS))
    assert shard.seconds == 1.5
    assert not shard.rows.flags.writeable


@pytest.mark.parametrize("shape", [(0, 4), (1, 4), (7,), (3, 8, 8, 3), (200, 1280)])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", ["uint8", "float32"])
def test_rows_are_those_of_numpy_and_no_header_is_parsed_by_ast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], kind: str, order: str
) -> None:
    """Threads read shards, and Python 3.11 raises SystemError where two of them use `ast` at once."""

    def refused(*args: object) -> None:
        raise SystemError("AST constructor recursion depth mismatch")

    rows = np.asarray(np.arange(np.prod(shape)).reshape(shape).astype(kind), order=order)  # type: ignore[call-overload]
    written = write_shard(tmp_path, DIGESTS[: shape[0]], rows, 1.0)
    expected = np.load(tmp_path / f"{written.place.stem}.rows.npy")
    monkeypatch.setattr("ast.literal_eval", refused)
    (shard,) = read_shards(tmp_path, "rows")
    np.testing.assert_array_equal(shard.rows, expected)
    np.testing.assert_array_equal(shard.rows, rows)
    assert shard.rows.dtype == rows.dtype
    assert len(shard.keys) == shape[0]


def test_keys_are_the_digests_in_bytes() -> None:
    np.testing.assert_array_equal(keys_of(DIGESTS), DIGESTS.astype("S32"))
    assert keys_of(DIGESTS[:0]).shape == (0,)
    assert keys_of(DIGESTS[::3]).tolist() == [digest.encode() for digest in DIGESTS[::3].tolist()]


def test_the_stored_checksums_are_those_of_zlib(tmp_path: Path) -> None:
    write_shard(tmp_path, DIGESTS, ROWS, 1.5)
    (place,) = tmp_path.glob("*.json")
    info = json.loads(place.read_text())
    for kind in ("rows", "keys"):
        assert info[kind] == zlib.crc32((tmp_path / f"{place.stem}.{kind}.npy").read_bytes())


@pytest.mark.parametrize("part", ["rows.npy", "keys.npy", "json"])
@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "remove"])
def test_a_damaged_part_takes_its_shard_away_and_no_other(
    anew: None, tmp_path: Path, caplog: pytest.LogCaptureFixture, part: str, damage: str
) -> None:
    write_shard(tmp_path, DIGESTS[:100], ROWS[:100], 1.0)
    (file,) = tmp_path.glob(f"*.{part}")
    name = file.name.partition(".")[0]
    write_shard(tmp_path, DIGESTS[100:], ROWS[100:], 1.0)
    shards._verified.clear()
    content = file.read_bytes()
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 4
    if damage == "remove":
        file.unlink()
    else:
        file.write_bytes({"flip": bytes(flipped), "truncate": content[:-7], "empty": b""}[damage])

    with caplog.at_level(logging.WARNING):
        (shard,) = read_shards(tmp_path, "rows")
    np.testing.assert_array_equal(shard.rows, ROWS[100:])
    if damage != "remove":
        assert name in caplog.text
        assert not list(tmp_path.glob(f"{name}.*"))


@pytest.mark.parametrize("verified", [True, False])
def test_every_flipped_bit_that_is_verified_is_noticed(anew: None, tmp_path: Path, verified: bool) -> None:
    write_shard(tmp_path, DIGESTS[:3], ROWS[:3], 1.0)
    (file,) = tmp_path.glob("*.rows.npy")
    kept = {path: path.read_bytes() for path in tmp_path.iterdir()}
    header = 128
    for bit in range(8 * (len(kept[file]) if verified else header)):
        damaged = bytearray(kept[file])
        damaged[bit // 8] ^= 1 << bit % 8
        for path, content in kept.items():
            path.write_bytes(damaged if path == file else content)
        shards._verified.clear()
        assert not list(read_shards(tmp_path, "rows", rows=verified))


def test_a_shard_is_checked_once_a_process(anew: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_shard(tmp_path, DIGESTS, ROWS, 1.0)
    shards._verified.clear()
    checked: list[Path] = []
    checksum = shards._checksum

    def counted(file: Path, limit: int | None = None) -> int:
        checked.append(file)
        return checksum(file, limit)

    monkeypatch.setattr(shards, "_checksum", counted)
    for _ in range(3):
        assert len(list(read_shards(tmp_path, "rows"))) == 1
    assert len(checked) == 2


def test_a_file_that_cannot_be_opened_is_an_error_and_stays(
    anew: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(file: Path, limit: int | None) -> int:
        raise PermissionError(13, "Permission denied", str(file))

    write_shard(tmp_path, DIGESTS, ROWS, 1.0)
    shards._verified.clear()
    monkeypatch.setattr(shards, "_checksum", refused)
    with pytest.raises(PermissionError):
        list(read_shards(tmp_path, "rows"))
    assert len(list(tmp_path.iterdir())) == 3


def test_shards_without_checksums_do_not_count(tmp_path: Path) -> None:
    write_shard(tmp_path, DIGESTS, ROWS, 1.0)
    (place,) = tmp_path.glob("*.json")
    place.unlink()
    assert not list(read_shards(tmp_path, "rows"))


def test_what_killed_processes_left_goes_after_a_day(tmp_path: Path) -> None:
    write_shard(tmp_path, DIGESTS, ROWS, 1.0)
    whole = set(tmp_path.iterdir())
    for name in ("a.rows.tmp", "b.rows.npy", "b.keys.npy", "c.json.d.tmp"):
        (tmp_path / name).write_bytes(b"x")
    remove_abandoned(tmp_path)
    assert len(list(tmp_path.iterdir())) == 7
    yesterday = time.time() - 86_401
    for file in tmp_path.iterdir():
        os.utime(file, (yesterday, yesterday))
    remove_abandoned(tmp_path)
    assert set(tmp_path.iterdir()) == whole


def test_an_unlinked_shard_stays_readable(tmp_path: Path) -> None:
    write_shard(tmp_path, DIGESTS, ROWS, 1.0)
    (shard,) = read_shards(tmp_path, "rows")
    for file in tmp_path.iterdir():
        file.unlink()
    np.testing.assert_array_equal(shard.rows, ROWS)
