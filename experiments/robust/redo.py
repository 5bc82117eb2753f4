"""What each part of experiment=robust is worth: it is left out, and the model judged where it has never been.

Type: python experiments/robust/redo.py PATCHES SDNET2018 [SEEDS], PATCHES a folder with a folder for each class.
"""

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
    "without drawn hairlines": [*ROBUST, "mix=[]"],
    "plain drawn cracks instead": [*ROBUST, "mix=[{synthetic:{count:3000,draw_seed:5}}]"],
    "`head=pooled`": [*ROBUST, "head=pooled"],
    "the last layer": [*ROBUST, "backbone.output_layer=null"],
    "with label smoothing": [*ROBUST, "loss=categorical_crossentropy", "loss.label_smoothing=0.05"],
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
COLUMNS = {
    "ROC AUC": "also/sdnet2018/roc_auc",
    "recall at 5 % false alarms": "also/sdnet2018/recall_at_fpr_5",
    "own test": "test/accuracy",
    "corrupted": "corruption/mean/accuracy",
}


def run(patches: str, sdnet: str, words: list[str], seed: int, corrupted: bool) -> dict[str, float]:
    """Returns the metrics of one run."""
    with TemporaryDirectory() as folder:
        job = ["dataset=folder", f"dataset.path={patches}", f"seed={seed}", "tracking=none", f"hydra.run.dir={folder}"]
        also = [f"evaluation.also=[{{sdnet2018:{{path:{sdnet}}}}}]", "evaluation.resamples=200"]
        suite = ["evaluation=robust"] if corrupted else []
        command = [sys.executable, "-m", "crackexp.train", *words, *suite, *job, *also]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        metrics: dict[str, float] = json.loads((Path(folder) / "result.json").read_text())["metrics"]
        return metrics


def main() -> None:
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    seeds = range(int(sys.argv[3]) if len(sys.argv) == 4 else 3)
    print(f"| variant | {' | '.join(COLUMNS)} | seconds |\n|---|{'---|' * (len(COLUMNS) + 1)}")
    for name, words in VARIANTS.items():
        begun = time.perf_counter()
        found = [run(*sys.argv[1:3], words, seed, seed == 0) for seed in seeds]
        cells = []
        for key in COLUMNS.values():
            values = [metrics[key] for metrics in found if key in metrics]
            spread = f" ({min(values):.3f} to {max(values):.3f})" if len(values) > 1 else ""
            cells.append(f"{np.mean(values):.3f}{spread}" if values else "")
        print(f"| {name} | {' | '.join(cells)} | {(time.perf_counter() - begun) / len(seeds):.0f} |", flush=True)


if __name__ == "__main__":
    main()
