"""Counts how often a comparison of trials that differ in nothing declares a winner, and how often it finds a real one.

python experiments/false_winners/redo.py            drawn predictions
python experiments/false_winners/redo.py SWEEP_ID   predictions of a stored sweep whose trials differ in nothing
"""

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, roots_hermitenorm

from crackexp.comparison.comparison import Trial
from crackexp.comparison.design import ExperimentalDesign, read_design
from crackexp.comparison.differences import mcnemar
from crackexp.comparison.effects import level_means
from crackexp.comparison.items import share_items
from crackexp.comparison.noise import training_noise
from crackexp.comparison.verdicts import judge
from crackexp.utils.seeds import generator

LEVEL = 0.95
RESAMPLES = 1000
NULL_DRAWS, POWER_DRAWS, STORED_DRAWS = 500, 100, 400
HARDNESS = 3.0
"""Standard deviation of the images' hardness, log odds: the same few images are hard for every model."""

EFFECT = 1.0
"""Log odds of an error that a real effect adds, to a third of the configurations."""

DESIGNS = {
    "3 labels": [{"label": label} for label in range(3)],
    "9 labels": [{"label": label} for label in range(9)],
    "27 labels": [{"label": label} for label in range(27)],
    "3 x 3 x 3": [{"a": a, "b": b, "c": c} for a in range(3) for b in range(3) for c in range(3)],
    "3 labels x 3 seeds": [{"label": label, "seed": seed} for label in range(3) for seed in range(3)],
    "9 labels x 3 seeds": [{"label": label, "seed": seed} for label in range(9) for seed in range(3)],
}


@dataclass
class Claims:
    """How many of the comparisons claimed what."""

    draws: int = 0
    winner: int = 0
    worse: int = 0
    factor: int = 0
    naive: int = 0

    def add(self, losses: np.ndarray, design: ExperimentalDesign, rng: np.random.Generator) -> None:
        """Compares trials by their losses, (images, trials) of 0 and 1, as `compare` does."""
        trials = losses.shape[1]
        configurations = losses @ (np.eye(len(design.names))[design.member] / design.repeats)
        noise = training_noise(losses, design, np.zeros(trials, int), losses.mean(axis=0), rng)
        verdicts = judge(configurations, design, noise, np.zeros(len(design.names)), LEVEL, RESAMPLES, rng, grain=1.0)
        factors = level_means(configurations, design, verdicts, LEVEL, grain=1.0)
        naive = mcnemar(losses, int(losses.mean(axis=0).argmin()))
        self.draws += 1
        self.winner += verdicts.worse.sum() == len(verdicts.worse) - 1
        self.worse += verdicts.worse.any()
        self.factor += any(means.p < 1 - LEVEL for means in factors.values())
        self.naive += (naive < 1 - LEVEL).any()

    def shares(self) -> str:
        """Returns the columns of a table, in percent of the comparisons."""
        counts = (self.winner, self.worse, self.factor, self.naive)
        return " | ".join(f"{100 * count / self.draws:.1f}" for count in counts)


def design_of(configurations: Sequence[dict[str, int]]) -> ExperimentalDesign:
    """Returns the design of trials with these configurations."""
    return read_design([str(number) for number in range(len(configurations))], configurations)


def mean_hardness(error_rate: float) -> float:
    """Returns the mean of normal log odds of an error, of deviation `HARDNESS`, at which `error_rate` are wrong."""
    points, weights = roots_hermitenorm(80)
    weights /= weights.sum()
    return float(brentq(lambda mean: weights @ expit(mean + HARDNESS * points) - error_rate, -50, 10))


