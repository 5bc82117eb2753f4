"""Runs the author's recipe over five seeds on a folder of patches and prints a table of the results."""

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

SEEDS = range(5)


def run(patches: str, seed: int) -> dict[str, float]:
    """Returns the metrics of one run."""
    with TemporaryDirectory() as folder:
        job = ["+experiment=mobilenet", "dataset=folder", f"dataset.path={patches}", f"seed={seed}"]
        subprocess.run(
            [sys.executable, "-m", "crackexp.train", *job, f"hydra.run.dir={folder}", "tracking=none"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        metrics: dict[str, float] = json.loads((Path(folder) / "result.json").read_text())["metrics"]
        return metrics


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("Type: python experiments/seed_recipe/redo.py PATCHES (a folder with a folder for each class)")
    print("| seed | test accuracy | val accuracy | test log loss |\n|---|---|---|---|")
    for seed in SEEDS:
        metrics = run(sys.argv[1], seed)
        row = [f"{metrics[name]:.4f}" for name in ("test/accuracy", "val/accuracy", "test/log_loss")]
        print(f"| {seed} | {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
