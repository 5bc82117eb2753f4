"""The whole job, from the start of the process to its end: crackexp beside the author's notebook and PyTorch.

python experiments/speed/whole.py PATCHES [--rounds 3]

PATCHES holds a folder for each class. A round runs each job once, one after the other, each in new folders: crackexp
with nothing kept from before (cold), the same command once more (warm), the notebook in TensorFlow, the recipe in
PyTorch. All use the same images, pretrained weights and, but for chance, the same recipe.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from common import HERE, environment, last_json, machine, python_of, spread, table, timed

from crackexp.models.backbone import Application

WEIGHTS = "mobilenet_v2.h5"
Run = tuple[float, dict[str, Any]]
"""Seconds of a process, and what it says of itself: `seconds` by step, `test_accuracy`."""


def crackexp(patches: Path, folder: Path, name: str) -> Run:
    """Runs crackexp in `folder`, whose cache it shares with other runs there."""
    job = ["+experiment=mobilenet", "dataset=folder", f"dataset.path={patches}", f"hydra.run.dir={folder / name}"]
    env = dict(os.environ) | {"CRACKEXP_CACHE": str(folder / "cache")}
    seconds, _ = timed([sys.executable, "-m", "crackexp.train", *job], env, folder)
    result = json.loads((folder / name / "result.json").read_text())
    return seconds, {"seconds": result["seconds"], "test_accuracy": result["metrics"]["test/accuracy"]}


def peer(patches: Path, folder: Path, name: str, script: str) -> Run:
    """Runs a script in the environment of the peer `name`."""
    command = [python_of(name), str(HERE / script), str(patches), str(folder / WEIGHTS), str(folder / name)]
    seconds, printed = timed(command, environment(), folder)
    return seconds, last_json(printed)


JOBS: dict[str, Callable[[Path, Path], Run]] = {
    "crackexp, cold": lambda patches, folder: crackexp(patches, folder, "cold"),
    "crackexp, warm": lambda patches, folder: crackexp(patches, folder, "warm"),
}
PEERS: dict[str, dict[str, Callable[[Path, Path], Run]]] = {
    "tensorflow": {"notebook (TensorFlow)": lambda *folders: peer(*folders, "tensorflow", "notebook_peer.py")},
    "pytorch": {"PyTorch": lambda *folders: peer(*folders, "pytorch", "framework_peer.py")},
}


def read(patches: Path) -> int:
    """Reads every file, so that no job finds the disk colder than another; returns their number."""
    files = [file for file in patches.glob("*/*") if file.is_file()]
    for file in files:
        file.read_bytes()
    return len(files)


def rows(runs: dict[str, list[Run]]) -> list[list[str]]:
    """Returns the rows of the table of whole processes."""
    seconds = {name: [taken for taken, _ in done] for name, done in runs.items()}
    cold, warm = (median(seconds[f"crackexp, {state}"]) for state in ("cold", "warm"))
    return [
        [
            name,
            spread(seconds[name], 1),
            f"{median(seconds[name]) / cold:.2f}",
            f"{median(seconds[name]) / warm:.2f}",
            spread([said["test_accuracy"] for _, said in done], 4),
        ]
        for name, done in runs.items()
    ]


def step_rows(runs: dict[str, list[Run]]) -> list[list[str]]:
    """Returns the rows of the table of steps, as each job measures them itself."""
    return [
        [
            name,
            ", ".join(
                f"{step} {median(said['seconds'][step] for _, said in done):.1f}" for step in done[0][1]["seconds"]
            ),
        ]
        for name, done in runs.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patches", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    args = parser.parse_args()
    jobs = dict(JOBS)
    for name in args.peers:
        python_of(name)
        jobs |= PEERS[name]
    patches = args.patches.resolve()
    count = read(patches)
    backbone = Application("mobilenet_v2", weights="bundled").build(160, seed=0)
    runs: dict[str, list[Run]] = {name: [] for name in jobs}
    for _ in range(args.rounds):
        with TemporaryDirectory() as temporary:
            folder = Path(temporary)
            backbone.save(folder / WEIGHTS)
            for name, job in jobs.items():
                runs[name].append(job(patches, folder))
    print(f"{machine()}; {count} images, {args.rounds} rounds\n")
    print(table(["job", "seconds", "of cold", "of warm", "test accuracy"], rows(runs)))
    print()
    print(table(["job", "seconds of its steps"], step_rows(runs)))


if __name__ == "__main__":
    main()
