"""A sweep of 27 trials beside three of them that are run alone, each from an empty cache.

python experiments/speed/cells.py PATCHES [OVERRIDE ...]

PATCHES holds a folder for each class. The sweep is `+sweep=ratio_size_dropout`: three splits, three image sizes and
three dropouts. The runs alone are its last trial of each image size: a sweep costs at least what these cost, since each
has embeddings of its own. A trial is warm if all embeddings that it needs are stored. Overrides go to every run.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from common import machine, spread, table, timed

SIZES = (96, 160, 224)
"""The image sizes of the sweep."""
ALONE = ("split.ratio=[0.7,0.2,0.1]", "dropout=0.5")
"""The overrides of the runs alone but for the image size."""


def train(arguments: list[str], folder: Path) -> float:
    """Runs a training or a sweep in `folder`, with the cache there, and returns its seconds."""
    env = dict(os.environ) | {"CRACKEXP_CACHE": str(folder / "cache")}
    seconds, _ = timed([sys.executable, "-m", "crackexp.train", *arguments], env, folder)
    return seconds


def trials(folder: Path) -> list[dict[str, Any]]:
    """Returns what each trial of a sweep in `folder` left: its seconds, those of its sections, and its metrics."""
    outcomes = []
    for file in folder.glob("*/cell.json"):
        result = json.loads(file.with_name("result.json").read_text())
        outcomes.append({**result, "process": json.loads(file.read_text())["seconds"]})
    return outcomes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patches", type=Path)
    parser.add_argument("overrides", nargs="*")
    args = parser.parse_args()
    patches = args.patches.resolve()
    count = sum(file.stat().st_size > 0 for file in patches.glob("*/*") if file.is_file())
    job = ["+experiment=mobilenet", "dataset=folder", f"dataset.path={patches}", *args.overrides]
    alone = []
    for size in SIZES:
        with TemporaryDirectory() as folder:
            alone.append(train([*job, *ALONE, f"image_size={size}"], Path(folder)))
    with TemporaryDirectory() as folder:
        place = Path(folder, "sweep")
        sweep = train([*job, "-m", "+sweep=ratio_size_dropout", f"hydra.sweep.dir={place}"], Path(folder))
        done = trials(place)
    warm = [trial for trial in done if not trial["metrics"]["time/embedded_images"]]
    print(f"{machine()}; {count} images\n")
    rows = [[f"{size} px alone, cold", f"{seconds:.1f}"] for size, seconds in zip(SIZES, alone, strict=True)]
    rows.append([f"sweep of {len(done)} trials", f"{sweep:.1f}"])
    rows.append(["sweep / sum of the three", f"{sweep / sum(alone):.2f}"])
    rows.append([f"a warm trial, of {len(warm)}", spread([trial["process"] for trial in warm], 2)])
    print(table(["job", "seconds"], rows))
    sections = list(warm[0]["seconds"])
    parts = ((name, median(trial["seconds"].get(name, 0.0) for trial in warm)) for name in sections)
    print("\nA warm trial:", ", ".join(f"{name} {seconds:.2f}" for name, seconds in parts))


if __name__ == "__main__":
    main()
