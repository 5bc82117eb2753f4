"""What probabilities are worth against labels: twelve metrics, each with its interval."""

from collections.abc import Sequence

import numpy as np

from crackexp.metrics.closed_forms import bounded_mean, curve_intervals
from crackexp.metrics.intervals import (
    Interval,
    correlation_of,
    covering,
    grouped_interval,
    mean_of,
    normal,
    percentile_interval,
    resampled_counts,
    student,
    unseen,
    wilson,
    without_point,
)
from crackexp.metrics.scorer import SHIFT, Scorer
from crackexp.seeds import generator

SUM_TOLERANCE = 1e-3


def evaluate_predictions(
    labels: np.ndarray,
    probabilities: np.ndarray,
    positive: int,
    seed: int,
    level: float = 0.95,
    resamples: int = 1000,
    groups: np.ndarray | None = None,
) -> dict[str, Interval]:
    """Judges the predictions for n images.

    An image is predicted to be of its most probable class. With two classes, precision, recall, f1, roc_auc,
    average_precision, recall_at_fpr_5 and fpr_at_recall_95 are those of the class `positive`; with more they are the
    mean over the classes, each against the rest. `balanced_accuracy` is the mean recall of the classes. `log_loss`,
    `brier` and `average_precision` are scikit-learn's: brier in [0, 1] for two classes, the sum over the classes in
    [0, 2] for more. `ece` is the expected calibration error of the top probability in 15 bins of equal width (Guo et
    al. 2017, "On Calibration of Modern Neural Networks", arXiv:1706.04599). `recall_at_fpr_5` is the recall at the
    threshold that lets 5 % of the other images pass for positive, `fpr_at_recall_95` the share of other images that
    pass at the threshold that finds 95 %: both are read off scikit-learn's ROC curve, whose points are joined by
    straight lines, as its `roc_auc_score(max_fpr=...)` does; of several points at one place the best counts.

    What `labels` and predictions leave undefined is left out of the result: recall of a class without
    images, precision of a class that nothing is predicted to be, and what is read off the curves where all
    images or none are of the class. A mean over classes leaves out the undefined ones. Where all images are of one
    class, precision and f1 are left out too: without the other class a precision is 1 or 0 whatever the model does.

    Intervals where images are independent: accuracy, precision, recall and means of them over classes by `wilson` and
    `mean_of`, f1 of two classes by `f1_interval`, ece by `ece_interval`, the others by the percentiles of a bootstrap
    over images. Resamples in which a metric is undefined are left out of its percentiles. Where no image is ranked
    wrongly, none is in any resample, and the percentiles are a point. So the intervals of roc_auc, average_precision,
    recall_at_fpr_5, fpr_at_recall_95 and brier also cover those of `curve_intervals` and `bounded_mean`, which reckon
    with images that were not met. A log_loss has no such bound: one that is the same for every image has no interval.

    Intervals where `groups` are given: `grouped_interval`, for every metric. They are never narrower than the closed
    forms above, so that a perfect score keeps a width, which is then that over images. With one group there are none:
    nan.

    Args:
        labels: (n,) int in [0, c).
        probabilities: (n, c) float, rows of sum 1.
        positive: index of the positive class of two; with more classes it changes nothing.
        seed: of the bootstrap's stream.
        level: confidence in (0, 1).
        resamples: of the bootstrap.
        groups: (n,) of any type, equal for images that resemble each other, such as the patches of one photo; None:
            the images are independent.

    Returns:
        Metric to interval, in the order accuracy, precision, recall, f1, balanced_accuracy, roc_auc,
        average_precision, recall_at_fpr_5, fpr_at_recall_95, log_loss, brier, ece; all but log_loss, and brier of more
        than two classes, in [0, 1].

    Raises:
        ValueError: shapes, labels or probabilities are not as said, such as NaN.
    """
    return Resampled(labels, probabilities, positive, seed, resamples, groups).intervals(level)


