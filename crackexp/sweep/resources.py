"""Cores and devices shared out between the trials that run at once on one machine.

The process of a trial holds a slot: a lock on a file, which the system frees when the process ends, however it ends.
Its share must be taken before JAX starts: XLA's CPU client makes as many threads as the process may use cores, and its
GPU client opens the devices that are visible then.
"""

import contextlib
import getpass
import hashlib
import logging
import os
import sys
import tempfile
import time
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout
from hydra.conf import HydraConf

PATIENCE_SECONDS = 30.0
_log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True)
class Slot:
    """A share of a machine, held until `release` or the end of the process.

    Attributes:
        number: The number of the slot, in [0, workers).
        workers: The number of processes that share the machine.
        cores: The numbers of the cores on which this process runs; empty where the system cannot pin a process.
        devices: The GPUs that ``CUDA_VISIBLE_DEVICES`` names; empty where there are none, or a scheduler chose them.
        lock: The lock on the file of the slot.
    """

    number: int
    workers: int
    cores: tuple[int, ...]
    devices: tuple[str, ...]
    lock: FileLock

    def release(self) -> None:
        """Releases the slot and lets the process use all cores. Its GPUs stay, since JAX has opened them already."""
        global _held
        _held = None
        _pin(_every_core)
        self.lock.release()


_held: Slot | None = None
_every_core: tuple[int, ...] = ()


def share_machine(hydra: HydraConf, trials: int | None = None) -> Slot | None:
    """Takes the share of this process where its launcher runs several trials on this machine.

    It must be called before JAX starts, since JAX reads the environment variables only then.

    Args:
        hydra: The node `hydra` of the job's config, with `launcher`, `sweeper`, `sweep` and `runtime`.
        trials: The number of trials of the sweep; None where it is not known.

    Returns:
        The slot. None where the trial has the machine to itself, or where a scheduler has bound the process already.
    """
    if _held:
        return _held
    launcher = _launcher(hydra)
    if launcher == "joblib":
        workers = workers_here(hydra, trials)
        return share(workers, _slots(f"{hydra.runtime.cwd}/{hydra.sweep.dir}")) if workers else None
    if launcher == "slurm":
        granted = int(os.environ.get("SLURM_CPUS_PER_TASK") or os.environ.get("SLURM_CPUS_ON_NODE") or 0)
        return share_granted(granted)
    return None


def workers_here(hydra: HydraConf, trials: int | None = None) -> int | None:
    """Returns the number of processes in which joblib runs trials at the same time, or None for a single one.

    Args:
        hydra: The node `hydra` of a job's config, with `launcher` and `sweeper`.
        trials: The number of trials of the sweep; None where it is not known.
    """
    import loky

    jobs = hydra.launcher.get("n_jobs") or 1
    if jobs < 0:
        jobs = max(loky.cpu_count() + 1 + jobs, 1)
    limits = [jobs, trials, hydra.sweeper.get("n_jobs"), hydra.sweeper.get("max_batch_size")]
    workers = min(int(limit) for limit in limits if limit)
    return workers if workers > 1 else None


