"""The whole measurement on a GPU, in one call of at most 8 minutes: python experiments/speed/gpu.py

The job is the recipe on 40,000 drawn images with fresh views in 5 epochs, by each precision from an empty store; then
the parts by themselves.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from crackexp.data.sources import Synthetic

COUNT = 40_000
PRECISIONS = ("float32", "tensorfloat32", "mixed_bfloat16")
TEXT: dict[str, Any] = {"capture_output": True, "text": True}
END_SECONDS = 420.0
"""After this many no other job is begun."""


def card() -> str:
    """Returns the name, memory and driver of the GPU; JAX stays out of this process, it would take all memory.

    Raises:
        SystemExit: there is none that JAX computes on.
    """
    backend = subprocess.run([sys.executable, "-c", "import jax; print(jax.default_backend())"], check=True, **TEXT)
    if backend.stdout.strip() != "gpu":
        sys.exit(f"JAX finds no GPU. Install crackexp[gpu]. Received: {backend.stdout.strip()}")
    asked = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    return subprocess.run(asked, check=True, **TEXT).stdout.strip()


def train(folder: Path, cache: Path, *words: str) -> tuple[float, dict[str, dict[str, float]]]:
    """Runs the job; returns the seconds of the process and what its ``result.json`` holds."""
    job = ["+experiment=mobilenet", f"dataset.count={COUNT}", f"paths.root={folder}", f"hydra.run.dir={folder}/run"]
    command = [sys.executable, "-m", "crackexp.train", *job, *words]
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ | {"CRACKEXP_CACHE": str(cache)})
    return time.perf_counter() - started, json.loads((folder / "run" / "result.json").read_text())


def main() -> None:
    begun = time.perf_counter()
    name = card()
    with TemporaryDirectory() as folder:
        cache = Path(folder) / "cache"
        started = time.perf_counter()
        Synthetic(
            name="synthetic",
            count=COUNT,
            size=227,
            draw_seed=0,
            positive="Positive",
            limit=None,
            on_bad_file="error",
            cache=str(cache),
        ).prepare()
        print(f"{name}, {os.cpu_count()} cores; {COUNT:,} images drawn in {time.perf_counter() - started:.0f} s\n")
        print("| precision | seconds | of these | images embedded a second | test accuracy | test log loss |")
        print("|---|---:|---|---:|---:|---:|", flush=True)
        for precision in PRECISIONS:
            if time.perf_counter() - begun > END_SECONDS:
                print(f"| {precision} | not begun: time is up | | | | |")
                continue
            seconds, result = train(Path(folder), cache, f"trainer.precision={precision}")
            metrics = result["metrics"]
            spent = ", ".join(f"{part} {taken:.1f}" for part, taken in result["seconds"].items() if taken >= 0.5)
            rate = f"{metrics['time/embedded_images_per_second']:,.0f}"
            scores = f"{metrics['test/accuracy']:.4f} | {metrics['test/log_loss']:.5f}"
            print(f"| {precision} | {seconds:.1f} | {spent} | {rate} | {scores} |", flush=True)
        if time.perf_counter() - begun < END_SECONDS:
            print(flush=True)
            parts = [sys.executable, str(Path(__file__).with_name("parts.py"))]
            subprocess.run(parts, check=True)


if __name__ == "__main__":
    main()
