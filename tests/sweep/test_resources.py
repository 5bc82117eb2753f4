"""Shares of a machine: every core and GPU is somebody's, nobody takes another's, and what dies comes free."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from crackexp.sweep.resources import device_variables, portion, share_granted, visible_devices, workers_here

CORES = sorted(os.sched_getaffinity(0))
HOLD = """
import os, sys
from pathlib import Path
from crackexp.sweep import resources
resources.PATIENCE_SECONDS = 0.3
slot = resources.share(int(sys.argv[2]), Path(sys.argv[1]), environment={})
print(slot and slot.number, sorted(os.sched_getaffinity(0)), flush=True)
sys.stdin.read()
"""
Holder = Callable[[int], tuple[subprocess.Popen[str], str]]


@pytest.fixture
def hold(tmp_path: Path) -> Iterator[Holder]:
    """Starts processes that take a slot each, and hold it until they end."""
    started: list[subprocess.Popen[str]] = []

    def start(workers: int) -> tuple[subprocess.Popen[str], str]:
        words = [sys.executable, "-c", HOLD, str(tmp_path), str(workers)]
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout
        return process, process.stdout.readline().strip()

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(("items", "workers"), [(8, 3), (2, 2), (1, 4), (3, 7), (64, 5)])
def test_all_is_shared_evenly(items: int, workers: int) -> None:
    shares = [portion(range(items), number, workers) for number in range(workers)]

    assert {item for mine in shares for item in mine} == set(range(items))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    if items >= workers:
        assert sum(map(len, shares)) == items
    else:
        sharers = [sum(item in mine for mine in shares) for item in range(items)]
        assert max(sharers) - min(sharers) <= 1


def test_nothing_to_share_is_nobodys() -> None:
    assert list(portion([], 1, 3)) == []


def test_slots_are_taken_once_and_free_after_death(hold: Holder) -> None:
    first, said_first = hold(2)
    _, said_second = hold(2)
    assert [said_first, said_second] == [f"0 {CORES[: max(1, len(CORES) // 2)]}", f"1 {CORES[len(CORES) // 2 :]}"]

    _, none_left = hold(2)
    assert none_left == f"None {CORES}"

    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    _, taken_over = hold(2)
    assert taken_over == said_first


def run(code: str, *arguments: str) -> str:
    words = [sys.executable, "-c", code, *arguments]
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=120).stdout.strip()


def test_jax_has_as_many_threads_as_its_share_of_the_cores(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
import cv2, jax
from crackexp.sweep.resources import share
slot = share(2, Path(sys.argv[1]), environment={})
jax.devices("cpu")
names = [thread.read_text().strip() for thread in Path("/proc/self/task").glob("*/comm")]
print(names.count("tf_XLAEigen") - len(slot.cores), cv2.getNumThreads() - len(slot.cores))
"""
    assert run(code, str(tmp_path)) == "0 0"


def test_a_process_keeps_its_slot_until_it_gives_it_back(tmp_path: Path) -> None:
    code = """
import os, sys
from pathlib import Path
from crackexp.sweep.resources import share
before = os.sched_getaffinity(0)
slot = share(2, Path(sys.argv[1]), environment={})
again = share(2, Path(sys.argv[1]), environment={})
slot.release()
third = share(2, Path(sys.argv[1]), environment={})
third.release()
print(again is slot, third.number, third.cores == slot.cores, os.sched_getaffinity(0) == before)
"""
    assert run(code, str(tmp_path)) == "True 0 True True"


def test_a_scheduler_that_binds_is_left_alone() -> None:
    assert share_granted(len(CORES)) is None
    assert share_granted(0) is None
    assert sorted(os.sched_getaffinity(0)) == CORES


@pytest.mark.parametrize(
    ("environment", "devices"),
    [
        ({}, ["0", "1"]),
        ({"CUDA_VISIBLE_DEVICES": "2,5,7"}, ["2", "5", "7"]),
        ({"CUDA_VISIBLE_DEVICES": ""}, []),
        ({"JAX_PLATFORMS": "cpu"}, []),
    ],
)
def test_devices_are_those_that_the_process_may_use(
    tmp_path: Path, environment: dict[str, str], devices: list[str]
) -> None:
    for name in ("nvidia0", "nvidia3", "nvidiactl", "nvidia-uvm", "null"):
        (tmp_path / name).touch()
    assert visible_devices(environment, tmp_path) == devices


def test_a_gpu_of_ones_own_is_all_of_it() -> None:
    every = ["0", "1", "2", "3"]
    variables = [device_variables(every, portion(every, number, 2), 2, {}) for number in range(2)]
    assert variables == [{"CUDA_VISIBLE_DEVICES": "0,1"}, {"CUDA_VISIBLE_DEVICES": "2,3"}]


def test_workers_on_one_gpu_share_its_memory() -> None:
    variables = [device_variables(["6"], portion(["6"], number, 3), 3, {}) for number in range(3)]
    assert variables == 3 * [{"CUDA_VISIBLE_DEVICES": "6", "XLA_PYTHON_CLIENT_MEM_FRACTION": "0.300"}]

    five = [device_variables(["a", "b"], portion(["a", "b"], number, 5), 5, {}) for number in range(5)]
    for device in ("a", "b"):
        fractions = [
            float(each["XLA_PYTHON_CLIENT_MEM_FRACTION"]) for each in five if each["CUDA_VISIBLE_DEVICES"] == device
        ]
        assert len(fractions) > 1
        assert sum(fractions) == pytest.approx(0.9, abs=0.001)


def test_a_users_share_of_memory_stays() -> None:
    chosen = {"XLA_PYTHON_CLIENT_MEM_FRACTION": "0.2"}
    assert device_variables(["0"], ["0"], 2, chosen) == {"CUDA_VISIBLE_DEVICES": "0"}


@pytest.mark.parametrize(
    ("jobs", "sweeper", "trials", "workers"),
    [
        (4, {}, None, 4),
        (-1, {}, None, None if len(CORES) == 1 else len(CORES)),
        (1, {}, None, None),
        (8, {"n_jobs": 2}, None, 2),
        (8, {"max_batch_size": None}, 3, 3),
        (8, {}, 1, None),
    ],
)
def test_workers_are_no_more_than_there_is_work_for(
    jobs: int, sweeper: dict[str, int | None], trials: int | None, workers: int | None
) -> None:
    hydra = OmegaConf.create({"launcher": {"n_jobs": jobs}, "sweeper": sweeper})
    assert workers_here(hydra, trials) == workers
