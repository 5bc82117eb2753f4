"""Intervals: Wilson's for proportions, Zou and Donner's for means of them, the bootstrap for the rest and groups."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit
from scipy.stats import binomtest, norm, t

CHUNK = 2**18
"""Counts that `resampled_counts` holds at a time: 2 MB, which a processor's cache holds."""


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval, `low` <= `high`, in the unit of the estimate; nan ends: it has none."""

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


def resampled_counts(
    n: int, resamples: int, rng: np.random.Generator, groups: np.ndarray | None = None
) -> Iterator[np.ndarray]:
    """Yields how often each of n items is drawn in each resample with replacement (Efron 1979).

    Args:
        n: number of items, at least 1.
        resamples: number of resamples in all.
        rng: the stream that is drawn from.
        groups: (n,) int in [0, g), the group of each item. Whole groups are drawn then, g of them, so that items that
            resemble each other come together (Field and Welsh 2007, "Bootstrapping clustered data", Journal of the
            Royal Statistical Society B 69, 369-390). None: each item is a group.

    Yields:
        (r, n) float64 counts of r resamples, with one group each the sum of each row is n; r * n <= `CHUNK`, or r = 1.
    """
    rows = max(1, CHUNK // n)
    g = n if groups is None else int(groups.max()) + 1
    for start in range(0, resamples, rows):
        r = min(rows, resamples - start)
        drawn = rng.integers(0, g, (r, g))
        drawn += np.arange(r)[:, None] * g
        counts = np.bincount(drawn.ravel(), minlength=r * g).reshape(r, g).astype(np.float64)
        yield counts if groups is None else counts[:, groups]


def percentile_interval(value: float, samples: np.ndarray, level: float) -> Interval:
    """Returns `value` with the percentiles of `samples`, values of resamples; nan ones are left out."""
    samples = samples[~np.isnan(samples)]
    if not len(samples):
        return Interval(value, np.nan, np.nan)
    low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def grouped_interval(value: float, samples: np.ndarray, groups: int, level: float, bounded: bool = True) -> Interval:
    """Returns `value` with Student's interval on the scale of the log odds, for few groups and skewed estimates.

    The standard error is that of a bootstrap over the groups, with the factor that it lacks where they are few
    (Hesterberg 2015, "What Teachers Should Know About the Bootstrap", The American Statistician 69, 371-386); the
    quantile is Student's with a degree of freedom less than there are groups (Cameron and Miller 2015, "A
    Practitioner's Guide to Cluster-Robust Inference", Journal of Human Resources 50, 317-372); the scale is that of log
    odds, which keeps intervals of shares in clustered samples honest near 0 and 1 (Franco, Little, Louis and Slud 2019,
    "Comparative Study of Confidence Intervals for Proportions in Complex Sample Surveys", Journal of Survey Statistics
    and Methodology 7, 334-364). Percentiles are too narrow for few groups, and the more so the nearer 0 or 1.

    Args:
        value: the estimate, at least 0.
        samples: (resamples,) values of resamples of groups; nan ones are left out.
        groups: number of groups; with one there is no interval, its ends are nan.
        level: confidence in (0, 1).
        bounded: whether the estimate lies in [0, 1]; else only 0 bounds it, and the scale is that of logarithms. An
            estimate on its bound keeps the percentiles.
    """
    samples = samples[~np.isnan(samples)]
    if groups < 2 or not len(samples):
        return Interval(value, np.nan, np.nan)
    if value <= 0 or (bounded and value >= 1):
        return percentile_interval(value, samples, level)
    return on_odds(value, student(groups, level) * float(samples.std()), bounded)


def on_odds(value: float, reach: float, bounded: bool) -> Interval:
    """Returns `value` with `reach` to each side, taken over to the scale of `grouped_interval`."""
    if bounded:
        reach /= value * (1 - value)
        return Interval(value, float(expit(logit(value) - reach)), float(expit(logit(value) + reach)))
    return Interval(value, float(value * np.exp(-reach / value)), float(value * np.exp(reach / value)))


def student(groups: int, level: float) -> float:
    """Returns how many standard errors of a bootstrap over `groups`, 2 at least, lie to each side of an estimate."""
    return float(t.ppf((1 + level) / 2, groups - 1) * np.sqrt(groups / (groups - 1)))


def normal(level: float) -> float:
    """Returns how many standard errors lie to each side of an estimate from many observations."""
    return float(norm.ppf((1 + level) / 2))


def covering(first: Interval, second: Interval) -> Interval:
    """Returns the value of `first` with an interval that covers both; nan ends stay nan."""
    return Interval(first.value, float(np.minimum(first.low, second.low)), float(np.maximum(first.high, second.high)))
