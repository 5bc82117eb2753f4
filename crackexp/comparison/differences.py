"""Tests of all pairs of many means on the same items, which stay valid where the best of them is chosen afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom


@dataclass(frozen=True)
class Pairs:
    """All pairs of m means.

    Attributes:
        errors: The standard errors of the differences, (m, m); 0 on the diagonal.
        p: The p-values, (m, m), adjusted for all pairs; 1 on the diagonal.
        critical: The value of |difference| / error above which a pair differs.
    """

    errors: np.ndarray
    p: np.ndarray
    critical: float


def resampled_deviations(losses: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Returns how far the means of resamples of the items lie from the means of the items (Efron 1979).

    Items without any loss add nothing to a mean, so only their number is drawn. The work therefore grows with the
    number of items that have a loss.

    Args:
        losses: The losses, (n, m) float64. A resample draws rows, so that the correlation of the columns is kept.
        resamples: The number of resamples.
        rng: The random generator that draws them.

    Returns:
        (resamples, m) float64.
    """
    n = len(losses)
    lost = losses[(losses != 0).any(axis=1)]
    k = len(lost)
    deviations = np.tile(-losses.mean(axis=0), (resamples, 1))
    if not k:
        return deviations
    drawn = rng.binomial(n, k / n, resamples)
    rows = max(1, 2**20 // k)
    for start in range(0, resamples, rows):
        sizes = drawn[start : start + rows]
        bins = np.repeat(np.arange(len(sizes)) * k, sizes) + rng.integers(0, k, sizes.sum())
        counts = np.bincount(bins, minlength=len(sizes) * k).reshape(len(sizes), k)
        deviations[start : start + rows] += counts @ lost / n
    return deviations


def all_pairs(
    losses: np.ndarray,
    deviations: np.ndarray,
    noise_variances: np.ndarray,
    level: float,
    grain: float = 0.0,
) -> Pairs:
    """Tests all pairs of m means at once.

    The statistic of a pair is |difference| / error. Its p-value is the share of draws in which the largest
    statistic of all pairs is at least as large: the single-step max-T method (Westfall and Young 1993,
    "Resampling-Based Multiple Testing", section 2.3). Because every pair is included, any mean may be chosen as the
    best and compared with the others (Hsu 1996, "Multiple Comparisons", chapter 4 and 5), and the chance of any wrong
    claim stays at 1 - level.

    Where losses are 0 and 1, only the items on which two columns disagree tell them apart. `grain` adds one such item
    to every error (the pseudo-observations of Agresti and Min 2005, Statistics in Medicine 24, 729-740), so that the
    error of a difference of 0 is above 0. Pairs with too few disagreements for any exact sign test to be significant
    are left out of the largest statistic (Tarone 1990, Biometrics 46, 515-522); their p-value is 1.

    Args:
        losses: The losses, (n, m) float64.
        deviations: The deviations of the means under the null hypothesis, (resamples, m) float64, with the noise of
            training.
        noise_variances: The variances of the differences that come from training, (m, m) float64; zeros where the noise
            is not known.
        level: The confidence in (0, 1).
        grain: The loss of one wrong item; 0 for losses that can have any value.
    """
    n, m = losses.shape
    means = losses.mean(axis=0)
    centred = losses - means
    cross = centred.T @ centred / n
    spread = np.maximum(np.diag(cross)[:, None] + np.diag(cross) - 2 * cross, 0)
    errors = np.sqrt(spread / n + (grain / n) ** 2 + noise_variances)
    np.fill_diagonal(errors, 0)
    able = errors > 1e-12
    if grain:
        able &= 2.0 ** (1 - _disagreements(losses)) < 1 - level
    scale = np.divide(1, errors, out=np.zeros((m, m)), where=able)

    largest = np.zeros(len(deviations))
    for first in range(m - 1):
        others = np.abs(deviations[:, first, None] - deviations[:, first + 1 :]) * scale[first, first + 1 :]
        np.maximum(largest, others.max(axis=1), out=largest)
    largest.sort()
    statistics = np.abs(means[:, None] - means) * scale
    below = np.searchsorted(largest, statistics * (1 - 1e-9))
    p = np.where(able, (1 + len(largest) - below) / (1 + len(largest)), 1.0)
    return Pairs(errors, p, float(np.quantile(largest, level)))


def mcnemar(losses: np.ndarray, best: int) -> np.ndarray:
    """Returns the exact two-sided p-values (m,) of losses of 0 and 1 against the column `best`.

    The test (McNemar 1947, Psychometrika 12, 153-157) is the sign test of the items on which two columns disagree.
    Dietterich 1998, Neural Computation 10, 1895-1923, recommends it for two classifiers on one test set.
    """
    better = np.sum(losses > losses[:, [best]], axis=0)
    worse = np.sum(losses < losses[:, [best]], axis=0)
    return np.minimum(1, 2 * binom.cdf(np.minimum(better, worse), better + worse, 0.5))


def holm(p: Sequence[float]) -> list[float]:
    """Returns the p-values adjusted for their number (Holm 1979, Scandinavian Journal of Statistics 6, 65-70)."""
    order = np.argsort(p, kind="stable")
    scaled = np.asarray(p)[order] * np.arange(len(order), 0, -1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(1, np.maximum.accumulate(scaled))
    return adjusted.tolist()


def _disagreements(losses: np.ndarray) -> np.ndarray:
    """Returns the number of items on which each pair of columns has different losses, (m, m)."""
    lost = losses[(losses != losses[:, [0]]).any(axis=1)]
    counts = [np.sum(np.abs(lost - lost[:, [column]]) > 1e-9, axis=0) for column in range(losses.shape[1])]
    return np.array(counts).reshape(losses.shape[1], losses.shape[1])
