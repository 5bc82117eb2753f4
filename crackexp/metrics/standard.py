"""The metrics of every run, as ``conf/metrics/default.yaml`` names them."""

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from crackexp.config.types import Share
from crackexp.metrics.closed_forms import auc_interval, bounded_mean, ece_interval, extremes, f1_interval
from crackexp.metrics.intervals import Interval, mean_of, normal, student, wilson
from crackexp.metrics.metric import MeanMetric, Metric, Place, named
from crackexp.metrics.predictions import Predictions
from crackexp.metrics.scorer import (
    Curves,
    Ranking,
    Scorer,
    Weighted,
    mean_over_classes,
    ratio,
    squared_errors,
    surprises,
)

NOWHERE: frozenset[Place] = frozenset()


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


class ScoredMetric(Metric):
    """A metric in [0, 1] that is computed for many resamples at once."""

    lowest, highest = 0.0, 1.0

    def compute(self, predictions: Predictions) -> float:
        return float(self.resampled(Scorer(predictions)(np.ones((1, len(predictions))))).ravel()[0])


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


class CurveMetric(ScoredMetric):
    """A number that is read off the curves of a class against the rest: the positive one of two, or the mean.

    A class of which all images are, or none, is left out. The interval of the bootstrap covers a closed form, which
    keeps its width where no image is ranked wrongly. The metrics of several classes depend on one another in ways that
    are not known, so the ends of a mean are the means of the ends: the widest that it can be.
    """

    needs_both_classes = True

    @abstractmethod
    def of_curves(self, curves: Curves) -> np.ndarray:
        """Returns the value for one class, (r,)."""

    @abstractmethod
    def of_class(self, truth: np.ndarray, score: np.ndarray, level: float) -> Interval:
        """Returns the value for one class with its closed interval.

        Args:
            truth: (n,) bool, which images are of the class; some are and some are not.
            score: (n,) float in [0, 1], the probability of the class.
            level: The confidence, in (0, 1).
        """

    def resampled(self, weighted: Weighted) -> np.ndarray:
        return mean_over_classes(np.array([self.of_curves(curves) for curves in weighted.curves]).T)

    def closed_form(self, predictions: Predictions, value: float, level: float) -> Interval | None:
        truths = [(predictions.labels == k, predictions.probabilities[:, k]) for k in predictions.classes]
        parts = [self.of_class(truth, score, level) for truth, score in truths if truth.any() and not truth.all()]
        if not parts:
            return None
        ends = np.mean([(part.value, part.low, part.high) for part in parts], axis=0)
        return Interval(*map(float, ends))

    def value_of(self, truth: np.ndarray, score: np.ndarray) -> float:
        """Returns the value for one class."""
        return float(self.of_curves(Ranking(truth, score)(np.ones((1, len(truth)))))[0])


class RocAuc(CurveMetric):
    """The area under the ROC curve."""

    name, title = "roc_auc", "area under ROC"
    shown_in = frozenset(("summary", "subsets", "corruptions", "sweep"))

    def of_curves(self, curves: Curves) -> np.ndarray:
        return curves.area()

    def of_class(self, truth: np.ndarray, score: np.ndarray, level: float) -> Interval:
        return auc_interval(self.value_of(truth, score), int(truth.sum()), int((~truth).sum()), level)


class AveragePrecision(CurveMetric):
    """The average precision of scikit-learn, an area under the precision-recall curve.

    Its closed interval takes it for a proportion of the images of the class, with Wilson's interval, after Boyd, Eng
    and Page (2013, "Area under the precision-recall curve: point estimates and confidence intervals", ECML PKDD,
    451-466), whose other interval, on the scale of log odds, has no ends at 1.
    """

    name, title = "average_precision", "average precision"
    shown_in = frozenset(("summary",))

    def of_curves(self, curves: Curves) -> np.ndarray:
        return curves.average_precision()

    def of_class(self, truth: np.ndarray, score: np.ndarray, level: float) -> Interval:
        positives = int(truth.sum())
        return wilson(self.value_of(truth, score) * positives, positives, level)


class RecallAtFPR(CurveMetric):
    """The recall at the threshold that lets a share of the other images pass for positive.

    It is read off scikit-learn's ROC curve, whose points are joined by straight lines, as its
    `roc_auc_score(max_fpr=...)` does; of several points at one place the best counts. `extremes` tells its interval.

    Args:
        fpr: The false positive rate, such as 0.05.
    """

    shown_in = frozenset(("summary", "subsets"))

    def __init__(self, fpr: Share = 0.05) -> None:
        self.fpr = fpr
        self.name, self.title = f"recall_at_fpr_{100 * fpr:g}", f"recall at {100 * fpr:g} % false alarms"

    def of_curves(self, curves: Curves) -> np.ndarray:
        return curves.recall_at(self.fpr)

    def of_class(self, truth: np.ndarray, score: np.ndarray, level: float) -> Interval:
        worst, best = (float(self.of_curves(curves)[0]) for curves in extremes(truth, score, level))
        return Interval(self.value_of(truth, score), worst, best)


class FPRAtRecall(CurveMetric):
    """The share of the other images that pass for positive at the threshold that finds a share of the positive ones.

    It is read off the ROC curve as `RecallAtFPR` is.

    Args:
        recall: The recall, such as 0.95.
    """

    higher_is_better = False
    shown_in = NOWHERE

    def __init__(self, recall: Share = 0.95) -> None:
        self.recall = recall
        self.name, self.title = f"fpr_at_recall_{100 * recall:g}", f"false alarms at {100 * recall:g} % recall"

    def of_curves(self, curves: Curves) -> np.ndarray:
        return curves.fpr_at(self.recall)

    def of_class(self, truth: np.ndarray, score: np.ndarray, level: float) -> Interval:
        worst, best = (float(self.of_curves(curves)[0]) for curves in extremes(truth, score, level))
        return Interval(self.value_of(truth, score), best, worst)


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
