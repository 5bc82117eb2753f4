"""Which setting lost least, and which the items and the noise of training cannot tell from it."""

from dataclasses import dataclass

import numpy as np

from crackexp.comparison.design import Layout
from crackexp.comparison.differences import (
    Pairs,
    all_pairs,
    mcnemar,
    resampled_deviations,
)
from crackexp.comparison.noise import TrainingNoise, noise_draws


@dataclass(frozen=True)
class Verdicts:
    """The settings against the best of them.

    Attributes:
        best: row of the best setting.
        p: (settings,) that the setting differs from the best one, adjusted for all pairs; 1 for the best.
        worse: (settings,) bool, p < 1 - level.
        pairs: of all settings.
        noise: of training.
        deviations: (resamples, settings), of the mean losses, noise of training included.
    """

    best: int
    p: np.ndarray
    worse: np.ndarray
    pairs: Pairs
    noise: TrainingNoise
    deviations: np.ndarray


def judge(
    losses: np.ndarray,
    layout: Layout,
    noise: TrainingNoise,
    cost: np.ndarray,
    level: float,
    resamples: int,
    rng: np.random.Generator,
    grain: float,
    groups: int | None = None,
) -> Verdicts:
    """Chooses the best setting and tests the others against it.

    The variance of a difference is that over items plus that of training. Where losses are 0 and 1, a setting
    counts as worse only if the exact McNemar test of this pair alone says so too; of two settings whose noise of
    training is not known, this test alone decides.

    Where units are groups they are few, and the variance over them is a guess: draws get the tails of Student's t, all
    settings by one factor (Cameron and Miller 2015, "A Practitioner's Guide to Cluster-Robust Inference", Journal of
    Human Resources 50, 317-372, section VI).

    Args:
        losses: (units, settings) float64, the means over the cells of each setting.
        layout: of the cells.
        noise: of their training.
        cost: (settings,) float; of settings with equal loss the one of least cost is the best.
        level: confidence in (0, 1).
        resamples: of the items.
        rng: the stream that is drawn from.
        grain: loss of one wrong item; 0 for losses without grain.
        groups: number of units, where these are groups of items, such as photos.
    """
    means = losses.mean(axis=0)
    best = int(np.lexsort((np.nan_to_num(cost, nan=np.inf), means.round(12)))[0])
    deviations = resampled_deviations(losses, resamples, rng)
    if groups:
        deviations *= np.sqrt(groups / rng.chisquare(max(groups - 1, 1), (resamples, 1)))
    if noise.dof:
        deviations += noise_draws(noise, layout, resamples, rng)
    share = noise.variance / layout.repeats
    pairs = all_pairs(losses, deviations, share[:, None] + share, level, grain)
    p = against(losses, pairs, best, noise)
    return Verdicts(best, p, p < 1 - level, pairs, noise, deviations)


def against(losses: np.ndarray, pairs: Pairs, one: int, noise: TrainingNoise) -> np.ndarray:
    """Returns the p-values (m,) of all columns of `losses` against the column `one`; 1 for itself.

    Those of `pairs`, and of losses of 0 and 1 no smaller than McNemar's; of two such columns without a known
    noise of training, McNemar's.
    """
    p = pairs.p[one].copy()
    if np.isin(losses, (0.0, 1.0)).all():
        exact = mcnemar(losses, one)
        p = exact if len(p) == 2 and not noise.dof else np.maximum(p, exact)
    p[one] = 1.0
    return p
