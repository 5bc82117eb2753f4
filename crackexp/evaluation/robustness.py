"""The scores of a classifier on the same images under corruptions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from crackexp.evaluation.sets import Scores
from crackexp.metrics.evaluation import Resampled, mean_scores
from crackexp.metrics.intervals import Interval
from crackexp.metrics.metric import Metric, shown
from crackexp.metrics.predictions import Bootstrap, Predictions
from crackexp.metrics.standard import STANDARD


@dataclass(frozen=True)
class Robustness:
    """The scores of a set of images without corruption and under corruptions.

    Attributes:
        clean: The scores of the images without corruption.
        corrupted: The scores at the strengths 1, 2, ... of each corruption, by its name.
        mean: The means of the scores over all corruptions and strengths.
        metrics: The metrics by their names. The table has all; those are logged whose `shown_in` has "corruptions".
    """

    clean: Scores
    corrupted: Mapping[str, Sequence[Scores]]
    mean: Scores
    metrics: Mapping[str, Metric] = field(default_factory=lambda: STANDARD)

    def named(self) -> dict[str, Scores]:
        """Returns the scores by NAME_STRENGTH, and their means as "mean"."""
        named = {
            f"{name}_{strength}": scores
            for name, row in self.corrupted.items()
            for strength, scores in enumerate(row, start=1)
        }
        return named | {"mean": self.mean}

    def logged(self) -> dict[str, dict[str, Interval]]:
        """Returns the scores of `named`, without those that are not logged."""
        logged = shown(self.metrics, "corruptions")
        return {
            name: {metric: scores[metric] for metric in logged if metric in scores}
            for name, scores in self.named().items()
        }

    def table(self) -> pd.DataFrame:
        """Returns a table with a row for each corruption and strength.

        Its columns are corruption, strength, and NAME, NAME_low and NAME_high of each metric. The first row, of
        strength 0, is that of the images without corruption; the last is the mean over the others.
        """
        rows: list[tuple[str, int | None, Scores]] = [("none", 0, self.clean)]
        rows += [
            (name, strength, scores)
            for name, row in self.corrupted.items()
            for strength, scores in enumerate(row, start=1)
        ]
        rows.append(("mean", None, self.mean))
        table = pd.DataFrame(
            [
                {"corruption": name, "strength": strength}
                | {
                    f"{metric}{end}": value
                    for metric, score in scores.items()
                    for end, value in (("", score.value), ("_low", score.low), ("_high", score.high))
                }
                for name, strength, scores in rows
            ]
        )
        table["strength"] = table["strength"].astype("Int64")
        return table


def evaluate_corruptions(
    predictions: Predictions,
    clean: Scores,
    corrupted: Mapping[str, Sequence[np.ndarray]],
    bootstrap: Bootstrap,
    metrics: Mapping[str, Metric] = STANDARD,
) -> Robustness:
    """Evaluates the predictions for the same images under corruptions.

    Args:
        predictions: The predictions for the images without corruption.
        clean: The scores of these predictions.
        corrupted: The probabilities, (n, c) float, at each strength from weak to strong, by the name of the corruption.
        bootstrap: The bootstrap of the intervals. Its samples are the same for all corruptions.
        metrics: The metrics by their names.
    """
    resampled = {
        name: [
            Resampled(replace(predictions, probabilities=probabilities), bootstrap, metrics) for probabilities in row
        ]
        for name, row in corrupted.items()
    }
    return Robustness(
        clean,
        {name: [strength.intervals() for strength in row] for name, row in resampled.items()},
        mean_scores([strength for row in resampled.values() for strength in row]),
        metrics,
    )
