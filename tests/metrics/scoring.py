"""Scores of arrays, and the closed forms of the metrics that are read off curves."""

import numpy as np

from crackexp.metrics import Bootstrap, Interval, Predictions, evaluate_predictions
from crackexp.metrics.curves import CurveMetric
from crackexp.metrics.standard import STANDARD


def scores_of(
    labels: np.ndarray,
    probabilities: np.ndarray,
    positive: int,
    seed: int = 0,
    level: float = 0.95,
    resamples: int = 1000,
    groups: np.ndarray | None = None,
) -> dict[str, Interval]:
    """Returns the standard metrics."""
    return evaluate_predictions(Predictions(labels, probabilities, positive, groups), Bootstrap(seed, level, resamples))


def curve_intervals(labels: np.ndarray, probabilities: np.ndarray, positive: int, level: float) -> dict[str, Interval]:
    """Returns the closed form of each metric that is read off curves; none where it is undefined."""
    predictions = Predictions(labels, probabilities, positive)
    curves = {name: metric for name, metric in STANDARD.items() if isinstance(metric, CurveMetric)}
    found = {name: metric.closed_form(predictions, np.nan, level) for name, metric in curves.items()}
    return {name: interval for name, interval in found.items() if interval}
