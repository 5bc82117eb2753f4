"""What each part of experiment=robust is worth: it is left out, and the model judged where it has never been.

CRACKEXP_SITES=SITES python experiments/robust/redo.py PATCHES [--seeds 3] [--only TEXT ...] [--plain]

PATCHES is a folder with a folder for each class, and SITES holds the sets of evaluation=unseen. With --plain, patches
are not judged relative to their photo.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

ROBUST = ["+experiment=robust"]
VARIANTS = {
    "`mobilenet`": ["+experiment=mobilenet"],
    "`robust`": ROBUST,
    "without drawn patches": [*ROBUST, "mix=[]"],
    "hairlines on plain surfaces instead": [*ROBUST, "mix=[{synthetic:{count:3000,draw_seed:5,cracks:thin}}]"],
    "plain cracks on varied surfaces": [*ROBUST, "mix=[{synthetic:{count:6000,draw_seed:5,surfaces:varied}}]"],
    "`head=pooled`": [*ROBUST, "head=pooled"],
    "the last layer": [*ROBUST, "backbone.output_layer=null"],
    "without dropout and label smoothing": [*ROBUST, "dropout=0", "loss.label_smoothing=0"],
    "with `augmentation=surface`": [*ROBUST, "augmentation=surface"],
    "224 px": [*ROBUST, "image_size=224"],
    "96 px": [*ROBUST, "image_size=96"],
    "at a constant rate": [*ROBUST, "callbacks=default"],
    "at a constant rate, weights averaged": [
        *ROBUST,
        "callbacks=default",
        "+optimizer.use_ema=true",
        "+optimizer.ema_momentum=0.98",
    ],
    "then fine-tuned": [
        *ROBUST,
        "trainer=finetune",
        "trainer.unfreeze_from=block_10_expand",
        "trainer.epochs=3",
        "trainer.learning_rate=1e-4",
    ],
    "`mobilenet`, then fine-tuned": ["+experiment=mobilenet", "trainer=finetune", "trainer.learning_rate=1e-4"],
    "`small_cnn` from nothing, 96 px": [
        "+experiment=mobilenet",
        "backbone=small_cnn",
        "trainer=scratch",
        "image_size=96",
        "optimizer.learning_rate=1e-3",
    ],
}
SETS = ("sdnet2018-sample", "sdnet2018-dev", "uav-ground-dev", "mean")
COLUMNS = {
    **{f"ROC AUC, {name}": f"also/{name}/roc_auc" for name in SETS},
    **{f"recall, {name}": f"also/{name}/recall_at_fpr_5" for name in SETS},
    "own test": "test/accuracy",
    "corrupted": "corruption/mean/accuracy",
}
CORRUPTED = "evaluation.corruptions=[blur,noise,jpeg,dark,bright,far,near,rotation,shadow,joint]"


def run(patches: Path, words: list[str], seed: int, relative: bool) -> dict[str, float]:
    """Returns the metrics of one run, of the first seed also under corruptions."""
    with TemporaryDirectory() as folder:
        job = ["dataset=folder", f"dataset.path={patches}", f"seed={seed}", "tracking=none", f"hydra.run.dir={folder}"]
        suite = ["evaluation=unseen", "evaluation.resamples=200", f"evaluation.relative_to_photo={relative}"]
        suite += [] if seed else [CORRUPTED]
        command = [sys.executable, "-m", "crackexp.train", *words, *suite, *job]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        metrics: dict[str, float] = json.loads((Path(folder) / "result.json").read_text())["metrics"]
        return metrics


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patches", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=list(VARIANTS), metavar="TEXT")
    parser.add_argument("--plain", action="store_true")
    args = parser.parse_args()
    seeds = range(args.seeds)
    print(f"| variant | {' | '.join(COLUMNS)} | seconds |\n|---|{'---|' * (len(COLUMNS) + 1)}")
    for name in args.only:
        begun = time.perf_counter()
        found = [run(args.patches.resolve(), VARIANTS[name], seed, not args.plain) for seed in seeds]
        cells = []
        for key in COLUMNS.values():
            values = [metrics[key] for metrics in found if key in metrics]
            spread = f" ({min(values):.3f} to {max(values):.3f})" if len(values) > 1 else ""
            cells.append(f"{np.mean(values):.3f}{spread}" if values else "")
        print(f"| {name} | {' | '.join(cells)} | {(time.perf_counter() - begun) / len(seeds):.0f} |", flush=True)


if __name__ == "__main__":
    main()
