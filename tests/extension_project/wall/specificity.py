"""A metric."""

from crackexp.metrics import Metric, Predictions


class Specificity(Metric):
    """The share of the negative images that are predicted as negative."""

    lowest, highest = 0.0, 1.0

    def compute(self, predictions: Predictions) -> float:
        negative = predictions.labels != predictions.positive
        return float(predictions.correct[negative].mean()) if negative.any() else float("nan")
