"""The scores of a comparison: mean losses as values of the metric, with their intervals."""

import numpy as np
from scipy.stats import norm, t

from crackexp.comparison.design import ExperimentalDesign
from crackexp.comparison.items import SharedItems
from crackexp.comparison.verdicts import Verdicts
from crackexp.metrics.intervals import Interval, covering, on_odds, percentile_interval, wilson, without_point
from crackexp.metrics.metric import MeanMetric


class Scale:
    """Converts mean losses to scores of the metric, with their intervals."""

    def __init__(self, metric: MeanMetric, level: float, shared: SharedItems, verdicts: Verdicts) -> None:
        self.metric, self.level, self.verdicts = metric, level, verdicts
        self.images, self.groups = shared.count, shared.groups

    def intervals(self, losses: np.ndarray, design: ExperimentalDesign, weights: np.ndarray) -> np.ndarray:
        """Returns (rows, 3): score, low and high of weighted means of the configurations' losses.

        A proportion gets Wilson's interval, to which the error of training is added in quadrature. Any other score
        gets the percentiles of the resamples; where groups are resampled, they are taken on the scale of
        `grouped_interval`, and a proportion gets the wider of both intervals. There is no interval for a single group,
        nor for a score that is the same in every resample.

        Args:
            losses: The losses, (units, configurations).
            design: The design of the trials.
            weights: The weights of each mean, (rows, configurations).
        """
        means = weights @ losses.mean(axis=0)
        deviations = weights @ self.verdicts.deviations.T
        intervals = [self._resampled(*row) for row in zip(means, deviations, strict=True)]
        if self.metric.proportion:
            exact = self._exact(means, design, weights)
            intervals = [covering(*pair) for pair in zip(exact, intervals, strict=True)] if self.groups else exact
        intervals = [without_point(interval) for interval in intervals]
        return np.array([(interval.value, interval.low, interval.high) for interval in intervals])

    def _exact(self, means: np.ndarray, design: ExperimentalDesign, weights: np.ndarray) -> list[Interval]:
        noise = self.verdicts.noise
        errors = np.sqrt(weights**2 @ (noise.variance / design.repeats))
        training = errors * (t.ppf((1 + self.level) / 2, noise.dof) if noise.dof else 0.0)
        intervals = [self._proportion(1 - mean, error) for mean, error in zip(means, training, strict=True)]
        if self.metric.higher_is_better:
            return intervals
        return [Interval(1 - interval.value, 1 - interval.high, 1 - interval.low) for interval in intervals]

    def _resampled(self, mean: float, deviations: np.ndarray) -> Interval:
        if self.groups == 1:
            return Interval(self.metric.score(mean), np.nan, np.nan)
        least = 0.0 if self.metric.bounded else -np.inf
        most = 1.0 if self.metric.proportion else np.inf
        interval = percentile_interval(mean, np.clip(mean + deviations, least, most), self.level)
        if self.groups and least < mean < most:
            reach = float(np.quantile(np.abs(deviations), self.level))
            interval = Interval(mean, mean - reach, mean + reach)
            if self.metric.bounded:
                interval = on_odds(mean, reach, self.metric.proportion)
        ends = self.metric.score(interval.low), self.metric.score(interval.high)
        return Interval(self.metric.score(mean), min(ends), max(ends))

    def _proportion(self, share: float, training: float) -> Interval:
        right = min(max(share, 0.0), 1.0) * self.images
        below = wilson(int(np.floor(right + 1e-6)), self.images, self.level)
        above = wilson(int(np.ceil(right - 1e-6)), self.images, self.level)
        low = share - np.hypot(share - below.low, training)
        high = share + np.hypot(above.high - share, training)
        return Interval(share, max(low, 0.0), min(high, 1.0))

    def differences(self, losses: np.ndarray) -> np.ndarray:
        """Returns (configurations, 3): the score minus that of the best, and the ends of its interval.

        The intervals hold for all pairs together. Where an exact test finds no difference, the interval is stretched so
        that it includes 0.
        """
        verdicts = self.verdicts
        means = losses.mean(axis=0)
        difference = means - means[verdicts.best]
        if self.metric.higher_is_better:
            difference = 0 - difference
        critical = max(verdicts.pairs.critical, norm.ppf((1 + self.level) / 2))
        half = critical * verdicts.pairs.errors[verdicts.best]
        low, high = difference - half, difference + half
        low = np.where(verdicts.worse, low, np.minimum(low, 0))
        high = np.where(verdicts.worse, high, np.maximum(high, 0))
        return np.column_stack([difference, low, high])
