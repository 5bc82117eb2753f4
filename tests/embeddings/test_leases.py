"""Which tables running processes use."""

import gc
import multiprocessing
import os
import signal
import time
from multiprocessing.synchronize import Event
from pathlib import Path

from crackexp.embeddings.leases import Leases


def used_in(root: Path) -> set[Path]:
    with Leases(root).locked() as used:
        return set(used)


def hold(root: Path, ready: Event) -> None:
    mine = Leases(root)
    mine.add(root / "model/view")
    ready.set()
    time.sleep(600)


def test_a_table_is_used_until_its_user_is_gone(tmp_path: Path) -> None:
    first, second = Leases(tmp_path), Leases(tmp_path)
    first.add(tmp_path / "model/a")
    first.add(tmp_path / "model/a")
    second.add(tmp_path / "model/b")
    assert used_in(tmp_path) == {tmp_path / "model/a", tmp_path / "model/b"}
    del first
    gc.collect()
    assert used_in(tmp_path) == {tmp_path / "model/b"}
    del second
    gc.collect()
    assert used_in(tmp_path) == set()
    assert [file.name for file in (tmp_path / ".users").iterdir()] == ["gate"]


def test_a_folder_in_use_elsewhere_is_none_of_ours(tmp_path: Path) -> None:
    elsewhere = Leases(tmp_path / "other")
    elsewhere.add(tmp_path / "other/model/a")
    assert used_in(tmp_path / "this") == set()


def test_a_killed_process_uses_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=hold, args=(tmp_path, ready))
    process.start()
    assert ready.wait(120)
    assert used_in(tmp_path) == {tmp_path / "model/view"}
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    assert used_in(tmp_path) == set()
    assert [file.name for file in (tmp_path / ".users").iterdir()] == ["gate"]