def drawn_losses(
    images: int, error_rate: float, seed_noise: float, shift: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Returns (images, trials) losses of trials whose log odds of an error differ by `shift` and by their seeds."""
    hardness = mean_hardness(error_rate) + HARDNESS * rng.standard_normal(images)
    trials = shift + seed_noise * rng.standard_normal(len(shift))
    return (rng.random((images, len(shift))) < expit(hardness[:, None] + trials)).astype(float)


def drawn() -> None:
    """Prints the table of drawn predictions."""
    print("| design | images | errors | seed noise | winner | any worse | any factor | naive | found: worse | factor |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name, configurations in DESIGNS.items():
        design = design_of(configurations)
        worst = design.levels.iloc[design.member, 0].to_numpy() >= len(design.levels.iloc[:, 0].unique()) * 2 // 3
        for images in (400, 4000):
            for error_rate in (0.005, 0.04):
                for seed_noise in (0.0, 0.5):
                    null, power = Claims(), Claims()
                    rng = generator(0, "false winners", name, images, str(error_rate), str(seed_noise))
                    for claims, shift, draws in (
                        (null, 0.0 * worst, NULL_DRAWS),
                        (power, EFFECT * worst, POWER_DRAWS),
                    ):
                        for _ in range(draws):
                            claims.add(drawn_losses(images, error_rate, seed_noise, shift, rng), design, rng)
                    found = f"{100 * power.worse / power.draws:.0f} | {100 * power.factor / power.draws:.0f}"
                    print(
                        f"| {name} | {images:,} | {error_rate:.1%} | {seed_noise} | {null.shares()} | {found} |",
                        flush=True,
                    )


def redrawn(losses: np.ndarray, rng: np.random.Generator) -> Iterator[tuple[str, np.ndarray]]:
    """Yields sets of trials that differ in nothing, made from those of an A/A sweep.

    Args:
        losses: (images, trials) of 0 and 1.
        rng: the stream that is drawn from.

    Yields:
        How it was made, and losses of the same shape: each image's outcomes dealt to the trials anew, which leaves
        no noise of training; the trials dealt to the configurations anew, which keeps it; trials and images drawn with
        replacement.
    """
    n, c = losses.shape
    yield "images dealt anew", rng.permuted(losses, axis=1)
    yield "trials dealt anew", losses[:, rng.permutation(c)]
    yield "trials and images resampled", losses[rng.integers(0, n, n)][:, rng.integers(0, c, c)]


def stored(trials: Sequence[Trial]) -> None:
    """Prints the table of a stored A/A sweep: of its trials as they are, and dealt to the designs that they fill."""
    names, tables = [trial.name for trial in trials], [trial.predictions for trial in trials]
    shared = share_items(names, tables, np.zeros(len(trials), int), ["one"] * len(trials), "accuracy")
    print(f"{len(trials)} trials, {shared.count} common test images, errors {shared.errors.astype(int).tolist()}\n")
    print("| design | made by | winner | any worse | any factor | naive |\n|---|---|---|---|---|---|")
    for name, configurations in DESIGNS.items():
        if len(configurations) > len(trials):
            continue
        design = design_of(configurations)
        claims: dict[str, Claims] = {}
        rng = generator(0, "false winners", "stored", name)
        for _ in range(STORED_DRAWS):
            chosen = shared.losses[:, rng.permutation(len(trials))[: len(configurations)]]
            for made, losses in redrawn(chosen, rng):
                claims.setdefault(made, Claims()).add(losses, design, rng)
        for made, counted in claims.items():
            print(f"| {name} | {made} | {counted.shares()} |", flush=True)


def read_trials(sweep: str) -> list[Trial]:
    """Returns the trials of a sweep in the store below this folder."""
    from hydra import compose, initialize_config_dir

    from crackexp.config.checking import instantiate
    from crackexp.config.options import conf_dir
    from crackexp.sweep.selection import select
    from crackexp.tracking.sweeps import SweepStore

    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = compose("compare", [f"runs=[{sweep}]", f"paths.root={Path.cwd()}"])
    return select(SweepStore(instantiate(config.tracking)), [sweep])[1]


def main() -> None:
    started = time.perf_counter()
    if len(sys.argv) > 2:
        sys.exit("Type: python experiments/false_winners/redo.py [SWEEP_ID]")
    if len(sys.argv) == 2:
        stored(read_trials(sys.argv[1]))
    else:
        drawn()
    print(f"\n{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
