"""The metrics that are read off the ROC curve or the precision-recall curve."""

from abc import abstractmethod

import numpy as np

from crackexp.config.types import Share
from crackexp.metrics.closed_forms import auc_interval, extremes
from crackexp.metrics.intervals import Interval, wilson
from crackexp.metrics.metric import NOWHERE, ScoredMetric
from crackexp.metrics.predictions import Predictions
from crackexp.metrics.scorer import Curves, Ranking, Weighted, mean_over_classes


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


class OperatingPoint(CurveMetric):
    """A number that is read off one point of the ROC curve, whose interval `extremes` tells."""

    def of_class(self, truth: np.ndarray, score: np.ndarray, level: float) -> Interval:
        worst, best = (float(self.of_curves(curves)[0]) for curves in extremes(truth, score, level))
        low, high = (worst, best) if self.higher_is_better else (best, worst)
        return Interval(self.value_of(truth, score), low, high)


class RecallAtFPR(OperatingPoint):
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


class FPRAtRecall(OperatingPoint):
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
