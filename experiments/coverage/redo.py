"""How often intervals hold the truth near a perfect score, on few images and many.

Type: python experiments/coverage/redo.py
"""

import numpy as np
from scipy.stats import norm

from crackexp.metrics import STANDARD, Bootstrap, Predictions
from crackexp.metrics.evaluation import Resampled
from crackexp.metrics.intervals import percentile_interval

AREAS, LEVEL, DRAWS, RESAMPLES = (0.95, 0.99, 0.9999), 0.95, 400, 400
SIZES = ((13, 0.5), (40, 0.5), (400, 0.5), (400, 0.05))
"""Images, and the share of them that is cracked."""
NAMES = ("accuracy", "recall", "roc_auc", "average_precision", "recall_at_fpr_5", "fpr_at_recall_95", "brier")
WHOLE = 400_000
"""Images that the truth is taken from."""
FEW = 20
"""Perfect draws below which their share is not told."""


def draw(
    area: float, mislabelled: float, labels: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draws normal scores whose ROC curve has this area, as calibrated probabilities, and the labels as given.

    Args:
        area: of labels without a mistake.
        mislabelled: share of the images whose label is wrong.
        labels: (n,) 0 or 1, true.
        rng: the stream that is drawn from.
    """
    distance = np.sqrt(2) * norm.ppf(area)
    odds = distance * (rng.normal(size=len(labels)) + distance * (labels - 0.5))
    crack = 1 / (1 + np.exp(-odds))
    given = np.where(rng.random(len(labels)) < mislabelled, 1 - labels, labels)
    return given, np.stack([1 - crack, crack], axis=1)


def composed(images: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """Returns shuffled labels of which `share` is 1."""
    return rng.permutation((np.arange(images) < round(share * images)).astype(int))


def study(area: float, mislabelled: float, images: int, share: float) -> None:
    """Prints how often percentiles of the bootstrap held the truth, how often the intervals, and their mean width."""
    rng = np.random.default_rng(0)
    labels, said = draw(area, mislabelled, composed(WHOLE, share, rng), rng)
    whole = Predictions(labels, said, 1)
    truth = {name: STANDARD[name].compute(whole) for name in NAMES}
    held = {kind: dict.fromkeys(NAMES, 0) for kind in ("before", "now", "perfect")}
    width, perfect = dict.fromkeys(NAMES, 0.0), 0
    for trial in range(DRAWS):
        labels, said = draw(area, mislabelled, composed(images, share, rng), rng)
        judged = Resampled(Predictions(labels, said, 1), Bootstrap(trial, LEVEL, RESAMPLES))
        found = judged.intervals()
        perfect += found["roc_auc"].value == 1
        for name in NAMES:
            before = percentile_interval(judged.value[name], judged.samples[name], LEVEL)
            now = found[name]
            held["before"][name] += before.low <= truth[name] <= before.high
            holds = now.low <= truth[name] <= now.high
            held["now"][name] += holds
            held["perfect"][name] += holds and found["roc_auc"].value == 1
            width[name] += (now.high - now.low) / DRAWS
    cells = [
        f"{100 * held['before'][name] / DRAWS:.0f} / {100 * held['now'][name] / DRAWS:.0f} ({width[name]:.3f})"
        for name in NAMES
    ]
    curves = NAMES[2:6]
    least = f"{100 * min(held['perfect'][name] for name in curves) / perfect:.0f} %" if perfect >= FEW else "few"
    drawn = f"{area}{', 1 % mislabelled' if mislabelled else ''}"
    first = f"| {drawn} | {images:,} | {share:.0%} | {100 * perfect / DRAWS:.0f} % | {least} | "
    print(first + " | ".join(cells) + " |", flush=True)


def main() -> None:
    print("| area | images | cracked | perfect draws | held, of these | " + " | ".join(NAMES) + " |")
    print("|---" * (5 + len(NAMES)) + "|")
    for mislabelled in (0.0, 0.01):
        for area in AREAS:
            for images, share in SIZES:
                study(area, mislabelled, images, share)


if __name__ == "__main__":
    main()
