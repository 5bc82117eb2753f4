"""The store of embeddings on disk: tables, parts shared between processes, a budget."""

import hashlib
import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np
import pytest

from crackexp.embeddings.store import PARTITIONS, EmbeddingStore, partition_of, size_of

DIGESTS = np.asarray([hashlib.blake2b(bytes([row]), digest_size=16).hexdigest() for row in range(200)])
ROWS = np.arange(800, dtype=np.float32).reshape(200, 4)


def make(root: Path, budget: float = 1e9) -> EmbeddingStore:
    return EmbeddingStore(root, "model", {"backbone": "test"}, budget)


def views(root: Path) -> set[str]:
    return {folder.name for folder in (root / "embeddings/model").glob("*/")}


def fill(root: Path, *names: str) -> int:
    """Writes a table a view, the first used last, and returns the bytes of one."""
    for age, view in enumerate(names):
        make(root).write(view, DIGESTS, ROWS, 1.0)
        stamp = time.time() - 1000 * (age + 1)
        os.utime(root / "embeddings/model" / view, (stamp, stamp))
    return size_of(root / "embeddings/model" / names[0])


def test_rows_come_back_in_the_order_asked_for(tmp_path: Path) -> None:
    mine = make(tmp_path)
    for start in range(0, 200, 40):
        mine.write("plain", DIGESTS[start : start + 40], ROWS[start : start + 40], 0.4)
    rows = np.random.default_rng(0).permutation(200)[:150]
    table = make(tmp_path).open("plain", DIGESTS[rows])
    assert not len(table.missing)
    np.testing.assert_array_equal(table[:], ROWS[rows])
    np.testing.assert_array_equal(table[10:20], ROWS[rows[10:20]])
    np.testing.assert_array_equal(table[np.array([7, 3, 7])], ROWS[rows[[7, 3, 7]]])
    assert table.seconds == pytest.approx(2.0 * 150 / 200)


def test_missing_rows_are_named_and_not_made_up(tmp_path: Path) -> None:
    mine = make(tmp_path)
    np.testing.assert_array_equal(mine.open("plain", DIGESTS[:3]).missing, [0, 1, 2])
    mine.write("plain", DIGESTS[1:2], ROWS[1:2], 1.0)
    table = mine.open("plain", DIGESTS[:3])
    np.testing.assert_array_equal(table.missing, [0, 2])
    np.testing.assert_array_equal(table[np.array([1])], ROWS[1:2])
    with pytest.raises(KeyError, match="2 of 3"):
        table[:]


def test_the_parts_are_about_equal() -> None:
    counts = np.bincount(partition_of(DIGESTS), minlength=PARTITIONS)
    assert counts.sum() == 200
    assert counts.min() > 25


def hold(root: Path, ready: Event) -> None:
    mine = make(root)
    mine.open("plain", DIGESTS)
    with mine.lock_partition("plain", 0, wait=True):
        ready.set()
        time.sleep(600)


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[int]:
    """A process that uses the table of the plain view and has taken part 0; its id."""
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=hold, args=(tmp_path, ready))
    process.start()
    assert ready.wait(120)
    assert process.pid
    yield process.pid
    process.kill()
    process.join()


def test_a_part_is_free_again_when_its_process_is_killed(tmp_path: Path, holder: int) -> None:
    mine = make(tmp_path)
    with mine.lock_partition("plain", 0, wait=False) as free:
        assert not free
    with mine.lock_partition("plain", 1, wait=False) as free:
        assert free
    os.kill(holder, signal.SIGKILL)
    with mine.lock_partition("plain", 0, wait=True) as free:
        assert free


def test_a_table_of_another_process_stays_until_it_ends(tmp_path: Path, holder: int) -> None:
    fill(tmp_path, "new", "plain")
    make(tmp_path, budget=1).evict()
    assert views(tmp_path) == {"plain"}
    os.kill(holder, signal.SIGKILL)
    for _ in range(100):
        make(tmp_path, budget=1).evict()
        if not views(tmp_path):
            break
        time.sleep(0.1)
    assert views(tmp_path) == set()


def test_the_tables_used_least_recently_go_first(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    size = fill(tmp_path, "new", "middle", "old")
    with caplog.at_level(logging.INFO):
        make(tmp_path, budget=2.5 * size).evict()
    assert views(tmp_path) == {"new", "middle"}
    assert "old" in caplog.text

    make(tmp_path).open("middle", DIGESTS)
    make(tmp_path, budget=1.5 * size).evict()
    assert views(tmp_path) == {"middle"}


def test_nothing_goes_while_all_fit(tmp_path: Path) -> None:
    size = fill(tmp_path, "new", "middle", "old")
    make(tmp_path, budget=3 * size).evict()
    assert views(tmp_path) == {"new", "middle", "old"}


def test_the_budget_is_of_all_models_together(tmp_path: Path) -> None:
    size = fill(tmp_path, "new", "old")
    EmbeddingStore(tmp_path, "other", {}, 1e9).write("plain", DIGESTS, ROWS, 1.0)
    EmbeddingStore(tmp_path, "third", {}, 2.5 * size).evict()
    assert views(tmp_path) == {"new"}
    assert (tmp_path / "embeddings/other/plain").is_dir()
    EmbeddingStore(tmp_path, "third", {}, 1.5 * size).evict()
    assert not (tmp_path / "embeddings/model").exists()


def test_tables_in_use_stay_whatever_the_budget(tmp_path: Path) -> None:
    mine = make(tmp_path, budget=1)
    mine.write("plain", DIGESTS, ROWS, 1.0)
    mine.evict()
    other = make(tmp_path, budget=1)
    other.evict()
    np.testing.assert_array_equal(mine.open("plain", DIGESTS)[:], ROWS)
