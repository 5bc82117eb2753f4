"""How much of the list of suspected labels is wrong, where labels were flipped on purpose, and how many it misses.

Type: CRACKEXP_REAL_DATA=FOLDER python experiments/audit_labels/redo.py NAME..., where a NAME is mendeley, sdnet2018 or
drawn.
"""

import os
import sys
import time
from pathlib import Path

import numpy as np

from crackexp.auditing.labels import out_of_fold, suspects, unrecognised
from crackexp.data.duplicates import find_duplicates
from crackexp.data.index import ImageIndex
from crackexp.data.pipeline import image_batches
from crackexp.data.sources import ImageFolder, Sdnet2018, Synthetic
from crackexp.data.splits.grouped_split import together
from crackexp.embeddings.embedder import Embedder
from crackexp.inference.compilation import set_precision
from crackexp.inference.engine import fastest_batch
from crackexp.models.backbone import Application

CACHE = Path(os.environ.get("CRACKEXP_CACHE", ".cache")).resolve()
SIZE = 160
SHARES = (0.0, 0.01, 0.03, 0.1)
RUNS = {
    "mendeley": {100: 5, 200: 5, 400: 5, 1000: 3, 2000: 2, 4000: 1},
    "drawn": {200: 5, 400: 3, 1000: 2},
    "sdnet2018": {1710: 1},
}
"""The number of seeds for each number of images; each seed draws other images, flips and folds."""


def prepared(name: str) -> ImageIndex:
    given = {"limit": None, "on_bad_file": "error", "cache": CACHE}
    if name == "drawn":
        drawn = Synthetic(name="synthetic", count=1000, size=227, draw_seed=0, positive="Positive", **given)
        return drawn.prepare()
    folder = Path(os.environ["CRACKEXP_REAL_DATA"])
    if name == "mendeley":
        return ImageFolder(name="mendeley", positive=None, path=folder / "mendeley-sample", **given).prepare()
    surfaces = ["decks", "pavements", "walls"]
    given |= {"path": folder / "sdnet2018-sample", "archive": None, "surfaces": surfaces}
    return Sdnet2018(name="sdnet2018", positive="cracked", **given).prepare()


def embedded(index: ImageIndex) -> np.ndarray:
    """Returns the embeddings of the images as ``crackexp audit`` computes and stores them."""
    set_precision("float32")
    backbone = Application(
        name="mobilenet_v2", weights="bundled", alpha=1.0, finetune_from="block_13_expand", output_layer=None
    )
    model = backbone.build(SIZE, 0)
    model.trainable = False
    embedder = Embedder(model, SIZE, fastest_batch(SIZE), CACHE, 20e9)
    table = embedder.embed(index, "plain", lambda part, batch: image_batches(part, SIZE, batch), "Embedding images")
    return np.asarray(table[:])


def drawn_rows(labels: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Returns equally many rows of each class, or all rows where `count` is their number."""
    if count == len(labels):
        return np.arange(count)
    parts = [rng.choice(np.flatnonzero(labels == label), count // 2, replace=False) for label in np.unique(labels)]
    return np.sort(np.concatenate(parts))


def scores(listed: list[np.ndarray], flipped: list[np.ndarray]) -> str:
    """Returns the cells of a table: how many were listed, precision and recall, over all seeds."""
    right = sum(int(np.isin(some, wrong).sum()) for some, wrong in zip(listed, flipped, strict=True))
    count, planted = sum(map(len, listed)), sum(map(len, flipped))
    precision = f"{right / count:.2f}" if count and planted else "-"
    recall = f"{right / planted:.2f}" if count and planted else "-"
    return f"{', '.join(str(len(some)) for some in listed)} | {precision} | {recall}"


def main() -> None:
    names = sys.argv[1:]
    if not names or set(names) - set(RUNS):
        sys.exit(__doc__)
    print("| images | flipped | seeds | listed | precision | recall | any other class: listed | precision | recall |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in names:
        index = prepared(name)
        groups = together(index, find_duplicates(index, CACHE), photos=True)
        rows, started = embedded(index), time.perf_counter()
        for count, seeds in RUNS[name].items():
            for share in SHARES:
                flipped, listed, differing, files = [], [], [], []
                for seed in range(seeds):
                    rng = np.random.default_rng(seed)
                    some = drawn_rows(index.labels, count, rng)
                    wrong = rng.choice(count, round(share * count), replace=False)
                    labels = index.labels[some]
                    labels[wrong] = 1 - labels[wrong]
                    probabilities = out_of_fold(rows[some], labels, groups[some], seed)
                    assert probabilities is not None
                    flipped.append(wrong)
                    judged = not len(unrecognised(labels, probabilities))
                    listed.append(suspects(labels, probabilities) if judged else np.empty(0, np.int64))
                    differing.append(np.flatnonzero(probabilities.argmax(axis=1) != labels))
                    files += index.files[some[listed[-1]]].tolist()
                cells = f"{scores(listed, flipped)} | {scores(differing, flipped)}"
                print(f"| {count:,} {name} | {share:.0%} | {seeds} | {cells} |", flush=True)
                if not share and files:
                    print(f"  listed: {', '.join(files)}", file=sys.stderr, flush=True)
        print(f"  {time.perf_counter() - started:.0f} s without embedding {name}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
