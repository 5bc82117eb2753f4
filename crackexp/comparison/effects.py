"""What each factor of a sweep does on average over the others."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import norm

from crackexp.comparison.design import Layout, in_order
from crackexp.comparison.differences import all_pairs, holm
from crackexp.comparison.noise import main_effects_design
from crackexp.comparison.verdicts import Verdicts, against


@dataclass(frozen=True)
class LevelMeans:
    """The mean loss at each level of a factor.

    Attributes:
        levels: (l,) in order.
        settings: (l,) int, how many settings have the level.
        weights: (l, settings) float64, of the settings' losses in each mean.
        margins: (l,) float64; two levels whose margins do not overlap differ.
        verdicts: (l,) "best", "tied" or "worse", by the pairs of this factor's levels.
        p: that no level differs from another, adjusted for the pairs of levels and for the factors.
    """

    levels: list[Any]
    settings: np.ndarray
    weights: np.ndarray
    margins: np.ndarray
    verdicts: list[str]
    p: float


def marginal_weights(layout: Layout, key: str) -> np.ndarray | None:
    """Returns (levels, settings) weights that make the settings' losses the least-squares mean of each level.

    They are the means of the additive model at equal weights of the other factors' levels (Searle, Speed and
    Milliken 1980, The American Statistician 34, 216-221), plain averages where every setting is there. None
    where the layout does not tell the factor from others, as where two always change together.
    """
    design = main_effects_design(layout)
    rows = []
    for level in in_order(layout.levels[key]):
        row = [1.0]
        for other in layout.factors:
            levels = layout.levels[other].unique()
            row += [float(level == one) if other == key else 1 / len(levels) for one in levels[1:]]
        rows.append(row)
    targets = np.array(rows)
    inverse = np.linalg.pinv(design)
    contrasts = targets[1:] - targets[0]
    if not np.allclose(contrasts @ inverse @ design, contrasts, atol=1e-8):
        return None
    return np.round(targets @ inverse, 12)


def level_means(
    losses: np.ndarray, layout: Layout, verdicts: Verdicts, level: float, grain: float
) -> dict[str, LevelMeans]:
    """Tests the factors that the layout tells apart, each by all pairs of its levels, and Holm over the factors.

    Args:
        losses: (units, settings) float64.
        layout: of the settings.
        verdicts: on them; their draws and their noise of training are used again.
        level: confidence in (0, 1).
        grain: loss of one wrong item; 0 for losses without grain.

    Returns:
        Key of the factor to its means, the smallest p first.
    """
    noise = verdicts.noise.variance / layout.repeats
    found: dict[str, LevelMeans] = {}
    for key in layout.factors:
        weights = marginal_weights(layout, key)
        if weights is None:
            continue
        means = losses @ weights.T
        differences = weights[:, None] - weights
        variances = (differences**2) @ noise
        pairs = all_pairs(means, verdicts.deviations @ weights.T, variances, level, grain)
        margins = max(pairs.critical, norm.ppf((1 + level) / 2)) * pairs.errors.max(axis=1) / 2
        levels = in_order(layout.levels[key])
        counts = np.array([int((layout.levels[key] == one).sum()) for one in levels])
        best = int(means.mean(axis=0).round(12).argmin())
        p = np.array([against(means, pairs, one, verdicts.noise) for one in range(len(levels))])
        words = ["worse" if worse else "tied" for worse in p[best] < 1 - level]
        words[best] = "best"
        found[key] = LevelMeans(levels, counts, weights, margins, words, float(p.min()))
    adjusted = holm([means.p for means in found.values()])
    sure = {key: replace(means, p=p) for (key, means), p in zip(found.items(), adjusted, strict=True)}
    return dict(sorted(sure.items(), key=lambda entry: entry[1].p))