class Resampled:
    """The metrics of n images, and of resamples of them.

    Args:
        labels: see `evaluate_predictions`, as all that follow.
        probabilities: (n, c) float.
        positive: index.
        seed: equal seeds, equal resamples of n images.
        resamples: number of them.
        groups: (n,), or None.

    Attributes:
        value: metric to value, nan where undefined.
        samples: metric to (resamples,) float64, nan where undefined; none where there is but one group.
        groups: how many there are; None where the images are independent.

    Raises:
        ValueError: as `evaluate_predictions`.
    """

    def __init__(
        self,
        labels: np.ndarray,
        probabilities: np.ndarray,
        positive: int,
        seed: int,
        resamples: int,
        groups: np.ndarray | None = None,
    ) -> None:
        self.labels = np.asarray(labels)
        check_predictions(self.labels, probabilities)
        self.probabilities = probabilities
        self.positive = positive
        members = None if groups is None else np.unique(groups, return_inverse=True)[1]
        self.groups = None if members is None else int(members.max()) + 1
        self.scorer = Scorer(self.labels, probabilities, positive)
        self.value = {name: float(score[0]) for name, score in self.scorer(np.ones((1, len(self.labels)))).items()}
        if self.groups == 1:
            self.samples = {name: np.empty(0) for name in self.value}
        else:
            rng = generator(seed, "bootstrap")
            chunks = [self.scorer(counts) for counts in resampled_counts(len(self.labels), resamples, rng, members)]
            self.samples = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in self.value}
        del self.value[SHIFT]
        if len(np.unique(self.labels)) == 1:
            self.value |= {"precision": np.nan, "f1": np.nan}

    def intervals(self, level: float) -> dict[str, Interval]:
        """Returns each metric that is defined, with its interval; see `evaluate_predictions`."""
        defined = [name for name, value in self.value.items() if not np.isnan(value)]
        scores = {name: self.interval(name, self.value[name], self.samples[name], level) for name in defined}
        if self.groups == 1:
            return scores
        for name, found in self._proportions(level).items():
            if name not in scores:
                continue
            scores[name] = found if self.groups is None else covering(scores[name], found)
        for name, found in self._edges(level).items():
            resampled = scores[name]
            scores[name] = found if np.isnan(resampled.low) else covering(resampled, found)
        shifts = self.samples[SHIFT]
        if self.groups is not None:
            shifts = shifts * student(self.groups, level) / normal(level)
        scores["ece"] = ece_interval(scores["ece"], shifts, level, len(self.labels))
        return {name: without_point(scores[name]) for name in defined}

    def interval(self, name: str, value: float, samples: np.ndarray, level: float) -> Interval:
        """Returns `value` of the metric `name` with the interval that values of the resamples give it."""
        if self.groups is None:
            return percentile_interval(value, samples, level)
        bounded = name != "log_loss" and (name != "brier" or self.scorer.binary)
        return grouped_interval(value, samples, self.groups, level, bounded)

    def _proportions(self, level: float) -> dict[str, Interval]:
        return _proportions(self.labels, self.scorer.predictions, self.scorer.classes, self.positive, level)

    def _edges(self, level: float) -> dict[str, Interval]:
        """Returns the intervals of the metrics that a bootstrap cannot judge where every image is as it should be."""
        found = curve_intervals(self.labels, self.probabilities, self.scorer.classes, level)
        most = 1.0 if self.scorer.binary else 2.0
        return found | {"brier": bounded_mean(self.value["brier"], most, len(self.labels), level)}


def mean_scores(parts: Sequence[Resampled], level: float) -> dict[str, Interval]:
    """Returns the mean of each metric over several judgements of the same images, with its interval.

    The interval is that of `mean_of`, from the intervals of the parts. The resamples of the parts are the same, and
    tell how their metrics go together, so that what makes an image hard in all of them is reckoned with. A metric that
    is undefined in one part is left out.

    Args:
        parts: of the same labels, seed, resamples and groups; one at least.
        level: confidence in (0, 1).
    """
    judged = [part.intervals(level) for part in parts]
    return {
        name: mean_of(
            [scores[name] for scores in judged], correlation_of(np.array([part.samples[name] for part in parts]))
        )
        for name in judged[0]
        if all(name in scores for scores in judged)
    }


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


def ece_interval(percentiles: Interval, shifts: np.ndarray, level: float, images: int) -> Interval:
    """Returns ece with an interval that holds the truth as often as it says, for a calibrated network too.

    An estimate of ece is too high, for noise moves every bin away from the diagonal, and a resample adds the
    noise once more: percentiles alone miss the ece of a calibrated network, 0, every time. They do for the
    upper end; the lower end uses |ece - estimate| <= the sum over the bins of |gap - its estimate|, by the
    triangle inequality, with the bootstrap's distribution of that sum. Images of a kind that was not met, such as
    errors where all predictions are right, may move ece by their share, see `unseen`.

    Args:
        percentiles: the estimate with the bootstrap's percentiles.
        shifts: (resamples,) the sum of each resample, in [0, 2].
        level: confidence in (0, 1).
        images: how many there are.
    """
    value, hidden = percentiles.value, unseen(images, level)
    low = value - max(float(np.quantile(shifts, (1 + level) / 2)), hidden)
    return Interval(value, max(0.0, low), min(1.0, max(value + hidden, percentiles.high)))


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
