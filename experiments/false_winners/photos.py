"""How often a setting is called worse where settings differ by luck with a photo alone.

Type: python experiments/false_winners/photos.py [REPEATS]
"""

import sys
from dataclasses import replace

import numpy as np

from crackexp.comparison.comparison import Cell, compare
from crackexp.evaluation.tables import predictions_table

NAMES = ["sound", "cracked"]
STRAY = 0.6
"""Standard deviation of the logarithm of an error rate: over the photos of one setting."""


def draw(rng: np.random.Generator, photos: int, patches: int, errors: float, settings: int) -> list[Cell]:
    """Returns cells that err on a photo at a rate of their own; some photos are hard for all."""
    photo = np.repeat(np.arange(photos), rng.integers(patches // 2, patches * 3 // 2, photos))
    labels, keys = np.arange(len(photo)) % 2, np.arange(len(photo)).astype(str)
    hard = errors * np.exp(0.5 * rng.standard_normal(photos))
    cells = []
    for number in range(settings):
        rates = np.minimum(hard * np.exp(STRAY * rng.standard_normal(photos)), 0.9)
        wrong = rng.random(len(photo)) < rates[photo]
        probabilities = np.eye(2)[np.where(wrong, 1 - labels, labels)] * 0.8 + 0.1
        table = predictions_table(keys, keys, labels, probabilities, NAMES, 1, photo.astype(str))
        cells.append(Cell(str(number), f"setting {number}", {"number": number}, {}, table, 1.0, 1))
    return cells


def main() -> None:
    if len(sys.argv) > 2:
        sys.exit(__doc__)
    repeats = int(sys.argv[1]) if len(sys.argv) == 2 else 300
    print(
        "| photos | patches a photo | errors | settings | over images | over photos |\n|---:|---:|---:|---:|---:|---:|"
    )
    for photos, patches, errors in ((3, 200, 0.1), (7, 240, 0.15), (20, 40, 0.05), (100, 20, 0.01)):
        for settings in (2, 6):
            rng = np.random.default_rng(0)
            claims = {"images": 0, "photos": 0}
            for _ in range(repeats):
                cells = draw(rng, photos, patches, errors, settings)
                plain = [replace(cell, predictions=cell.predictions.drop(columns="group")) for cell in cells]
                for over, compared in (("images", plain), ("photos", cells)):
                    table = compare(compared, resamples=2000).table
                    claims[over] += bool((table["verdict"] == "worse").any())
            shares = " | ".join(f"{100 * count / repeats:.1f}" for count in claims.values())
            print(f"| {photos} | {patches} | {errors:.0%} | {settings} | {shares} |", flush=True)


if __name__ == "__main__":
    main()