def share_granted(cores: int) -> Slot | None:
    """Takes `cores` of this machine where a scheduler granted them but did not bind the process to them.

    Args:
        cores: The number of cores granted to this process; 0 for less than one, or where it is not known.

    Returns:
        The slot. None where the process runs on no more cores than were granted.
    """
    available = len(_affinity())
    if not cores or cores >= available:
        return None
    return share(available // cores, _slots(f"granted-{cores}"), devices=False)


def share(
    workers: int,
    folder: Path,
    *,
    devices: bool = True,
    environment: MutableMapping[str, str] = os.environ,
) -> Slot | None:
    """Takes one of `workers` slots, pins this process to its cores, and makes only its GPUs visible.

    With fewer GPUs than workers, several workers share a GPU, each with a part of its memory
    (XLA_PYTHON_CLIENT_MEM_FRACTION).

    Args:
        workers: The number of processes that share the machine.
        folder: The folder of the lock files on this machine, one for each group of processes that share it.
        devices: Whether GPUs are shared out too; False leaves them as the scheduler chose them.
        environment: The environment in which the variables of CUDA and XLA are set.

    Returns:
        The slot; the one that this process holds already where it has one. None where no slot became free within half
        a minute.
    """
    global _held, _every_core
    if _held:
        return _held
    taken = _take(workers, folder)
    if taken is None:
        _log.warning("None of the %d slots became free, so this trial uses all cores.", workers)
        return None
    number, lock = taken
    _every_core = _affinity()
    cores = portion(_every_core, number, workers)
    _pin(cores)
    if cv2 := sys.modules.get("cv2"):
        cv2.setNumThreads(len(cores))
    every_device = visible_devices(environment) if devices else []
    mine = portion(every_device, number, workers)
    environment.update(device_variables(every_device, mine, workers, environment))
    _held = Slot(number, workers, tuple(cores), tuple(mine), lock)
    _log.info("Slot %d of %d: cores %s, devices %s", number, workers, _held.cores, _held.devices)
    return _held


def portion(items: Sequence[T], number: int, workers: int) -> Sequence[T]:
    """Returns the items of worker `number`: a contiguous, even share, or one shared item where there are too few."""
    start = number * len(items) // workers
    return items[start : max(start + 1, (number + 1) * len(items) // workers)]


def visible_devices(environment: Mapping[str, str], folder: Path = Path("/dev")) -> list[str]:
    """Returns the GPUs that this process may share out, named as in ``CUDA_VISIBLE_DEVICES``.

    Args:
        environment: The environment of the process.
        folder: The folder of the device files.
    """
    if environment.get("JAX_PLATFORMS") == "cpu":
        return []
    if (named := environment.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name for name in named.split(",") if name]
    return [str(number) for number, _ in enumerate(folder.glob("nvidia[0-9]*"))]


def device_variables(
    every: Sequence[str], mine: Sequence[str], workers: int, environment: Mapping[str, str]
) -> dict[str, str]:
    """Returns the environment variables with which a process sees only its own GPUs.

    Args:
        every: The GPUs to share out.
        mine: The GPUs of this process.
        workers: The number of processes that share them.
        environment: The environment of the process. A fraction of memory that it sets is kept.
    """
    if not every:
        return {}
    variables = {"CUDA_VISIBLE_DEVICES": ",".join(mine)}
    sharers = sum(mine[0] in portion(every, number, workers) for number in range(workers))
    if sharers > 1 and "XLA_PYTHON_CLIENT_MEM_FRACTION" not in environment:
        variables["XLA_PYTHON_CLIENT_MEM_FRACTION"] = f"{0.9 / sharers:.3f}"
    return variables


def _launcher(hydra: HydraConf) -> str:
    """Returns "joblib", "slurm", or the class of another launcher."""
    target = str(hydra.launcher._target_)
    names = {".JoblibLauncher": "joblib", ".SlurmLauncher": "slurm"}
    return next((name for end, name in names.items() if target.endswith(end)), target)


def _take(workers: int, folder: Path) -> tuple[int, FileLock] | None:
    """Returns the number and the lock of a slot that is free or becomes free soon, or None."""
    folder.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        for number in range(workers):
            lock = FileLock(folder / f"{number}.lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            return number, lock
        if time.monotonic() > end:
            return None
        time.sleep(0.1)


def _slots(name: str) -> Path:
    """Returns the folder of the slots that processes of this user share by `name`, on a local disk."""
    digest = hashlib.blake2b(name.encode(), digest_size=8).hexdigest()
    return Path(tempfile.gettempdir()) / f"crackexp-{getpass.getuser()}" / "slots" / digest


def _affinity() -> tuple[int, ...]:
    return tuple(sorted(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else ()


def _pin(cores: Sequence[int]) -> None:
    """Pins every thread of this process to `cores`. Later threads inherit the cores of the thread that starts them."""
    if not cores:
        return
    for thread in Path("/proc/self/task").iterdir():
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread.name), cores)
