"""The store of embeddings on disk: checksums, parts shared between processes, a budget."""

import hashlib
import multiprocessing
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from crackexp.training import store
from crackexp.training.store import BUCKETS, Store, bucket_of

DIGESTS = np.asarray([hashlib.blake2b(bytes([row]), digest_size=16).hexdigest() for row in range(200)])
ROWS = np.arange(800, dtype=np.float32).reshape(200, 4)


def make(root: Path, budget: float = 1e9) -> Store:
    return Store(root, "model", {"backbone": "test"}, budget)


@pytest.fixture(autouse=True)
def forget_checksums() -> None:
    store._sound.clear()


def test_rows_come_back_in_the_order_asked_for(tmp_path: Path) -> None:
    mine = make(tmp_path)
    mine.write("plain", DIGESTS[:120], ROWS[:120], 1.2)
    mine.write("plain", DIGESTS[120:], ROWS[120:], 0.8)
    rows = np.random.default_rng(0).permutation(200)
    table = make(tmp_path).open("plain", DIGESTS[rows])
    assert not len(table.missing)
    np.testing.assert_array_equal(table[:], ROWS[rows])
    assert table.seconds == pytest.approx(2.0)


def test_an_empty_table_misses_all(tmp_path: Path) -> None:
    np.testing.assert_array_equal(make(tmp_path).open("plain", DIGESTS[:3]).missing, [0, 1, 2])


@pytest.mark.parametrize("part", ["rows.npy", "keys.npy", "json"])
@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "remove"])
def test_a_damaged_part_takes_its_shard_away_and_no_other(tmp_path: Path, part: str, damage: str) -> None:
    mine = make(tmp_path)
    mine.write("plain", DIGESTS[:100], ROWS[:100], 1.0)
    (file,) = (tmp_path / "embeddings/model/plain").glob(f"*.{part}")
    mine.write("plain", DIGESTS[100:], ROWS[100:], 1.0)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 4
    if damage == "remove":
        file.unlink()
    else:
        file.write_bytes({"flip": content, "truncate": content[:-7], "empty": b""}[damage])
    store._sound.clear()
    table = make(tmp_path).open("plain", DIGESTS)
    np.testing.assert_array_equal(table.missing, np.arange(100))
    np.testing.assert_array_equal(table[np.arange(100, 200)], ROWS[100:])


def test_a_shard_that_was_not_finished_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*arguments: object) -> None:
        raise KeyboardInterrupt

    mine = make(tmp_path)
    monkeypatch.setattr(store, "_write", killed)
    with pytest.raises(KeyboardInterrupt):
        mine.write("plain", DIGESTS, ROWS, 1.0)
    assert len(make(tmp_path).open("plain", DIGESTS).missing) == 200


def test_the_parts_are_about_equal() -> None:
    counts = np.bincount(bucket_of(DIGESTS), minlength=BUCKETS)
    assert counts.sum() == 200
    assert counts.min() > 25


def hold(root: Path, ready: object) -> None:
    with make(root).claim("plain", 0, wait=True):
        ready.set()  # type: ignore[attr-defined]
        time.sleep(60)


def test_a_part_is_free_again_when_its_process_is_killed(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=hold, args=(tmp_path, ready))
    process.start()
    assert ready.wait(60)
    with make(tmp_path).claim("plain", 0, wait=False) as free:
        assert not free
    with make(tmp_path).claim("plain", 1, wait=False) as free:
        assert free
    os.kill(process.pid or 0, signal.SIGKILL)
    with make(tmp_path).claim("plain", 0, wait=True) as free:
        assert free
    process.join()


def test_the_tables_used_least_recently_go_first(tmp_path: Path) -> None:
    for age, view in enumerate(["new", "middle", "old"]):
        make(tmp_path).write(view, DIGESTS, ROWS, 1.0)
        stamp = time.time() - 1000 * age
        os.utime(tmp_path / "embeddings/model" / view, (stamp, stamp))
    size = store.size_of(tmp_path / "embeddings/model/new")
    mine = make(tmp_path, budget=2.5 * size)
    mine.evict()
    assert {folder.name for folder in (tmp_path / "embeddings/model").glob("*/")} == {"new", "middle"}

    os.utime(tmp_path / "embeddings/model/new", (1, 1))
    mine = make(tmp_path, budget=1.5 * size)
    mine.open("new", DIGESTS)
    mine.evict()
    assert {folder.name for folder in (tmp_path / "embeddings/model").glob("*/")} == {"new"}


def test_tables_in_use_stay_whatever_the_budget(tmp_path: Path) -> None:
    mine = make(tmp_path, budget=1)
    mine.write("plain", DIGESTS, ROWS, 1.0)
    table = mine.open("plain", DIGESTS)
    mine.evict()
    np.testing.assert_array_equal(table[:], ROWS)
    assert (tmp_path / "embeddings/model/plain").is_dir()
