"""Figures that any report may hold, as matplotlib figures which the caller saves; pyplot has no part in them."""

from crackexp.reporting.figures.architecture import architecture
from crackexp.reporting.figures.confusion import confusion_matrix
from crackexp.reporting.figures.evidence import evidence
from crackexp.reporting.figures.grids import (
    augmentation_grid,
    error_gallery,
    gallery,
    prediction_grid,
    sample_grid,
)
from crackexp.reporting.figures.ranking import precision_recall_curve, roc_curve
from crackexp.reporting.figures.training import training_curves

__all__ = [
    "architecture",
    "augmentation_grid",
    "confusion_matrix",
    "error_gallery",
    "evidence",
    "gallery",
    "precision_recall_curve",
    "prediction_grid",
    "roc_curve",
    "sample_grid",
    "training_curves",
]
