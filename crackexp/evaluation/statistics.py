"""Intervals: Wilson's for proportions, Zou and Donner's for means of them, the bootstrap for the rest."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

CHUNK = 2**18
"""Counts that `resampled_counts` holds at a time: 2 MB, which a processor's cache holds."""


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval, `low` <= `high`, in the unit of the estimate."""

    value: float
    low: float
    high: float


def wilson(successes: int, trials: int, level: float) -> Interval:
    """Returns a proportion with its score interval (Wilson 1927); it has a width at 0 % and 100 % too.

    Args:
        successes: in [0, trials].
        trials: at least 1.
        level: confidence in (0, 1).
    """
    interval = binomtest(successes, trials).proportion_ci(level, method="wilson")
    return Interval(successes / trials, float(interval.low), float(interval.high))


def mean_of(parts: Sequence[Interval]) -> Interval:
    """Returns the mean of independent estimates with its interval.

    The method recovers the variances from the intervals of the parts, each side by itself (MOVER; Zou and
    Donner 2008, "Construction of confidence limits about effect measures", Statistics in Medicine 27,
    1693-1702). The interval of one part is that part's own.

    Args:
        parts: at least one, all at one level.
    """
    values, lows, highs = np.array([(part.value, part.low, part.high) for part in parts]).T
    value = values.mean()
    below = np.sqrt(np.sum((values - lows) ** 2)) / len(parts)
    above = np.sqrt(np.sum((highs - values) ** 2)) / len(parts)
    return Interval(float(value), float(value - below), float(value + above))


def resampled_counts(n: int, resamples: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yields how often each of n items is drawn in each resample of n with replacement (Efron 1979).

    Args:
        n: number of items, at least 1.
        resamples: number of resamples in all.
        rng: the stream that is drawn from.

    Yields:
        (r, n) float64 counts of r resamples, each row of sum n; r * n <= `CHUNK`, or r = 1.
    """
    rows = max(1, CHUNK // n)
    for start in range(0, resamples, rows):
        r = min(rows, resamples - start)
        drawn = rng.integers(0, n, (r, n))
        drawn += np.arange(r)[:, None] * n
        yield np.bincount(drawn.ravel(), minlength=r * n).reshape(r, n).astype(np.float64)


def percentile_interval(value: float, samples: np.ndarray, level: float) -> Interval:
    """Returns `value` with the percentiles of `samples`, values of resamples; nan ones are left out."""
    samples = samples[~np.isnan(samples)]
    if not len(samples):
        return Interval(value, np.nan, np.nan)
    low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))
