"""Metrics of predictions, with confidence intervals."""

from crackexp.metrics.curves import AveragePrecision, FPRAtRecall, RecallAtFPR, RocAuc
from crackexp.metrics.evaluation import evaluate_predictions
from crackexp.metrics.intervals import Interval
from crackexp.metrics.metric import MeanMetric, Metric
from crackexp.metrics.predictions import Bootstrap, Predictions
from crackexp.metrics.standard import (
    F1,
    STANDARD,
    Accuracy,
    BalancedAccuracy,
    BrierScore,
    CalibrationError,
    LogLoss,
    Precision,
    Recall,
)

__all__ = [
    "F1",
    "STANDARD",
    "Accuracy",
    "AveragePrecision",
    "BalancedAccuracy",
    "Bootstrap",
    "BrierScore",
    "CalibrationError",
    "FPRAtRecall",
    "Interval",
    "LogLoss",
    "MeanMetric",
    "Metric",
    "Precision",
    "Predictions",
    "Recall",
    "RecallAtFPR",
    "RocAuc",
    "evaluate_predictions",
]
