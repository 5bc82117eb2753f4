"""The base classes of metrics: their values, resamples and intervals, and where they are shown."""

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from crackexp.metrics.intervals import Interval, covering, grouped_interval, percentile_interval, student, wilson
from crackexp.metrics.predictions import Predictions
from crackexp.metrics.scorer import Scorer, Weighted
from crackexp.utils.errors import ConfigError

Place = Literal["summary", "subsets", "corruptions", "sweep"]
"""Where a metric is shown besides ``metrics.csv`` and the description of a run: in the table on the terminal, in the
table and the figure of datasets and surfaces side by side, among the metrics that are logged of each corruption, and in
the runs table of a sweep. Of these last ones the interval is logged with the value."""
NOWHERE: frozenset[Place] = frozenset()


class Metric(ABC):
    """A measure of predictions, with a confidence interval.

    A metric of your own inherits this class and implements `compute`; its interval is that of a bootstrap. A metric
    that is a mean over the images inherits `MeanMetric` instead, which is much faster, and by which runs can be
    compared.

    Example:

    >>> import numpy as np
    >>> from crackexp.metrics import Bootstrap, Metric, Predictions, evaluate_predictions
    >>> class Specificity(Metric):
    ...     lowest, highest = 0.0, 1.0
    ...     def compute(self, predictions):
    ...         negative = predictions.labels != predictions.positive
    ...         return predictions.correct[negative].mean() if negative.any() else float("nan")
    >>> predictions = Predictions(np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]), positive=1)
    >>> metrics = named({"specificity": Specificity()})
    >>> evaluate_predictions(predictions, Bootstrap(seed=0, resamples=100), metrics)["specificity"].value
    0.5

    Attributes:
        name: The key of the metric in the config group `metrics`; it is logged as ``test/NAME``.
        title: The name in sentences and figures, such as "log loss".
        higher_is_better: Whether a larger value is better.
        lowest: The lowest value that it can take, -inf where there is none.
        highest: The highest value that it can take, inf where there is none.
        needs_both_classes: Whether it is left out where all images are of one class.
        exact: Whether `closed_form` alone is the interval of independent images; else it covers the bootstrap's too.
        shown_in: Where it is shown, see `Place`.
    """

    name: str = ""
    title: str = ""
    higher_is_better: bool = True
    lowest: float = -math.inf
    highest: float = math.inf
    needs_both_classes: bool = False
    exact: bool = False
    shown_in: frozenset[Place] = frozenset(("summary", "subsets", "corruptions", "sweep"))

    @abstractmethod
    def compute(self, predictions: Predictions) -> float:
        """Returns the value, or nan where it is undefined."""

    def resampled(self, weighted: Weighted) -> np.ndarray:
        """Returns the value under each of r weightings of the images, nan where it is undefined.

        The weights are counts, and `compute` is called once for each of the r resamples.

        Returns:
            (r,) float64; or (k, r), where the interval needs more than the values, which are then the first row.
        """
        images = np.arange(len(weighted.predictions))
        rows = (np.repeat(images, counts) for counts in weighted.weights.astype(int))
        return np.array([self.compute(weighted.predictions.take(row)) for row in rows], np.float64)

    def closed_form(self, predictions: Predictions, value: float, level: float) -> Interval | None:
        """Returns an interval that needs no bootstrap, for independent images; None where there is none.

        Args:
            predictions: The predictions.
            value: The value of the metric, a number.
            level: The confidence, in (0, 1).
        """
        return None

    def bounds(self, predictions: Predictions) -> tuple[float, float]:
        """Returns the lowest and the highest value that the metric can take of `predictions`."""
        return self.lowest, self.highest

    def interval(self, predictions: Predictions, value: float, samples: np.ndarray, level: float) -> Interval:
        """Returns the value with its confidence interval; with one group of images there is none, the ends are nan.

        Args:
            predictions: The predictions.
            value: The value of the metric, a number.
            samples: What `resampled` returned for all resamples.
            level: The confidence, in (0, 1).
        """
        if predictions.group_count == 1:
            return Interval(value, math.nan, math.nan)
        bootstrapped = self.bootstrapped(predictions, value, samples, level)
        exact = self.closed_form(predictions, value, level)
        if exact is None:
            return bootstrapped
        replaced = (self.exact and predictions.groups is None) or math.isnan(bootstrapped.low)
        return exact if replaced else covering(bootstrapped, exact)

    def bootstrapped(self, predictions: Predictions, value: float, samples: np.ndarray, level: float) -> Interval:
        """Returns the interval of the bootstrap: percentiles over images, or Student's over groups of them.

        Groups are few, so Student's interval is taken on a scale that keeps it between the bounds of the metric: the
        log odds for [0, 1], the logarithm where 0 alone bounds it.
        """
        groups = predictions.group_count
        samples = first_row(samples)
        if groups is None:
            return percentile_interval(value, samples, level)
        lowest, highest = self.bounds(predictions)
        if lowest == 0:
            return grouped_interval(value, samples, groups, level, bounded=highest == 1)
        known = samples[~np.isnan(samples)]
        reach = student(groups, level) * float(known.std()) if len(known) else math.nan
        return Interval(value, max(value - reach, lowest), min(value + reach, highest))


