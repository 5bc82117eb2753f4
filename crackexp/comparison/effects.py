"""The effect of each factor of a sweep, on average over the other factors."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import norm

from crackexp.comparison.design import ExperimentalDesign, in_order
from crackexp.comparison.differences import all_pairs, holm
from crackexp.comparison.noise import main_effects_matrix
from crackexp.comparison.verdicts import Verdicts, against


@dataclass(frozen=True)
class LevelMeans:
    """The mean loss at each level of a factor.

    Attributes:
        levels: The levels in order, (l,).
        configurations: The number of configurations that have each level, (l,) int.
        weights: The weights of the configurations' losses in each mean, (l, configurations) float64.
        margins: The margin around each mean, (l,) float64; two levels whose margins do not overlap differ.
        verdicts: "best", "tied" or "worse" for each level, (l,), by the pairs of the levels of this factor.
        p: The p-value of "no level differs from another", adjusted for the pairs of levels and for the factors.
    """

    levels: list[Any]
    configurations: np.ndarray
    weights: np.ndarray
    margins: np.ndarray
    verdicts: list[str]
    p: float


def marginal_weights(design: ExperimentalDesign, key: str) -> np.ndarray | None:
    """Returns the weights with which the configurations' losses add up to the least-squares mean of each level.

    A least-squares mean is the mean that the additive model predicts at equal weights of the levels of the other
    factors (Searle, Speed and Milliken 1980, The American Statistician 34, 216-221). Where the design is complete, it
    is a plain average.

    Returns:
        The weights, (levels, configurations). None where the design does not tell the factor from others, such as where
        two factors always change together.
    """
    matrix = main_effects_matrix(design)
    rows = []
    for level in in_order(design.levels[key]):
        row = [1.0]
        for other in design.factors:
            levels = design.levels[other].unique()
            row += [float(level == each) if other == key else 1 / len(levels) for each in levels[1:]]
        rows.append(row)
    targets = np.array(rows)
    inverse = np.linalg.pinv(matrix)
    contrasts = targets[1:] - targets[0]
    if not np.allclose(contrasts @ inverse @ matrix, contrasts, atol=1e-8):
        return None
    return np.round(targets @ inverse, 12)


def level_means(
    losses: np.ndarray, design: ExperimentalDesign, verdicts: Verdicts, level: float, grain: float
) -> dict[str, LevelMeans]:
    """Tests the factors that the design tells apart.

    Each factor is tested by all pairs of its levels. The p-values are adjusted over the factors by Holm's method.

    Args:
        losses: The losses, (units, configurations) float64.
        design: The design of the trials.
        verdicts: The verdicts on the configurations, whose resamples and noise of training are used again.
        level: The confidence in (0, 1).
        grain: The loss of one wrong item; 0 for losses that can have any value.

    Returns:
        The means of each factor by its key, the smallest p-value first.
    """
    noise = verdicts.noise.variance / design.repeats
    by_factor: dict[str, LevelMeans] = {}
    for key in design.factors:
        weights = marginal_weights(design, key)
        if weights is None:
            continue
        means = losses @ weights.T
        differences = weights[:, None] - weights
        variances = (differences**2) @ noise
        pairs = all_pairs(means, verdicts.deviations @ weights.T, variances, level, grain)
        margins = max(pairs.critical, norm.ppf((1 + level) / 2)) * pairs.errors.max(axis=1) / 2
        levels = in_order(design.levels[key])
        counts = np.array([int((design.levels[key] == value).sum()) for value in levels])
        best = int(means.mean(axis=0).round(12).argmin())
        p = np.array([against(means, pairs, row, verdicts.noise) for row in range(len(levels))])
        words = ["worse" if worse else "tied" for worse in p[best] < 1 - level]
        words[best] = "best"
        by_factor[key] = LevelMeans(levels, counts, weights, margins, words, float(p.min()))
    adjusted = holm([means.p for means in by_factor.values()])
    tested = {key: replace(means, p=p) for (key, means), p in zip(by_factor.items(), adjusted, strict=True)}
    return dict(sorted(tested.items(), key=lambda entry: entry[1].p))
