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
from crackexp.evaluation.figures.robustness import corruption_sheet, robustness_curves
from crackexp.evaluation.figures.sets import part_scores
from crackexp.evaluation.figures.sweep import sweep_figures
from crackexp.evaluation.figures.training import training_curves

__all__ = [
    "architecture",
    "augmentation_grid",
    "confusion_matrix",
    "corruption_sheet",
    "error_gallery",
    "evidence",
    "gallery",
    "part_scores",
    "precision_recall_curve",
    "prediction_grid",
    "reliability_diagram",
    "robustness_curves",
    "roc_curve",
    "sample_grid",
    "sweep_figures",
    "training_curves",
]