class MeanMetric(Metric):
    """A metric that is the mean of a value of each image.

    Runs can be compared by such a metric (``sweep.metric=NAME``, ``crackexp.compare metric=NAME``), image by image.

    Example:

    >>> import numpy as np
    >>> from crackexp.metrics import MeanMetric, Predictions
    >>> class Confidence(MeanMetric):
    ...     lowest, highest = 0.0, 1.0
    ...     def per_image(self, predictions):
    ...         return predictions.given
    >>> float(Confidence().compute(Predictions(np.array([0, 1]), np.array([[0.75, 0.25], [0.75, 0.25]]), positive=1)))
    0.5

    Attributes:
        proportion: Whether the value of an image is 0 or 1. The metric has Wilson's interval then, and is shown in
            percent; its bounds are 0 and 1.
        counts_errors: Whether what the metric lacks of 1 is the share of wrong predictions.
    """

    exact = True
    proportion: bool = False
    counts_errors: bool = False

    @abstractmethod
    def per_image(self, predictions: Predictions) -> np.ndarray:
        """Returns the value of each image, (n,) float64."""

    def compute(self, predictions: Predictions) -> float:
        return float(self.values(predictions).mean())

    def values(self, predictions: Predictions) -> np.ndarray:
        """Returns the value of each image, (n,) float64.

        Raises:
            ConfigError: `per_image` returns something else than a finite number for each image.
        """
        values = np.asarray(self.per_image(predictions), np.float64)
        if values.shape != (len(predictions),) or not np.isfinite(values).all():
            raise ConfigError(
                f"{type(self).__name__}.per_image must return a finite number for each image. Return an array of shape "
                f"({len(predictions)},), or inherit Metric and implement compute. Received: shape {values.shape} "
                f"for metrics.{self.name}"
            )
        return values

    def resampled(self, weighted: Weighted) -> np.ndarray:
        return np.asarray(weighted.weights @ weighted.scorer.values(self) / weighted.total)

    def closed_form(self, predictions: Predictions, value: float, level: float) -> Interval | None:
        if not self.proportion:
            return None
        return wilson(int(self.values(predictions).sum()), len(predictions), level)

    @property
    def best(self) -> float:
        """The best value that the metric can take; 0 where there is none."""
        best = self.highest if self.higher_is_better else self.lowest
        return best if math.isfinite(best) else 0.0

    @property
    def bounded(self) -> bool:
        """Whether there is a best value, so that no loss is below 0."""
        return math.isfinite(self.highest if self.higher_is_better else self.lowest)

    def losses(self, predictions: Predictions) -> np.ndarray:
        """Returns how far each image lies from the best value, (n,) float64; the lower, the better."""
        values = self.values(predictions)
        return self.best - values if self.higher_is_better else values - self.best

    def score(self, loss: Any) -> Any:
        """Returns the value of the metric where the mean loss is `loss`, a float or an array."""
        return self.best - loss if self.higher_is_better else self.best + loss


class ScoredMetric(Metric):
    """A metric in [0, 1] that is computed for many resamples at once."""

    lowest, highest = 0.0, 1.0

    def compute(self, predictions: Predictions) -> float:
        return float(self.resampled(Scorer(predictions)(np.ones((1, len(predictions))))).ravel()[0])


def first_row(samples: np.ndarray) -> np.ndarray:
    """Returns the values of a metric, (r,), among what `Metric.resampled` returned."""
    return samples if samples.ndim == 1 else samples[0]


def named(metrics: Mapping[str, Metric]) -> dict[str, Metric]:
    """Returns copies of the metrics with the names that they have in the mapping, which are also missing titles."""
    copies = {}
    for name, metric in metrics.items():
        copies[name] = copy.copy(metric)
        copies[name].name, copies[name].title = name, metric.title or name.replace("_", " ")
    return copies


def shown(metrics: Mapping[str, Metric], place: Place) -> dict[str, Metric]:
    """Returns the metrics that are shown at a place."""
    return {name: metric for name, metric in metrics.items() if place in metric.shown_in}


def comparable(metrics: Mapping[str, Metric], name: str, key: str) -> MeanMetric:
    """Returns the metric called `name`, which runs are compared by.

    Args:
        metrics: The metrics by their names.
        name: The name of one of them.
        key: The key of the config that chose it, such as ``sweep.metric``.

    Raises:
        ConfigError: There is no such metric, or it is no mean over the images.
    """
    metric = metrics.get(name)
    if isinstance(metric, MeanMetric):
        return metric
    names = ", ".join(name for name, metric in metrics.items() if isinstance(metric, MeanMetric))
    reason = f"There is no metric {name}"
    if metric:
        reason = f"Runs cannot be compared by {name}, which is no mean over images"
    raise ConfigError(f"{reason}. Type {key}=NAME with one of {names}. Received: {key}={name}")
