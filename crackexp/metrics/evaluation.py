"""Evaluates predictions: every metric with its interval."""

from collections.abc import Mapping, Sequence

import numpy as np

from crackexp.metrics.intervals import Interval, correlation_of, mean_of, without_point
from crackexp.metrics.metric import Metric, first_row
from crackexp.metrics.predictions import Bootstrap, Predictions
from crackexp.metrics.scorer import Scorer
from crackexp.metrics.standard import STANDARD


def evaluate_predictions(
    predictions: Predictions, bootstrap: Bootstrap, metrics: Mapping[str, Metric] = STANDARD
) -> dict[str, Interval]:
    """Returns the metrics of the predictions by their names, each with its interval.

    An image is predicted to be of its most probable class. With two classes, precision, recall, f1, roc_auc,
    average_precision, recall_at_fpr_5 and fpr_at_recall_95 are those of the positive class; with more they are the
    mean over the classes, each against the rest.

    Metrics that are undefined for the labels and predictions are left out: recall of a class without images, precision
    of a class that is never predicted, and those of curves where all images or none are of the class.

    Where images are independent, intervals are closed forms or the percentiles of a bootstrap over images, as each
    metric says. Resamples in which a metric is undefined are left out of its percentiles. Where images come in groups,
    intervals are those of `grouped_interval`, and never narrower than the closed forms, so that a perfect score keeps a
    width, which is then that over images. With one group there are none: nan.

    Example:

    >>> labels, probabilities = np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]])
    >>> scores = evaluate_predictions(Predictions(labels, probabilities, positive=1), Bootstrap(seed=0, resamples=100))
    >>> scores["accuracy"].value, round(scores["accuracy"].low, 2)
    (1.0, 0.27)

    Args:
        predictions: The predictions for n images.
        bootstrap: The bootstrap of the intervals.
        metrics: The metrics by their names.
    """
    return Resampled(predictions, bootstrap, metrics).intervals()


class Resampled:
    """The metrics of predictions, and of resamples of them.

    Args:
        predictions: The predictions for n images.
        bootstrap: The bootstrap of the resamples.
        metrics: The metrics by their names.

    Attributes:
        value: The value of each metric, nan where it is undefined.
        samples: The result of `Metric.resampled` for all resamples; empty where there is only one group.
    """

    def __init__(
        self, predictions: Predictions, bootstrap: Bootstrap, metrics: Mapping[str, Metric] = STANDARD
    ) -> None:
        self.predictions, self.bootstrap, self.metrics = predictions, bootstrap, metrics
        scorer = Scorer(predictions)
        images, one_class = len(predictions), len(np.unique(predictions.labels)) == 1

        def scores(weights: np.ndarray) -> dict[str, np.ndarray]:
            weighted = scorer(weights)
            return {name: metric.resampled(weighted) for name, metric in metrics.items()}

        self.value = {name: float(first_row(score)[0]) for name, score in scores(np.ones((1, images))).items()}
        if one_class:
            self.value |= {name: np.nan for name, metric in metrics.items() if metric.needs_both_classes}
        if predictions.group_count == 1:
            self.samples = {name: np.empty(0) for name in metrics}
        else:
            chunks = [scores(counts) for counts in bootstrap.counts(images, predictions.members)]
            self.samples = {name: np.concatenate([chunk[name] for chunk in chunks], axis=-1) for name in metrics}

    def intervals(self) -> dict[str, Interval]:
        """Returns each metric that is defined, with its interval; see `evaluate_predictions`."""
        return {
            name: without_point(
                self.metrics[name].interval(self.predictions, value, self.samples[name], self.bootstrap.level)
            )
            for name, value in self.value.items()
            if not np.isnan(value)
        }


def mean_scores(resampled: Sequence[Resampled]) -> dict[str, Interval]:
    """Returns the mean of each metric over several predictions for the same images, with its interval.

    The interval is that of `mean_of`. The resamples of all predictions are the same, and so show how their metrics are
    correlated, since an image may be hard in all of them. A metric that is undefined for one of them is left out.

    Args:
        resampled: The resampled predictions, with the same labels, groups, bootstrap and metrics; at least one.
    """
    scores = [each.intervals() for each in resampled]
    return {
        name: mean_of(
            [intervals[name] for intervals in scores],
            correlation_of(np.array([first_row(each.samples[name]) for each in resampled])),
        )
        for name in scores[0]
        if all(name in intervals for intervals in scores)
    }
