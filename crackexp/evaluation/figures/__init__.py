"""Figures of an evaluated classifier, drawn from the objects of this room."""

from crackexp.evaluation.figures.calibration import reliability_diagram
from crackexp.evaluation.figures.robustness import corruption_sheet, robustness_curves
from crackexp.evaluation.figures.sets import subset_scores

__all__ = ["corruption_sheet", "reliability_diagram", "robustness_curves", "subset_scores"]
