"""How often a configuration is called worse where configurations differ by luck with a photo alone.

Type: python experiments/false_winners/photos.py [REPEATS]
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from crackexp.comparison.comparison import Trial, compare
from crackexp.data.index import ImageIndex
from crackexp.evaluation.tables import predictions_table

NAMES = ("sound", "cracked")
STRAY = 0.6
"""Standard deviation of the logarithm of an error rate: over the photos of one configuration."""


def draw(rng: np.random.Generator, photos: int, patches: int, errors: float, configurations: int) -> list[Trial]:
    """Returns trials that err on a photo at a rate of their own; some photos are hard for all."""
    photo = np.repeat(np.arange(photos), rng.integers(patches // 2, patches * 3 // 2, photos))
    labels, keys = np.arange(len(photo)) % 2, np.arange(len(photo)).astype(str)
    hard = errors * np.exp(0.5 * rng.standard_normal(photos))
    trials = []
    for number in range(configurations):
        rates = np.minimum(hard * np.exp(STRAY * rng.standard_normal(photos)), 0.9)
        wrong = rng.random(len(photo)) < rates[photo]
        probabilities = np.eye(2)[np.where(wrong, 1 - labels, labels)] * 0.8 + 0.1
        index = ImageIndex(Path(), keys, labels, keys, NAMES, NAMES[1:], groups=photo.astype(str))
        table = predictions_table(index, probabilities)
        trials.append(Trial(str(number), f"configuration {number}", {"number": number}, {}, table, 1.0, 1))
    return trials


def main() -> None:
    if len(sys.argv) > 2:
        sys.exit(__doc__)
    repeats = int(sys.argv[1]) if len(sys.argv) == 2 else 300
    print(
        "| photos | patches a photo | errors | configurations | over images | over photos |\n"
        "|---:|---:|---:|---:|---:|---:|"
    )
    for photos, patches, errors in ((3, 200, 0.1), (7, 240, 0.15), (20, 40, 0.05), (100, 20, 0.01)):
        for configurations in (2, 6):
            rng = np.random.default_rng(0)
            claims = {"images": 0, "photos": 0}
            for _ in range(repeats):
                trials = draw(rng, photos, patches, errors, configurations)
                plain = [replace(trial, predictions=trial.predictions.drop(columns="group")) for trial in trials]
                for over, compared in (("images", plain), ("photos", trials)):
                    table = compare(compared, resamples=2000).table
                    claims[over] += bool((table["verdict"] == "worse").any())
            shares = " | ".join(f"{100 * count / repeats:.1f}" for count in claims.values())
            print(f"| {photos} | {patches} | {errors:.0%} | {configurations} | {shares} |", flush=True)


if __name__ == "__main__":
    main()
