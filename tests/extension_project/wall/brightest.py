"""A section of a report."""

import numpy as np

from crackexp.data.images.decode import load_image
from crackexp.evaluation.evaluator import EvaluationResult
from crackexp.reporting import Column, ReportSection, Section, Table


class Brightest(ReportSection[EvaluationResult]):
    """Lists the brightest test images with their probability of damage.

    Args:
        count: The number of images.
    """

    def __init__(self, count: int = 3) -> None:
        self.count = count

    def section(self, result: EvaluationResult) -> Section:
        images = result.test.index
        light = np.array([load_image(images.path(row)).mean() for row in range(len(images))])
        rows = np.argsort(-light, kind="stable")[: self.count]
        damage = images.classes.probability(result.test.probabilities)[rows]
        columns = [
            Column("file", [str(file) for file in images.files[rows]]),
            Column("brightness", [f"{value:.0f}" for value in light[rows]], light[rows].tolist(), numeric=True),
            Column("probability", [f"{value:.3f}" for value in damage], damage.tolist(), numeric=True),
        ]
        return Section("The brightest images", tables=[Table(columns, path="images.csv")])
