"""A metric."""

from crackexp.metrics import Metric, Predictions


class Specificity(Metric):
    """The share of the sound images that are called sound."""

    lowest, highest = 0.0, 1.0

    def compute(self, predictions: Predictions) -> float:
        sound = predictions.labels != predictions.positive
        return float(predictions.correct[sound].mean()) if sound.any() else float("nan")
