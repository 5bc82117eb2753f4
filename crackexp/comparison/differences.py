"""Which of many means differ, judged on the same items, when all pairs are looked at and the best is chosen."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom


@dataclass(frozen=True)
class Pairs:
    """All pairs of m means.

    Attributes:
        errors: (m, m) standard errors of the differences; 0 on the diagonal.
        p: (m, m) p-values adjusted for all pairs; 1 on the diagonal.
        critical: |difference| / error above which a pair differs.
    """

    errors: np.ndarray
    p: np.ndarray
    critical: float


def resampled_deviations(losses: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Returns how far the means of resamples of the items lie from the means of the items (Efron 1979).

    Items without any loss add nothing to a mean, so of those only the number is drawn: the work grows with
    the items on which anything was lost.

    Args:
        losses: (n, m) float64; a resample draws rows, and so keeps what the columns have in common.
        resamples: their number.
        rng: the stream that is drawn from.

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
        cells = np.repeat(np.arange(len(sizes)) * k, sizes) + rng.integers(0, k, sizes.sum())
        counts = np.bincount(cells, minlength=len(sizes) * k).reshape(len(sizes), k)
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
    "Resampling-Based Multiple Testing", section 2.3). Because every pair is in, whichever mean is chosen as the
    best may be compared with the others (Hsu 1996, "Multiple Comparisons", chapter 4 and 5); the chance of any
    wrong claim stays at 1 - level.

    With losses of 0 and 1, items on which the two disagree decide. `grain` counts one more of them into every
    error (the pseudo-observations of Agresti and Min 2005, Statistics in Medicine 24, 729-740): means of
    equal losses then differ by 0 with an error above 0. And pairs that could not differ by an exact sign
    test, whatever the directions, are left out of the largest statistic (Tarone 1990, Biometrics 46, 515-522);
    their p is 1.

    Args:
        losses: (n, m) float64.
        deviations: (resamples, m) float64, of the means under the null hypothesis, noise of training included.
        noise_variances: (m, m) float64, of the differences, from training; zeros where it is not known.
        level: confidence in (0, 1).
        grain: loss of one wrong item; 0 for losses without grain.
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
    for one in range(m - 1):
        others = np.abs(deviations[:, one, None] - deviations[:, one + 1 :]) * scale[one, one + 1 :]
        np.maximum(largest, others.max(axis=1), out=largest)
    largest.sort()
    statistics = np.abs(means[:, None] - means) * scale
    below = np.searchsorted(largest, statistics * (1 - 1e-9))
    p = np.where(able, (1 + len(largest) - below) / (1 + len(largest)), 1.0)
    return Pairs(errors, p, float(np.quantile(largest, level)))


def mcnemar(losses: np.ndarray, best: int) -> np.ndarray:
    """Returns the exact two-sided p-values (m,) of losses of 0 and 1 against the column `best`.

    McNemar 1947, Psychometrika 12, 153-157, as the sign test of the items on which the two disagree; advised for
    two classifiers on one test set by Dietterich 1998, Neural Computation 10, 1895-1923.
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
    """Returns (m, m): on how many items each pair of columns has lost differently."""
    lost = losses[(losses != losses[:, [0]]).any(axis=1)]
    counts = [np.sum(np.abs(lost - lost[:, [column]]) > 1e-9, axis=0) for column in range(losses.shape[1])]
    return np.array(counts).reshape(losses.shape[1], losses.shape[1])
