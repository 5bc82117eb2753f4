"""What probabilities are worth against labels: ten metrics, each with its interval."""

import numpy as np

from crackexp.evaluation.statistics import (
    Interval,
    mean_of,
    percentile_interval,
    resampled_counts,
    wilson,
)
from crackexp.seeds import generator

ECE_BINS = 15
SUM_TOLERANCE = 1e-3
SHIFT = "ece_shift"
"""How far the calibration gaps of a resample lie from those of the images, summed over the bins."""


def evaluate_predictions(
    labels: np.ndarray,
    probabilities: np.ndarray,
    positive: int,
    seed: int,
    level: float = 0.95,
    resamples: int = 1000,
) -> dict[str, Interval]:
    """Judges the predictions for n images.

    An image is predicted to be of its most probable class. With two classes, precision, recall, f1, roc_auc
    and average_precision are those of the class `positive`; with more they are the mean over the classes, each
    against the rest. `balanced_accuracy` is the mean recall of the classes. `log_loss`, `brier` and
    `average_precision` are scikit-learn's: brier in [0, 1] for two classes, the sum over the classes in [0, 2]
    for more. `ece` is the expected calibration error of the top probability in 15 bins of equal width (Guo et
    al. 2017, "On Calibration of Modern Neural Networks", arXiv:1706.04599).

    What `labels` and predictions leave undefined is left out of the result: recall of a class without
    images, precision of a class that nothing is predicted to be, roc_auc and average_precision where all
    images or none are of the class. A mean over classes leaves out the undefined ones.

    Intervals: accuracy, precision, recall and means of them over classes by `wilson` and `mean_of`, f1 of two
    classes by `f1_interval`, ece by `ece_interval`, the others by the percentiles of a bootstrap over images.
    Resamples in which a metric is undefined are left out of its percentiles. Where no image is ranked wrongly,
    none is in a resample: the intervals of roc_auc and average_precision are then a point, and say nothing.

    Args:
        labels: (n,) int in [0, c).
        probabilities: (n, c) float, rows of sum 1.
        positive: index of the positive class.
        seed: of the bootstrap's stream.
        level: confidence in (0, 1).
        resamples: of the bootstrap.

    Returns:
        Metric to interval, in the order accuracy, precision, recall, f1, balanced_accuracy, roc_auc,
        average_precision, log_loss, brier, ece; the first seven, brier of two classes and ece in [0, 1].

    Raises:
        ValueError: shapes, labels or probabilities are not as said, such as NaN.
    """
    labels = np.asarray(labels)
    check_predictions(labels, probabilities)
    scorer = _Scorer(labels, probabilities, positive)
    value = {name: float(score[0]) for name, score in scorer(np.ones((1, len(labels)))).items()}
    rng = generator(seed, "bootstrap")
    chunks = [scorer(counts) for counts in resampled_counts(len(labels), resamples, rng)]
    samples = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in value}
    del value[SHIFT]
    scores = {name: percentile_interval(value[name], samples[name], level) for name in value}
    scores |= _proportions(labels, scorer.predictions, scorer.classes, positive, level)
    scores["ece"] = ece_interval(scores["ece"], samples[SHIFT], level)
    return {name: scores[name] for name in value if not np.isnan(value[name])}


