"""The metrics of a judged classifier, for many weightings of its images at once."""

from collections.abc import Callable

import numpy as np

Curve = Callable[[np.ndarray], np.ndarray]
ECE_BINS = 15
SHIFT = "ece_shift"
"""How far the calibration gaps of a resample lie from those of the images, summed over the bins."""
FALSE_ALARMS = 0.05
FOUND = 0.95


def calibration_bins(confidence: np.ndarray) -> np.ndarray:
    """Returns the bin in [0, `ECE_BINS`) of each top probability in (0, 1]; bin b holds (b, b + 1] / bins."""
    return np.clip(np.ceil(confidence * ECE_BINS).astype(int) - 1, 0, ECE_BINS - 1)


class Scorer:
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
        self.rankings = [Ranking(labels == k, probabilities[:, k]) for k in self.classes]

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
            "recall_at_fpr_5": _mean(areas[:, 2].T),
            "fpr_at_recall_95": _mean(areas[:, 3].T),
            "log_loss": surprise[:, 0] / total,
            "brier": brier[:, 0] / total,
            "ece": np.abs(gap / total[:, None]).sum(axis=1),
            SHIFT: np.abs(gap / total[:, None] - self.gap).sum(axis=1),
        }


class Ranking:
    """What the ROC and the precision-recall curve of one class say, for many weightings at once."""

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

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        """Returns (4, r) float64: both areas, recall at `FALSE_ALARMS`, false positive rate at recall `FOUND`."""
        positive = weights[:, self.positives]
        positives, negatives = _cumulative(positive), _cumulative(weights[:, self.negatives])
        p, n = positives[:, -1], negatives[:, -1]
        below = negatives[:, self.below]
        true = positives[:, -1:] - positives[:, self.first]
        found = true + negatives[:, -1:] - below
        beaten = (below + negatives[:, self.upto]) / 2
        area = np.einsum("ij,ij->i", positive, beaten)
        precision = np.einsum("ij,ij->i", positive, true / np.maximum(found, 1))
        rows = np.arange(len(weights))

        def recall(point: np.ndarray) -> np.ndarray:
            return _ratio(p - positives[rows, self.missed[point]], p)

        def alarms(point: np.ndarray) -> np.ndarray:
            return _ratio(n - negatives[rows, self.quiet[point]], n)

        last = np.full(len(weights), len(self.missed) - 1)
        return np.stack(
            [
                _ratio(area, p * n),
                _ratio(precision, np.where(n > 0, p, 0)),
                _height(alarms, recall, lambda x: x <= FALSE_ALARMS, FALSE_ALARMS, last),
                _height(recall, alarms, lambda x: x < FOUND, FOUND, last),
            ]
        )


def _height(
    x: Curve, y: Curve, before: Callable[[np.ndarray], np.ndarray], place: float, last: np.ndarray
) -> np.ndarray:
    """Returns the height at `place` of r curves of straight lines that rise from (0, 0) to (1, 1), (r,); nan where nan.

    Args:
        x: of the curves, maps the number of a point of each curve, (r,) int, to where it lies, (r,) float64.
        y: likewise, how high.
        before: whether a point at x, (r,), stands to the left: true of the first point, false of the last.
        place: in (0, 1).
        last: (r,) int, the number of the last points.
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


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


def _mean(values: np.ndarray) -> np.ndarray:
    """Returns the mean of each row's numbers that are not nan; nan for a row of nan."""
    return _ratio(np.nansum(values, axis=1), np.sum(~np.isnan(values), axis=1))
