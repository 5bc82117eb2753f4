"""The best configuration, and those that the items and the noise of training cannot tell from it."""

from dataclasses import dataclass

import numpy as np

from crackexp.comparison.design import ExperimentalDesign
from crackexp.comparison.differences import (
    Pairs,
    all_pairs,
    mcnemar,
    resampled_deviations,
)
from crackexp.comparison.noise import TrainingNoise, noise_draws


@dataclass(frozen=True)
class Verdicts:
    """The tests of the configurations against the best of them.

    Attributes:
        best: The row of the best configuration.
        p: The p-value of "the configuration equals the best one", (configurations,), adjusted for all pairs. It is 1
            for the best one.
        worse: Whether p < 1 - level, (configurations,) bool.
        pairs: The pairs of all configurations.
        noise: The noise of training.
        deviations: The deviations of the mean losses, (resamples, configurations), with the noise of training.
    """

    best: int
    p: np.ndarray
    worse: np.ndarray
    pairs: Pairs
    noise: TrainingNoise
    deviations: np.ndarray


def judge(
    losses: np.ndarray,
    design: ExperimentalDesign,
    noise: TrainingNoise,
    cost: np.ndarray,
    level: float,
    resamples: int,
    rng: np.random.Generator,
    grain: float,
    groups: int | None = None,
) -> Verdicts:
    """Chooses the best configuration and tests the others against it.

    The variance of a difference is the variance over items plus that of training. Where losses are 0 and 1, a
    configuration counts as worse only if the exact McNemar test of this pair alone agrees. Where there are two
    configurations and the noise of training is not known, McNemar's test alone decides.

    Groups of items, such as photos, are few, so the variance over them is poorly known. The draws then get the tails of
    Student's t by one factor for all configurations (Cameron and Miller 2015, "A Practitioner's Guide to Cluster-Robust
    Inference", Journal of Human Resources 50, 317-372, section VI).

    Args:
        losses: The losses, (units, configurations) float64, means over the trials of each configuration.
        design: The design of the trials.
        noise: The noise of their training.
        cost: The cost of each configuration, (configurations,) float. Of configurations with equal loss, the one with
            the least cost is the best.
        level: The confidence in (0, 1).
        resamples: The number of resamples of the items.
        rng: The random generator that draws the resamples.
        grain: The loss of one wrong item; 0 for losses that can have any value.
        groups: The number of units, where units are groups of items; else None.
    """
    means = losses.mean(axis=0)
    best = int(np.lexsort((np.nan_to_num(cost, nan=np.inf), means.round(12)))[0])
    deviations = resampled_deviations(losses, resamples, rng)
    if groups:
        deviations *= np.sqrt(groups / rng.chisquare(max(groups - 1, 1), (resamples, 1)))
    if noise.dof:
        deviations += noise_draws(noise, design, resamples, rng)
    share = noise.variance / design.repeats
    pairs = all_pairs(losses, deviations, share[:, None] + share, level, grain)
    p = against(losses, pairs, best, noise)
    return Verdicts(best, p, p < 1 - level, pairs, noise, deviations)


def against(losses: np.ndarray, pairs: Pairs, reference: int, noise: TrainingNoise) -> np.ndarray:
    """Returns the p-values (m,) of all columns of `losses` against the column `reference`, whose own value is 1.

    They are those of `pairs`. For losses of 0 and 1, none is smaller than the p-value of McNemar's test; where there
    are two such columns and the noise of training is not known, they are those of McNemar's test.
    """
    p = pairs.p[reference].copy()
    if np.isin(losses, (0.0, 1.0)).all():
        exact = mcnemar(losses, reference)
        p = exact if len(p) == 2 and not noise.dof else np.maximum(p, exact)
    p[reference] = 1.0
    return p