def check_predictions(labels: np.ndarray, probabilities: np.ndarray) -> None:
    """Raises ValueError where `probabilities` are no (n, c) probabilities of the (n,) `labels`."""
    shapes = f"Received: labels of shape {labels.shape}, probabilities of {probabilities.shape}"
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1]:
        raise ValueError(f"Labels must be (n,) and probabilities (n, c). {shapes}")
    n, c = probabilities.shape
    if n == 0 or c < 2:
        raise ValueError(f"There must be an image and two classes at least. {shapes}")
    if labels.min() < 0 or labels.max() >= c:
        raise ValueError(f"Labels must lie in [0, {c}). Received: {labels.min()} to {labels.max()}")
    missing = np.isnan(probabilities).any(axis=1).sum()
    if missing:
        raise ValueError(
            f"The probabilities of {missing} of {n} images are NaN: the network overflowed, in training or "
            f"in its precision. Received: {missing} rows with NaN"
        )
    sums = probabilities.sum(axis=1, dtype=np.float64)
    wrong = (probabilities < 0).any(axis=1) | (np.abs(sums - 1) > SUM_TOLERANCE)
    if wrong.any():
        raise ValueError(
            f"The probabilities of an image must be at least 0, with sum 1; those of {wrong.sum()} of {n} "
            f"images are not. Received: {probabilities[wrong.argmax()]} for image {wrong.argmax()}"
        )


def f1_interval(hits: int, misses: int, level: float) -> Interval:
    """Returns f1 with its interval, from Wilson's for f / (2 - f) = hits / (hits + misses).

    This share is Hand, Christen and Kirielle's F* (2021, "F*: an interpretable transformation of the
    F-measure", Machine Learning 110, 451-456), a plain proportion; f1 rises with it.

    Args:
        hits: true positives.
        misses: false positives and false negatives together; at least 1 with the hits.
        level: confidence in (0, 1).
    """
    share = wilson(hits, hits + misses, level)
    return Interval(*(2 * end / (1 + end) for end in (share.value, share.low, share.high)))


def ece_interval(percentiles: Interval, shifts: np.ndarray, level: float) -> Interval:
    """Returns ece with an interval that holds the truth as often as it says, for a calibrated network too.

    An estimate of ece is too high, for noise moves every bin away from the diagonal, and a resample adds the
    noise once more: percentiles alone miss the ece of a calibrated network, 0, every time. They do for the
    upper end; the lower end uses |ece - estimate| <= the sum over the bins of |gap - its estimate|, by the
    triangle inequality, with the bootstrap's distribution of that sum.

    Args:
        percentiles: the estimate with the bootstrap's percentiles.
        shifts: (resamples,) the sum of each resample, in [0, 2].
        level: confidence in (0, 1).
    """
    value = percentiles.value
    low = max(0.0, value - float(np.quantile(shifts, (1 + level) / 2)))
    return Interval(value, low, max(value, percentiles.high))


def calibration_bins(confidence: np.ndarray) -> np.ndarray:
    """Returns the bin in [0, `ECE_BINS`) of each top probability in (0, 1]; bin b holds (b, b + 1] / bins."""
    return np.clip(np.ceil(confidence * ECE_BINS).astype(int) - 1, 0, ECE_BINS - 1)


