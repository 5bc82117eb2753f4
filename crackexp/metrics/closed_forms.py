"""Intervals that keep their width where a score is perfect, and a bootstrap draws the same perfect score every time."""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import brentq

from crackexp.metrics.intervals import Interval, normal, unseen, wilson
from crackexp.metrics.scorer import Ranking

CURVES = ("roc_auc", "average_precision", "recall_at_fpr_5", "fpr_at_recall_95")
"""Metrics in the order of `Ranking`."""


def curve_intervals(
    labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[int], level: float
) -> dict[str, Interval]:
    """Returns the metrics of `CURVES` with closed-form intervals, as a mean over the classes.

    The metrics of several classes depend on one another in ways that are not known, so the ends of a mean are the means
    of the ends: the widest that it can be. A class of which all images are, or none, is left out.

    Args:
        labels: (n,) int in [0, c).
        probabilities: (n, c) float.
        classes: whose curves are looked at, each against the rest.
        level: confidence in (0, 1).
    """
    truths = [(labels == k, probabilities[:, k]) for k in classes]
    parts = [_one_class(truth, score, level) for truth, score in truths if truth.any() and not truth.all()]
    if not parts:
        return {}
    ends = np.mean([[(one.value, one.low, one.high) for one in part] for part in parts], axis=0)
    return {name: Interval(*map(float, row)) for name, row in zip(CURVES, ends, strict=True)}


def auc_interval(value: float, positives: int, negatives: int, level: float) -> Interval:
    """Returns an area under the ROC curve with its score interval.

    It is method 5 of Newcombe (2006, "Confidence intervals for an effect size measure based on the Mann-Whitney
    statistic. Part 2", Statistics in Medicine 25, 559-573): the areas within z standard errors of the estimate, where
    the error is that of Hanley and McNeil (1982) at the area asked about, with half of all images in each class.

    Args:
        value: the estimate, in [0, 1].
        positives: how many images are of the class, at least 1.
        negatives: how many are not, at least 1.
        level: confidence in (0, 1).
    """
    z, mean = normal(level), (positives + negatives) / 2

    def lower(area: float) -> float:
        def beyond(x: float) -> float:
            spread = 2 * mean - 1 - 3 * (mean - 1) / ((2 - x) * (1 + x))
            return (area - x) ** 2 - z**2 * x * (1 - x) * spread / (positives * negatives)

        return float(brentq(beyond, 0.0, area * (1 - 1e-9))) if area > 0 else 0.0

    return Interval(value, lower(value), 1 - lower(1 - value))


def bounded_mean(value: float, most: float, images: int, level: float) -> Interval:
    """Returns a mean of losses in [0, most] with an interval that reckons with images of a kind that was not met.

    The share of that kind may be as large as `unseen` says, and the loss on it anything.

    Args:
        value: the mean.
        most: largest possible loss.
        images: how many there are.
        level: confidence in (0, 1).
    """
    hidden = unseen(images, level)
    return Interval(value, value - hidden * value, value + hidden * (most - value))


def _one_class(truth: np.ndarray, score: np.ndarray, level: float) -> list[Interval]:
    """Returns the metrics of `CURVES` for one class against the rest.

    An average precision is taken for a proportion of the images of the class, with Wilson's interval, after Boyd, Eng
    and Page (2013, "Area under the precision-recall curve: point estimates and confidence intervals", ECML PKDD,
    451-466), whose other interval, on the scale of log odds, has no ends at 1.

    What is read off the ROC curve at a place depends on the tail of one class and on a share of the other, and
    nothing is assumed about either. The worst case is that the scores of some images of the class lie below all that
    were met and those of some others above, as many as `unseen` allows, each end with half of its error for either
    kind; the best case is the other way round. With fewer than 86 images outside the class, at 95 %, the first 5 % of
    them may all be of that kind, and nothing is known of the recall there.

    Args:
        truth: (n,) bool, which images are of the class; some are and some are not.
        score: (n,) float in [0, 1].
        level: confidence in (0, 1).
    """
    positives, negatives = int(truth.sum()), int((~truth).sum())
    hidden = [unseen(count, (1 + level) / 2) for count in (positives, negatives)]
    weights = np.ones((1, len(truth) + 2))
    weights[0, -2:] = [h / (1 - h) * count for h, count in zip(hidden, (positives, negatives), strict=True)]

    def extended(of_class: float, of_others: float) -> np.ndarray:
        return Ranking(np.append(truth, [True, False]), np.append(score, [of_class, of_others]))(weights)[:, 0]

    area, precision, recall, alarms = Ranking(truth, score)(np.ones((1, len(truth))))[:, 0]
    worst, best = extended(-1, 2), extended(2, -1)
    return [
        auc_interval(float(area), positives, negatives, level),
        wilson(float(precision) * positives, positives, level),
        Interval(float(recall), float(worst[2]), float(best[2])),
        Interval(float(alarms), float(best[3]), float(worst[3])),
    ]
