"""Intervals without a bootstrap, which have a width also where a score is perfect, as every resample then is."""

import numpy as np
from scipy.optimize import brentq

from crackexp.metrics.intervals import Interval, normal, unseen, wilson
from crackexp.metrics.scorer import Curves, Ranking


def f1_interval(hits: int, misses: int, level: float) -> Interval:
    """Returns f1 with its interval, from Wilson's for f / (2 - f) = hits / (hits + misses).

    This share is Hand, Christen and Kirielle's F* (2021, "F*: an interpretable transformation of the
    F-measure", Machine Learning 110, 451-456), a plain proportion; f1 rises with it.

    Args:
        hits: The number of true positives.
        misses: The number of false positives and false negatives; with the hits it is at least 1.
        level: The confidence, in (0, 1).
    """
    share = wilson(hits, hits + misses, level)
    return Interval(*(2 * end / (1 + end) for end in (share.value, share.low, share.high)))


def ece_interval(percentiles: Interval, shifts: np.ndarray, level: float, images: int) -> Interval:
    """Returns the expected calibration error with an interval that has its coverage for a calibrated network too.

    An estimate of ece is too high, for noise moves every bin away from the diagonal, and a resample adds the
    noise once more: percentiles alone miss the ece of a calibrated network, 0, every time. They do for the
    upper end; the lower end uses |ece - estimate| <= the sum over the bins of |gap - its estimate|, by the
    triangle inequality, with the bootstrap's distribution of that sum. Images of a kind that was not met, such as
    errors where all predictions are right, may move ece by their share, see `unseen`.

    Args:
        percentiles: The estimate with the percentiles of the bootstrap.
        shifts: The sum over the bins of each resample, (resamples,) in [0, 2].
        level: The confidence, in (0, 1).
        images: The number of images.
    """
    value, hidden = percentiles.value, unseen(images, level)
    low = value - max(float(np.quantile(shifts, (1 + level) / 2)), hidden)
    return Interval(value, max(0.0, low), min(1.0, max(value + hidden, percentiles.high)))


def auc_interval(value: float, positives: int, negatives: int, level: float) -> Interval:
    """Returns an area under the ROC curve with its score interval.

    It is method 5 of Newcombe (2006, "Confidence intervals for an effect size measure based on the Mann-Whitney
    statistic. Part 2", Statistics in Medicine 25, 559-573): the areas within z standard errors of the estimate, where
    the error is that of Hanley and McNeil (1982) at the area asked about, with half of all images in each class.

    Args:
        value: The estimate, in [0, 1].
        positives: The number of images of the class, at least 1.
        negatives: The number of other images, at least 1.
        level: The confidence, in (0, 1).
    """
    z, mean = normal(level), (positives + negatives) / 2

    def lower(area: float) -> float:
        def beyond(x: float) -> float:
            spread = 2 * mean - 1 - 3 * (mean - 1) / ((2 - x) * (1 + x))
            return (area - x) ** 2 - z**2 * x * (1 - x) * spread / (positives * negatives)

        return float(brentq(beyond, 0.0, area * (1 - 1e-9))) if area > 0 else 0.0

    return Interval(value, lower(value), 1 - lower(1 - value))


def bounded_mean(value: float, highest: float, images: int, level: float) -> Interval:
    """Returns a mean of losses in [0, highest] with an interval that allows for images of a kind that was not met.

    The share of that kind may be as large as `unseen` says, and the loss on it anything.

    Args:
        value: The mean.
        highest: The largest possible loss.
        images: The number of images.
        level: The confidence, in (0, 1).
    """
    hidden = unseen(images, level)
    return Interval(value, value - hidden * value, value + hidden * (highest - value))


def extremes(truth: np.ndarray, score: np.ndarray, level: float) -> tuple[Curves, Curves]:
    """Returns the worst and the best curves that one class against the rest may have, as far as the images can tell.

    What is read off the ROC curve at a place depends on the tail of one class and on a share of the other, and
    nothing is assumed about either. The worst case is that the scores of some images of the class lie below all that
    were met and those of some others above, as many as `unseen` allows, each end with half of its error for either
    kind; the best case is the other way round. With fewer than 86 images outside the class, at 95 %, the first 5 % of
    them may all be of that kind, and nothing is known of the recall there.

    Args:
        truth: Whether each image is of the class, (n,) bool; some are and some are not.
        score: The score of each image, (n,) float in [0, 1].
        level: The confidence, in (0, 1).
    """
    positives, negatives = int(truth.sum()), int((~truth).sum())
    hidden = [unseen(count, (1 + level) / 2) for count in (positives, negatives)]
    weights = np.ones((1, len(truth) + 2))
    weights[0, -2:] = [h / (1 - h) * count for h, count in zip(hidden, (positives, negatives), strict=True)]

    def extended(of_class: float, of_others: float) -> Curves:
        return Ranking(np.append(truth, [True, False]), np.append(score, [of_class, of_others]))(weights)

    return extended(-1, 2), extended(2, -1)
