"""The metrics of every run, as ``conf/metrics/default.yaml`` names them."""

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from crackexp.metrics.closed_forms import bounded_mean, ece_interval, f1_interval
from crackexp.metrics.curves import AveragePrecision, FPRAtRecall, RecallAtFPR, RocAuc
from crackexp.metrics.intervals import Interval, mean_of, normal, student, wilson
from crackexp.metrics.metric import NOWHERE, MeanMetric, ScoredMetric, named
from crackexp.metrics.predictions import Predictions
from crackexp.metrics.scorer import Weighted, mean_over_classes, ratio, squared_errors, surprises


class Accuracy(MeanMetric):
    """The share of the images that are predicted rightly, with Wilson's interval.

    Example:

    >>> import numpy as np
    >>> predictions = Predictions(np.array([0, 1]), np.array([[0.9, 0.1], [0.8, 0.2]]), positive=1)
    >>> Accuracy().compute(predictions)
    0.5
    """

    name, title = "accuracy", "accuracy"
    lowest, highest = 0.0, 1.0
    proportion = counts_errors = True

    def per_image(self, predictions: Predictions) -> np.ndarray:
        return predictions.correct.astype(np.float64)

    def resampled(self, weighted: Weighted) -> np.ndarray:
        return np.asarray(weighted.hits.sum(axis=1) / weighted.total)


class LogLoss(MeanMetric):
    """The mean of minus the logarithm of the probability of the true class, as scikit-learn's `log_loss`.

    Its interval is that of the bootstrap; a loss that is the same for every image has none.
    """

    name, title = "log_loss", "log loss"
    higher_is_better = False
    lowest = 0.0
    shown_in = frozenset(("summary",))

    def per_image(self, predictions: Predictions) -> np.ndarray:
        return surprises(predictions)

    def resampled(self, weighted: Weighted) -> np.ndarray:
        return np.asarray(weighted.surprise / weighted.total)


class BrierScore(MeanMetric):
    """The mean squared error of the probabilities: in [0, 1] for two classes, summed over the classes for more.

    Its interval covers that of `bounded_mean`, which reckons with kinds of images that were not met.
    """

    name, title = "brier", "Brier score"
    higher_is_better = False
    lowest, highest = 0.0, 2.0
    exact = False
    shown_in = NOWHERE

    def per_image(self, predictions: Predictions) -> np.ndarray:
        return squared_errors(predictions)

    def resampled(self, weighted: Weighted) -> np.ndarray:
        return np.asarray(weighted.brier / weighted.total)

    def bounds(self, predictions: Predictions) -> tuple[float, float]:
        return 0.0, 1.0 if predictions.binary else 2.0

    def closed_form(self, predictions: Predictions, value: float, level: float) -> Interval | None:
        return bounded_mean(value, self.bounds(predictions)[1], len(predictions), level)


class ShareMetric(ScoredMetric):
    """A mean over classes of the share of some images that are predicted rightly, with the interval of `mean_of`."""

    exact = True

    @abstractmethod
    def chosen(self, predictions: Predictions) -> tuple[np.ndarray, Sequence[int]]:
        """Returns the class that each image is counted in, (n,) int, and the classes of which the mean is taken."""

    def closed_form(self, predictions: Predictions, value: float, level: float) -> Interval | None:
        of, classes = self.chosen(predictions)
        groups = [predictions.correct[of == k] for k in classes]
        parts = [wilson(int(group.sum()), len(group), level) for group in groups if len(group)]
        return mean_of(parts) if parts else None


class Precision(ShareMetric):
    """The share of the images predicted to be of a class that are of it: of the positive class of two, or the mean.

    The mean is that over the classes that are predicted at all. It is left out where all images are of one class:
    without the other class it is 1 or 0 whatever the model does.
    """

    name, title = "precision", "precision"
    needs_both_classes = True
    shown_in = frozenset(("summary", "corruptions"))

    def chosen(self, predictions: Predictions) -> tuple[np.ndarray, Sequence[int]]:
        return predictions.predicted, predictions.classes

    def resampled(self, weighted: Weighted) -> np.ndarray:
        return mean_over_classes(ratio(weighted.hits, weighted.guess)[:, weighted.predictions.classes])