class _Scorer:
    """Computes all metrics for many weightings of the images at once.

    Called with (r, n) weights, it returns metric to (r,) values, nan where undefined.
    """

    def __init__(self, labels: np.ndarray, probabilities: np.ndarray, positive: int) -> None:
        n, c = probabilities.shape
        self.binary = c == 2
        self.classes = [positive] if self.binary else list(range(c))
        self.predictions = probabilities.argmax(axis=1)
        exact = probabilities.astype(np.float64)
        truth = np.eye(c)[labels]
        guess = np.eye(c)[self.predictions]
        confidence = exact.max(axis=1)
        gap = np.zeros((n, ECE_BINS))
        gap[np.arange(n), calibration_bins(confidence)] = confidence - (self.predictions == labels)
        self.gap = gap.mean(axis=0)
        smallest = np.finfo(probabilities.dtype).eps
        surprise = -np.log(np.clip(exact[np.arange(n), labels], smallest, 1 - smallest))
        brier = np.sum((exact - truth) ** 2, axis=1) / (2 if self.binary else 1)
        self.columns = np.column_stack([truth, guess, truth * guess, gap, surprise, brier])
        self.edges = np.cumsum([c, c, c, ECE_BINS, 1])
        self.rankings = [_Ranking(labels == k, probabilities[:, k]) for k in self.classes]

    def __call__(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        sums = np.split(weights @ self.columns, self.edges, axis=1)
        truth, guess, hits, gap, surprise, brier = sums
        total = weights.sum(axis=1)
        recall = _ratio(hits, truth)
        areas = np.array([ranking(weights) for ranking in self.rankings])
        return {
            "accuracy": hits.sum(axis=1) / total,
            "precision": _mean(_ratio(hits, guess)[:, self.classes]),
            "recall": _mean(recall[:, self.classes]),
            "f1": _mean(_ratio(2 * hits, truth + guess)[:, self.classes]),
            "balanced_accuracy": _mean(recall),
            "roc_auc": _mean(areas[:, 0].T),
            "average_precision": _mean(areas[:, 1].T),
            "log_loss": surprise[:, 0] / total,
            "brier": brier[:, 0] / total,
            "ece": np.abs(gap / total[:, None]).sum(axis=1),
            SHIFT: np.abs(gap / total[:, None] - self.gap).sum(axis=1),
        }


class _Ranking:
    """Areas under the ROC and the precision-recall curve of one class, for many weightings at once."""

    def __init__(self, truth: np.ndarray, score: np.ndarray) -> None:
        order = np.argsort(score, kind="stable")
        self.positives, self.negatives = order[truth[order]], order[~truth[order]]
        thresholds, others = score[self.positives], score[self.negatives]
        self.first = np.searchsorted(thresholds, thresholds, "left")
        self.below = np.searchsorted(others, thresholds, "left")
        self.upto = np.searchsorted(others, thresholds, "right")

    def __call__(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        positive = weights[:, self.positives]
        positives, negatives = _cumulative(positive), _cumulative(weights[:, self.negatives])
        below = negatives[:, self.below]
        true = positives[:, -1:] - positives[:, self.first]
        found = true + negatives[:, -1:] - below
        beaten = (below + negatives[:, self.upto]) / 2
        area = np.einsum("ij,ij->i", positive, beaten)
        precision = np.einsum("ij,ij->i", positive, true / np.maximum(found, 1))
        p, n = positives[:, -1], negatives[:, -1]
        return _ratio(area, p * n), _ratio(precision, np.where(n > 0, p, 0))


def _cumulative(values: np.ndarray) -> np.ndarray:
    """Returns the sums of the first 0, 1, ..., n numbers of each row."""
    sums = np.zeros((len(values), values.shape[1] + 1))
    np.cumsum(values, axis=1, out=sums[:, 1:])
    return sums


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


def _mean(values: np.ndarray) -> np.ndarray:
    """Returns the mean of each row's numbers that are not nan; nan for a row of nan."""
    return _ratio(np.nansum(values, axis=1), np.sum(~np.isnan(values), axis=1))


def _proportions(
    labels: np.ndarray, predictions: np.ndarray, classes: list[int], positive: int, level: float
) -> dict[str, Interval]:
    """Returns the metrics that are proportions, or means of proportions of different images."""
    hit = predictions == labels

    def shares(of: np.ndarray, chosen: list[int]) -> Interval | None:
        groups = [hit[of == k] for k in chosen]
        parts = [wilson(int(group.sum()), len(group), level) for group in groups if len(group)]
        return mean_of(parts) if parts else None

    found: dict[str, Interval | None] = {
        "accuracy": wilson(int(hit.sum()), len(hit), level),
        "precision": shares(predictions, classes),
        "recall": shares(labels, classes),
        "balanced_accuracy": shares(labels, list(np.unique(labels))),
    }
    if len(classes) == 1:
        hits = int(np.sum(hit & (labels == positive)))
        misses = int(np.sum(~hit & ((labels == positive) | (predictions == positive))))
        found["f1"] = f1_interval(hits, misses, level) if hits + misses else None
    return {name: interval for name, interval in found.items() if interval}
