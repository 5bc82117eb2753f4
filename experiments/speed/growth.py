"""Trains on ever more images, prints seconds and peak memory of each: python experiments/speed/growth.py [N ...]

The images are the drawn set over and over, each copy with a comment of its own, so that no two files are equal and
every one is decoded and embedded.
"""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from crackexp.data.sources import Synthetic

COUNTS = (4_000, 40_000, 400_000)
DRAWN = 4_000
JOB = ("+experiment=mobilenet", "image_size=64", "epochs=1", "augmentation.views=1", "tracking=none")
POLL_SECONDS = 0.05


def copies(count: int, folder: Path, drawn: Path) -> None:
    """Fills `folder` with `count` JPEG files, no two of them equal, from those of `drawn`, class by class."""
    sources = [(file.parent.name, file.stem, file.read_bytes()) for file in sorted(drawn.glob("*/*.jpg"))]
    for name in {name for name, _, _ in sources}:
        (folder / name).mkdir(parents=True)
    for number in range(count):
        name, stem, data = sources[number % len(sources)]
        comment = f"copy {number}".encode()
        marked = data[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + data[2:]
        (folder / name / f"{stem}-{number}.jpg").write_bytes(marked)


def memory(process: int) -> Counter[str]:
    """Returns the bytes that a process holds: of its own (RssAnon), and of files mapped into it (RssFile)."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except FileNotFoundError:
        return Counter()
    pairs = (line.split(":") for line in lines if line.startswith("Rss"))
    return Counter({name: int(value.split()[0]) * 1024 for name, value in pairs})


def measure(folder: Path, work: Path) -> tuple[float, Counter[str], dict[str, float]]:
    """Trains on `folder` from an empty cache; returns the seconds, the peak memory by kind, and the time budget."""
    environment = os.environ | {"CRACKEXP_CACHE": str(work / "cache")}
    command = [sys.executable, "-m", "crackexp.train", *JOB, "dataset=folder", f"dataset.path={folder}"]
    peak: Counter[str] = Counter()
    started = time.perf_counter()
    with (work / "log.txt").open("w") as log:
        process = subprocess.Popen(
            [*command, f"hydra.run.dir={work}/run"], cwd=work, env=environment, stdout=log, stderr=log
        )
        while process.poll() is None:
            peak |= memory(process.pid)
            time.sleep(POLL_SECONDS)
    seconds = time.perf_counter() - started
    if process.returncode:
        sys.exit(f"The training failed:\n{(work / 'log.txt').read_text()[-3000:]}")
    return seconds, peak, json.loads((work / "run" / "result.json").read_text())["seconds"]


def main() -> None:
    counts = [int(word.replace(",", "")) for word in sys.argv[1:]] or COUNTS
    print("| images | seconds | seconds per 1,000 | of these embedding | own memory, MB | mapped files, MB |")
    print("|---:|---:|---:|---:|---:|---:|")
    for count in counts:
        with TemporaryDirectory() as folder:
            work = Path(folder)
            drawn = Synthetic(
                name="synthetic",
                count=min(DRAWN, count),
                size=227,
                draw_seed=0,
                positive="Positive",
                limit=None,
                on_bad_file="error",
                cache=os.environ.get("CRACKEXP_CACHE", ".cache"),
            ).prepare()
            copies(count, work / "images", drawn.root)
            seconds, peak, budget = measure(work / "images", work)
        row = f"{seconds:.0f} | {1000 * seconds / count:.2f} | {1000 * budget['embed'] / count:.2f}"
        print(f"| {count:,} | {row} | {peak['RssAnon'] / 1e6:.0f} | {peak['RssFile'] / 1e6:.0f} |", flush=True)


if __name__ == "__main__":
    main()