class Recall(ShareMetric):
    """The share of the images of a class that are predicted to be of it: of the positive class of two, or the mean."""

    name, title = "recall", "recall"
    shown_in = frozenset(("summary", "subsets", "corruptions"))

    def chosen(self, predictions: Predictions) -> tuple[np.ndarray, Sequence[int]]:
        return predictions.labels, predictions.classes

    def resampled(self, weighted: Weighted) -> np.ndarray:
        return mean_over_classes(ratio(weighted.hits, weighted.truth)[:, weighted.predictions.classes])


class BalancedAccuracy(ShareMetric):
    """The mean over all classes of the share of the images of a class that are predicted to be of it."""

    name, title = "balanced_accuracy", "balanced accuracy"
    shown_in = NOWHERE

    def chosen(self, predictions: Predictions) -> tuple[np.ndarray, Sequence[int]]:
        return predictions.labels, list(np.unique(predictions.labels))

    def resampled(self, weighted: Weighted) -> np.ndarray:
        return mean_over_classes(ratio(weighted.hits, weighted.truth))


class F1(ScoredMetric):
    """The harmonic mean of precision and recall: of the positive class of two, or the mean over the classes.

    The interval is `f1_interval` for two classes, that of the bootstrap for more. It is left out where all images are
    of one class, as precision is.
    """

    name, title = "f1", "F1"
    needs_both_classes = exact = True
    shown_in = frozenset(("summary", "sweep"))

    def resampled(self, weighted: Weighted) -> np.ndarray:
        shares = ratio(2 * weighted.hits, weighted.truth + weighted.guess)
        return mean_over_classes(shares[:, weighted.predictions.classes])

    def closed_form(self, predictions: Predictions, value: float, level: float) -> Interval | None:
        if not predictions.binary:
            return None
        positive, correct = predictions.positive, predictions.correct
        of_class, chosen = predictions.labels == positive, predictions.predicted == positive
        hits, misses = int(np.sum(correct & of_class)), int(np.sum(~correct & (of_class | chosen)))
        return f1_interval(hits, misses, level) if hits + misses else None


class CalibrationError(ScoredMetric):
    """The expected calibration error of the top probability in 15 bins of equal width.

    The definition is that of Guo et al. (2017, "On Calibration of Modern Neural Networks", arXiv:1706.04599). The
    bootstrap of it is biased, so its interval is `ece_interval`.
    """

    name, title = "ece", "expected calibration error"
    higher_is_better = False
    shown_in = NOWHERE

    def resampled(self, weighted: Weighted) -> np.ndarray:
        """Returns (2, r): the errors, and how far the gaps of a resample lie from those of the images, summed up."""
        gap = weighted.gap / weighted.total[:, None]
        return np.stack([np.abs(gap).sum(axis=1), np.abs(gap - weighted.scorer.gap).sum(axis=1)])

    def interval(self, predictions: Predictions, value: float, samples: np.ndarray, level: float) -> Interval:
        found = super().interval(predictions, value, samples, level)
        groups = predictions.group_count
        if groups == 1:
            return found
        shifts = samples[1] if groups is None else samples[1] * student(groups, level) / normal(level)
        return ece_interval(found, shifts, level, len(predictions))


STANDARD = named(
    {
        metric.name: metric
        for metric in (
            Accuracy(),
            Precision(),
            Recall(),
            F1(),
            BalancedAccuracy(),
            RocAuc(),
            AveragePrecision(),
            RecallAtFPR(),
            FPRAtRecall(),
            LogLoss(),
            BrierScore(),
            CalibrationError(),
        )
    }
)
"""The metrics of ``conf/metrics/default.yaml`` by their names."""
