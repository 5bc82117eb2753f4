"""Cores and devices shared out between the cells that run at once on one machine.

The process of a cell holds a slot: a lock on a file, which the system frees when the process ends, however it ends.
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
        number: in [0, workers).
        workers: how many share the machine.
        cores: numbers of the cores this process runs on; empty where the system cannot pin a process.
        devices: what ``CUDA_VISIBLE_DEVICES`` names; empty where there are no GPUs, or where a scheduler gave them.
    """

    number: int
    workers: int
    cores: tuple[int, ...]
    devices: tuple[str, ...]
    lock: FileLock

    def release(self) -> None:
        """Gives the slot back, and the process all cores; devices stay as they are, JAX has opened them."""
        global _held
        _held = None
        _pin(_every_core)
        self.lock.release()


_held: Slot | None = None
_every_core: tuple[int, ...] = ()


def share_machine(hydra: HydraConf, cells: int | None = None) -> Slot | None:
    """Takes this process' share where its launcher runs several cells on this machine; call it before JAX starts.

    Args:
        hydra: node of the job's config, with `launcher`, `sweeper`, `sweep` and `runtime`.
        cells: how many the sweep has, where known.

    Returns:
        The slot, or None where the machine is this cell's alone, or a scheduler bound the process already.
    """
    if _held:
        return _held
    launcher = _launcher(hydra)
    if launcher == "joblib":
        workers = workers_here(hydra, cells)
        return share(workers, _slots(f"{hydra.runtime.cwd}/{hydra.sweep.dir}")) if workers else None
    if launcher == "slurm":
        granted = int(os.environ.get("SLURM_CPUS_PER_TASK") or os.environ.get("SLURM_CPUS_ON_NODE") or 0)
        return share_granted(granted)
    return None


def workers_here(hydra: HydraConf, cells: int | None = None) -> int | None:
    """Returns how many processes joblib runs cells in at once, None for one after the other.

    Args:
        hydra: node of a job's config, with `launcher` and `sweeper`.
        cells: how many the sweep has, where known.
    """
    import joblib

    jobs = hydra.launcher.get("n_jobs") or 1
    if jobs < 0:
        jobs = max(joblib.cpu_count() + 1 + jobs, 1)
    limits = [jobs, cells, hydra.sweeper.get("n_jobs"), hydra.sweeper.get("max_batch_size")]
    workers = min(int(limit) for limit in limits if limit)
    return workers if workers > 1 else None


def share_granted(cores: int) -> Slot | None:
    """Takes `cores` of this machine where a scheduler granted them but left the process unbound.

    Args:
        cores: granted to this process; 0 for no more than a share of one, or unknown.

    Returns:
        The slot, or None where the process runs on no more cores than granted.
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
    """Takes a free slot of `workers`, pins this process to its cores, and shows it its GPUs alone.

    With fewer GPUs than workers several share one, each with a part of its memory (XLA_PYTHON_CLIENT_MEM_FRACTION).

    Args:
        workers: how many processes share the machine.
        folder: of the lock files, on this machine; one for each group of processes that share.
        devices: False leaves the GPUs as the scheduler gave them.
        environment: receives the variables of CUDA and XLA.

    Returns:
        The slot, the held one where this process has one; None where all stayed taken for half a minute.
    """
    global _held, _every_core
    if _held:
        return _held
    taken = _take(workers, folder)
    if taken is None:
        _log.warning("No slot of %d came free: this cell runs on every core.", workers)
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
    """Returns the items of worker `number`: neighbours, as evenly as can be; one that is shared where they are few."""
    start = number * len(items) // workers
    return items[start : max(start + 1, (number + 1) * len(items) // workers)]


def visible_devices(environment: Mapping[str, str], folder: Path = Path("/dev")) -> list[str]:
    """Returns the GPUs that this process may share out, as ``CUDA_VISIBLE_DEVICES`` names them.

    Args:
        environment: of the process.
        folder: of the device files.
    """
    if environment.get("JAX_PLATFORMS") == "cpu":
        return []
    if (named := environment.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name for name in named.split(",") if name]
    return [str(number) for number, _ in enumerate(folder.glob("nvidia[0-9]*"))]


def device_variables(
    every: Sequence[str], mine: Sequence[str], workers: int, environment: Mapping[str, str]
) -> dict[str, str]:
    """Returns the variables that show a process its GPUs alone.

    Args:
        every: GPUs to share.
        mine: GPUs of this process.
        workers: how many share.
        environment: of the process; a fraction of memory that stands in it stays.
    """
    if not every:
        return {}
    variables = {"CUDA_VISIBLE_DEVICES": ",".join(mine)}
    sharers = sum(mine[0] in portion(every, number, workers) for number in range(workers))
    if sharers > 1 and "XLA_PYTHON_CLIENT_MEM_FRACTION" not in environment:
        variables["XLA_PYTHON_CLIENT_MEM_FRACTION"] = f"{0.9 / sharers:.3f}"
    return variables


def _launcher(hydra: HydraConf) -> str:
    """Returns joblib, slurm, or another launcher's class."""
    target = str(hydra.launcher._target_)
    names = {".JoblibLauncher": "joblib", ".SlurmLauncher": "slurm"}
    return next((name for end, name in names.items() if target.endswith(end)), target)


def _take(workers: int, folder: Path) -> tuple[int, FileLock] | None:
    """Returns the number and the lock of a slot that is free or comes free soon."""
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
    """Returns the folder of the slots that processes of this user share by `name`, on this machine's own disk."""
    digest = hashlib.blake2b(name.encode(), digest_size=8).hexdigest()
    return Path(tempfile.gettempdir()) / f"crackexp-{getpass.getuser()}" / "slots" / digest


def _affinity() -> tuple[int, ...]:
    return tuple(sorted(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else ()


def _pin(cores: Sequence[int]) -> None:
    """Keeps every thread of this process to `cores`; threads begun later follow the one that begins them."""
    if not cores:
        return
    for thread in Path("/proc/self/task").iterdir():
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread.name), cores)
