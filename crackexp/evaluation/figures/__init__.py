"""The figures of a run, as matplotlib figures to be saved by whoever asked; pyplot has no part in them."""

from crackexp.evaluation.figures.architecture import architecture
from crackexp.evaluation.figures.calibration import reliability_diagram
from crackexp.evaluation.figures.confusion import confusion_matrix
from crackexp.evaluation.figures.evidence import evidence
from crackexp.evaluation.figures.grids import (
    augmentation_grid,
    error_gallery,
    gallery,
    prediction_grid,
    sample_grid,
)
from crackexp.evaluation.figures.ranking import precision_recall_curve, roc_curve
from crackexp.evaluation.figures.sweep import sweep_figures
from crackexp.evaluation.figures.training import training_curves

__all__ = [
    "architecture",
    "augmentation_grid",
    "confusion_matrix",
    "error_gallery",
    "evidence",
    "gallery",
    "precision_recall_curve",
    "prediction_grid",
    "reliability_diagram",
    "roc_curve",
    "sample_grid",
    "sweep_figures",
    "training_curves",
]
