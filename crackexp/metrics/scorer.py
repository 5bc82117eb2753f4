"""Sums over images and ranked scores, which metrics share, for many weightings of the images at once."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from crackexp.metrics.predictions import Predictions

if TYPE_CHECKING:
    from crackexp.metrics.metric import MeanMetric

Curve = Callable[[np.ndarray], np.ndarray]
ECE_BINS = 15


def calibration_bins(confidence: np.ndarray) -> np.ndarray:
    """Returns the bin in [0, `ECE_BINS`) of each top probability in (0, 1]; bin b holds (b, b + 1] / bins."""
    return np.clip(np.ceil(confidence * ECE_BINS).astype(int) - 1, 0, ECE_BINS - 1)


class Scorer:
    """Prepares predictions, so that metrics can be computed for many weightings of the images at once.

    Called with (r, n) weights, it returns the `Weighted` predictions of which metrics are computed.

    Args:
        predictions: The predictions for n images.
    """

    def __init__(self, predictions: Predictions) -> None:
        self.predictions = predictions
        labels, probabilities = predictions.labels, predictions.probabilities
        n, c = probabilities.shape
        exact = probabilities.astype(np.float64)
        truth = np.eye(c)[labels]
        guess = np.eye(c)[predictions.predicted]
        confidence = exact.max(axis=1)
        gap = np.zeros((n, ECE_BINS))
        gap[np.arange(n), calibration_bins(confidence)] = confidence - predictions.correct
        self.gap = gap.mean(axis=0)
        surprise = surprises(predictions)
        brier = squared_errors(predictions)
        self.columns = np.column_stack([truth, guess, truth * guess, gap, surprise, brier])
        self.edges = np.cumsum([c, c, c, ECE_BINS, 1])
        self._values: dict[int, np.ndarray] = {}

    def __call__(self, weights: np.ndarray) -> "Weighted":
        return Weighted(self, weights)

    def values(self, metric: "MeanMetric") -> np.ndarray:
        """Returns the value of each image, (n,) float64, which is computed once for all weightings."""
        if id(metric) not in self._values:
            self._values[id(metric)] = metric.values(self.predictions)
        return self._values[id(metric)]

    @cached_property
    def rankings(self) -> "list[Ranking]":
        """The ranked images for each class of `Predictions.classes`."""
        predictions = self.predictions
        return [Ranking(predictions.labels == k, predictions.probabilities[:, k]) for k in predictions.classes]


def surprises(predictions: Predictions) -> np.ndarray:
    """Returns the logarithmic loss of each image, (n,) float64, as scikit-learn clips it."""
    smallest = predictions.epsilon
    return np.asarray(-np.log(np.clip(predictions.given, smallest, 1 - smallest)))


def squared_errors(predictions: Predictions) -> np.ndarray:
    """Returns the Brier score of each image, (n,) float64: in [0, 1] for two classes, in [0, 2] for more."""
    truth = np.eye(predictions.probabilities.shape[1])[predictions.labels]
    errors = np.sum((predictions.probabilities.astype(np.float64) - truth) ** 2, axis=1)
    return np.asarray(errors / (2 if predictions.binary else 1))


class Weighted:
    """Predictions under r weightings of the images. Sums that several metrics need are computed once, on first use.

    Args:
        scorer: The prepared predictions for n images.
        weights: (r, n) float64, such as how often each image is drawn in each of r resamples.

    Attributes:
        predictions: The predictions.
        total: (r,) the sum of the weights.
    """

    def __init__(self, scorer: Scorer, weights: np.ndarray) -> None:
        self.scorer = scorer
        self.weights = weights
        self.predictions = scorer.predictions
        self.total = weights.sum(axis=1)

    @cached_property
    def _sums(self) -> list[np.ndarray]:
        return np.split(self.weights @ self.scorer.columns, self.scorer.edges, axis=1)

    @property
    def truth(self) -> np.ndarray:
        """The number of images of each class, (r, c)."""
        return self._sums[0]

    @property
    def guess(self) -> np.ndarray:
        """The number of images that are predicted to be of each class, (r, c)."""
        return self._sums[1]

    @property
    def hits(self) -> np.ndarray:
        """The number of images of each class that are classified correctly, (r, c)."""
        return self._sums[2]

    @property
    def gap(self) -> np.ndarray:
        """The difference of confidence and accuracy in each calibration bin, summed over the images, (r, bins)."""
        return self._sums[3]

    @property
    def surprise(self) -> np.ndarray:
        """The sum of the logarithmic losses, (r,)."""
        return self._sums[4][:, 0]

    @property
    def brier(self) -> np.ndarray:
        """The sum of the Brier scores, (r,)."""
        return self._sums[5][:, 0]

    @cached_property
    def curves(self) -> "list[Curves]":
        """The curves of each class of `Predictions.classes`."""
        return [ranking(self.weights) for ranking in self.scorer.rankings]


class Ranking:
    """The images in the order of the score of one class.

    Called with (r, n) weights, it returns the `Curves` of r weightings.

    Args:
        truth: Whether each image is of the class, (n,) bool.
        score: The score of each image, (n,) float.
    """

    def __init__(self, truth: np.ndarray, score: np.ndarray) -> None:
        order = np.argsort(score, kind="stable")
        self.positives, self.negatives = order[truth[order]], order[~truth[order]]
        thresholds, others = score[self.positives], score[self.negatives]
        self.first = np.searchsorted(thresholds, thresholds, "left")
        self.below = np.searchsorted(others, thresholds, "left")
        self.upto = np.searchsorted(others, thresholds, "right")
        points = np.append(np.unique(score), np.inf)[::-1]
        self.missed = np.searchsorted(thresholds, points, "left")
        self.quiet = np.searchsorted(others, points, "left")

    def __call__(self, weights: np.ndarray) -> "Curves":
        positive = weights[:, self.positives]
        return Curves(self, positive, _cumulative(positive), _cumulative(weights[:, self.negatives]))


@dataclass(frozen=True, eq=False)
class Curves:
    """The ROC and the precision-recall curve of one class, for r weightings of the images.

    Attributes:
        ranking: The ranked images.
        positive: (r, p) the weights of the images of the class, those with the lowest score first.
        positives: (r, p + 1) their cumulative sums.
        negatives: (r, n - p + 1) likewise, of the other images.
    """

    ranking: Ranking
    positive: np.ndarray
    positives: np.ndarray
    negatives: np.ndarray

    @cached_property
    def _below(self) -> np.ndarray:
        return np.asarray(self.negatives[:, self.ranking.below])

    def area(self) -> np.ndarray:
        """Returns the area under the ROC curve, (r,)."""
        beaten = (self._below + self.negatives[:, self.ranking.upto]) / 2
        area = np.einsum("ij,ij->i", self.positive, beaten)
        return ratio(area, self.positives[:, -1] * self.negatives[:, -1])

    def average_precision(self) -> np.ndarray:
        """Returns the average precision, (r,)."""
        true = self.positives[:, -1:] - self.positives[:, self.ranking.first]
        found = true + self.negatives[:, -1:] - self._below
        precision = np.einsum("ij,ij->i", self.positive, true / np.maximum(found, 1))
        p, n = self.positives[:, -1], self.negatives[:, -1]
        return ratio(precision, np.where(n > 0, p, 0))

    def recall_at(self, fpr: float) -> np.ndarray:
        """Returns the recall where the false positive rate is `fpr`, in (0, 1), (r,)."""
        return _height(self._alarms, self._recall, lambda x: x <= fpr, fpr, self._last)

    def fpr_at(self, recall: float) -> np.ndarray:
        """Returns the false positive rate where the recall is `recall`, in (0, 1), (r,)."""
        return _height(self._recall, self._alarms, lambda x: x < recall, recall, self._last)

    @property
    def _last(self) -> np.ndarray:
        return np.full(len(self.positive), len(self.ranking.missed) - 1)

    def _recall(self, point: np.ndarray) -> np.ndarray:
        p = self.positives[:, -1]
        return ratio(p - self.positives[np.arange(len(p)), self.ranking.missed[point]], p)

    def _alarms(self, point: np.ndarray) -> np.ndarray:
        n = self.negatives[:, -1]
        return ratio(n - self.negatives[np.arange(len(n)), self.ranking.quiet[point]], n)


def _height(
    x: Curve, y: Curve, before: Callable[[np.ndarray], np.ndarray], place: float, last: np.ndarray
) -> np.ndarray:
    """Returns the height at `place` of r curves of straight lines that rise from (0, 0) to (1, 1), (r,); nan where nan.

    Args:
        x: A function of the number of a point of each curve, (r,) int, that returns the x of the point, (r,) float64.
        y: A function of the number of a point of each curve that returns the y of the point.
        before: A function of the x of points, (r,), that returns whether they are left of `place`: True for the first
            points, False for the last.
        place: The x at which the height is computed, in (0, 1).
        last: The number of the last point of each curve, (r,) int.
    """
    left, right = np.zeros_like(last), last
    while np.any(right - left > 1):
        middle = (left + right) // 2
        early = before(x(middle))
        left, right = np.where(early, middle, left), np.where(early, right, middle)
    x0, x1 = x(left), x(right)
    return y(left) + (place - x0) / (x1 - x0) * (y(right) - y(left))


def _cumulative(values: np.ndarray) -> np.ndarray:
    """Returns the sums of the first 0, 1, ..., n numbers of each row."""
    sums = np.zeros((len(values), values.shape[1] + 1))
    np.cumsum(values, axis=1, out=sums[:, 1:])
    return sums


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Returns `part / whole`; nan where `whole` is 0."""
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


def mean_over_classes(values: np.ndarray) -> np.ndarray:
    """Returns the mean of each row's numbers that are not nan; nan for a row of nan."""
    return ratio(np.nansum(values, axis=1), np.sum(~np.isnan(values), axis=1))
