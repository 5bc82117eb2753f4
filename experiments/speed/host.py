"""Views that the host makes a second, by cores: python experiments/speed/host.py [WORD ...]

The words are those of crackexp.train, such as dataset=mendeley. Views are made as they are for embedding, without a
network. Threads of one process share Python's lock, and processes of one core each do not, so the last column shows
what the lock costs. Views of 8 pixels cost little but what is done under the lock, whose inverse no number of cores
exceeds.
"""

import multiprocessing
import os
import sys
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import loky
import numpy as np
from hydra import compose, initialize_config_dir

from crackexp.config.checking import check, instantiate
from crackexp.config.options import conf_dir
from crackexp.data.augmentation import Augmentation, View
from crackexp.data.images.cache import ImageCache
from crackexp.data.index import ImageIndex
from crackexp.data.pipeline import image_batches
from crackexp.training.config import TrainConfig

IMAGES = 1000
VIEWS = 5
BATCH = 64
SMALL = 8
BUDGET = 4e9


def seconds(index: ImageIndex, size: int, augmentation: Augmentation, cache: ImageCache | None) -> list[float]:
    """Returns how long each of the views of all images took."""
    taken = []
    for number in range(VIEWS):
        started = time.perf_counter()
        for _ in image_batches(index, size, BATCH, View(augmentation, 0, number), cache):
            pass
        taken.append(time.perf_counter() - started)
    return taken


def rates(index: ImageIndex, size: int, augmentation: Augmentation, folder: Path) -> dict[str, float]:
    """Returns views a second without a cache, of the first view with one, and of the others; the best of each."""
    without = seconds(index, size, augmentation, None)
    first, *others = seconds(index, size, augmentation, ImageCache(size, folder, BUDGET))
    return {
        "decoded each time": len(index) / min(without[1:]),
        "first view, which fills the cache": len(index) / first,
        "further views": len(index) / min(others),
    }


def work(place: int, together: Barrier, given: tuple[Any, ...], results: Any) -> None:
    """Measures one process on one core, at the same time as the others."""
    os.sched_setaffinity(0, {cores()[place]})
    index, size, augmentation, folder = given
    seconds(index.subset(np.arange(BATCH)), size, augmentation, None)
    together.wait()
    results.put(rates(index, size, augmentation, folder / str(place)))


def processes(count: int, given: tuple[Any, ...]) -> dict[str, float]:
    """Returns the rates of `count` processes together, of one core each."""
    context = multiprocessing.get_context("spawn")
    together, results = context.Barrier(count), context.Queue()
    started = [context.Process(target=work, args=(place, together, given, results)) for place in range(count)]
    for process in started:
        process.start()
    found = [results.get() for _ in started]
    for process in started:
        process.join()
    return {name: sum(rate[name] for rate in found) for name in found[0]}


def cores() -> list[int]:
    return sorted(os.sched_getaffinity(0))


def main() -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        own = [f"paths.root={folder}", f"paths.cache={folder}", f"paths.output={folder}", "tracking=none"]
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            cfg = check(compose("train", [*sys.argv[1:], *own]), TrainConfig)
        index = instantiate(cfg.dataset).prepare()
        index = index.subset(np.arange(len(index))[:: max(len(index) // IMAGES, 1)][:IMAGES])
        augmentation = instantiate(cfg.augmentation)
        every = cores()
        counts = sorted({*(2**power for power in range(10) if 2**power < len(every)), len(every)})
        print(f"{len(index)} images, {cfg.image_size} px, {loky.cpu_count()} cores; views a second\n")
        print("| cores | images | threads | a core, of one core | processes | threads of processes |")
        print("|---:|---|---:|---:|---:|---:|")
        alone: dict[str, float] = {}
        for count in counts:
            os.sched_setaffinity(0, every[:count])
            threads = rates(index, cfg.image_size, augmentation, folder / f"threads-{count}")
            apart = processes(count, (index, cfg.image_size, augmentation, folder / f"processes-{count}"))
            alone = alone or threads
            for kind, rate in threads.items():
                share = rate / count / alone[kind]
                print(
                    f"| {count} | {kind} | {rate:,.0f} | {share:.0%} | {apart[kind]:,.0f} | {rate / apart[kind]:.0%} |"
                )
        small = rates(index, SMALL, augmentation, folder / "small")["further views"]
        print(f"\nOf {SMALL} px: {small:,.0f} views a second, which is about where Python's lock ends the growth.")


if __name__ == "__main__":
    main()
