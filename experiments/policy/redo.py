"""Whether a promised recall is kept, and what 50 patches of a site are worth.

Type: python experiments/policy/redo.py RUN_ID PATCHES SDNET2018, where the run's mlruns lies; PATCHES as in training.
"""

import sys
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from sklearn.metrics import f1_score, log_loss

from crackexp.data.classes.decisions import Classes, Thresholds
from crackexp.data.pipeline import image_batches
from crackexp.data.sources import ImageFolder, Sdnet2018
from crackexp.evaluation.policy import Policy, threshold_for_recall
from crackexp.inference.engine import Inference, computing
from crackexp.tracking.models import load

STORE = f"sqlite:///{Path('mlruns/mlflow.db').resolve()}"
REPEATS, DRAWS, PATCHES = 200, 20, 50
CLASSES = Classes(("sound", "crack"), ("crack",))


def promises(said: dict[str, np.ndarray], labels: dict[str, np.ndarray], recall: float, confidence: float) -> None:
    """Prints what recall a threshold from resampled val images has on resampled test images, and elsewhere."""
    rng = np.random.default_rng(0)
    cracks = {name: said[name][labels[name] == 1] for name in said}
    sound = {name: said[name][labels[name] == 0] for name in said}
    found: dict[str, list[float]] = {"test": [], "false alarms": [], "sdnet": [], "sdnet false alarms": []}
    for _ in range(REPEATS):
        val, test, quiet = (rng.choice(part, len(part)) for part in (cracks["val"], cracks["test"], sound["test"]))
        threshold = threshold_for_recall(val, recall, confidence)
        found["test"].append(np.mean(test >= threshold))
        found["false alarms"].append(np.mean(quiet >= threshold))
        found["sdnet"].append(np.mean(cracks["sdnet"] >= threshold))
        found["sdnet false alarms"].append(np.mean(sound["sdnet"] >= threshold))
    kept = np.mean(np.array(found["test"]) >= recall)
    cells = [f"{np.mean(values):.3f} ({np.min(values):.3f} to {np.max(values):.3f})" for values in found.values()]
    print(f"| {recall} | {confidence} | {kept:.0%} | {' | '.join(cells)} |", flush=True)


def sites(crack: np.ndarray, labels: np.ndarray, photos: np.ndarray, among: str) -> None:
    """Prints F1 and log loss on other photos before and after a fit to `PATCHES` patches, over `DRAWS` draws."""
    rng = np.random.default_rng(0)
    policy, surfaces = Policy(True, None, None, 0.95), np.array([photo.split("/")[0] for photo in photos])
    both = np.stack([1 - crack, crack], axis=1)
    rows = []
    while len(rows) < DRAWS:
        scope = np.ones(len(crack), bool) if among == "all surfaces" else surfaces == rng.choice(np.unique(surfaces))
        names = rng.permutation(np.unique(photos[scope]))
        own = np.isin(photos, names[: 3 if among == "all surfaces" else 1])
        rest = scope & ~own
        drawn = rng.choice(np.flatnonzero(own), PATCHES, replace=False)
        if labels[drawn].sum() < 5:
            continue
        fitted = policy.fit_site(labels[drawn], both[drawn], CLASSES)
        after = fitted.calibrated(both)[:, 1]
        decided = crack[rest] >= Thresholds().crack, after[rest] >= fitted.thresholds.crack
        f1 = [f1_score(labels[rest], one) for one in decided]
        losses = [log_loss(labels[rest], one[rest]) for one in (crack, after)]
        rows.append([*f1, f1[1] > f1[0], *losses, losses[1] < losses[0]])
    table = np.array(rows, float)
    before, after, better, loss, new_loss, lower = table.mean(axis=0)
    ends = [f"{table[:, k].min():.3f} to {table[:, k].max():.3f}" for k in (0, 1)]
    print(
        f"| {among} | {before:.3f} ({ends[0]}) | {after:.3f} ({ends[1]}) | {better * DRAWS:.0f} of {DRAWS} "
        f"| {loss:.3f} | {new_loss:.3f} | {lower * DRAWS:.0f} of {DRAWS} |",
        flush=True,
    )


def main() -> None:
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    run_id, patches, sdnet = sys.argv[1:]
    cache = str(Path(".cache").resolve())
    given = {"limit": None, "on_bad_file": "error", "cache": cache}
    model = load(run_id, STORE, "model")
    manifest = pd.read_csv(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="data/manifest.csv"))
    parts = dict(zip(manifest["digest"], manifest["split"], strict=True))
    own = ImageFolder(name="own", positive=model.classes.positives, path=patches, **given).prepare()
    split = np.array([parts[digest] for digest in own.digests])
    surfaces = ["decks", "pavements", "walls"]
    elsewhere = Sdnet2018(
        name="sdnet", positive="cracked", path=sdnet, archive=None, surfaces=surfaces, **given
    ).prepare()
    indexes = {name: own.subset(split == name) for name in ("val", "test")} | {"sdnet": elsewhere}
    network = Inference(computing(model.classifier))
    said, labels = {}, {}
    for name, index in indexes.items():
        index = index.relabel(model.classes)
        batches = image_batches(index, model.image_size, network.batch_size)
        said[name] = model.classes.probability(network.predict(batches, len(index), name))
        labels[name] = index.damaged.astype(int)

    print("| asked | confidence | kept on test | recall | false alarms | recall, SDNET2018 | false alarms there |")
    print("|---|---|---|---|---|---|---|")
    for recall, confidence in ((0.99, 0.95), (0.99, 0.5), (0.97, 0.95)):
        promises(said, labels, recall, confidence)
    print(
        "\n| photos | F1 before | F1 after | better | log loss before | after | lower |\n|---|---|---|---|---|---|---|"
    )
    assert elsewhere.groups is not None
    for among in ("all surfaces", "one surface"):
        sites(said["sdnet"].astype(np.float64), labels["sdnet"], elsewhere.groups, among)


if __name__ == "__main__":
    main()
