"""What a classifier is worth on the same images under corruptions."""

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
    """Scores of one set of images as they are, and under corruptions.

    Attributes:
        clean: scores of the images as they are.
        corrupted: name of a corruption to the scores at its strengths 1, 2, ...
        mean: over all corruptions and strengths.
        metrics: The metrics by their names; the table has all, those that are shown under corruptions are logged.
    """

    clean: Scores
    corrupted: Mapping[str, Sequence[Scores]]
    mean: Scores
    metrics: Mapping[str, Metric] = field(default_factory=lambda: STANDARD)

    def named(self) -> dict[str, Scores]:
        """Returns the scores by NAME_STRENGTH, and those of the "mean"."""
        named = {f"{name}_{k}": each for name, row in self.corrupted.items() for k, each in enumerate(row, start=1)}
        return named | {"mean": self.mean}

    def logged(self) -> dict[str, dict[str, Interval]]:
        """Returns as `named` the metrics that are logged."""
        names = shown(self.metrics, "corruptions")
        return {name: {key: one[key] for key in names if key in one} for name, one in self.named().items()}

    def table(self) -> pd.DataFrame:
        """Returns a row a corruption and strength: corruption, strength, and value, _low, _high of each metric.

        The first row is of strength 0, the images as they are; the last is the mean over the others.
        """
        rows: list[tuple[str, int | None, Scores]] = [("none", 0, self.clean)]
        rows += [(name, k, each) for name, row in self.corrupted.items() for k, each in enumerate(row, start=1)]
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


def judge_corrupted(
    predictions: Predictions,
    clean: Scores,
    corrupted: Mapping[str, Sequence[np.ndarray]],
    bootstrap: Bootstrap,
    metrics: Mapping[str, Metric] = STANDARD,
) -> Robustness:
    """Judges the same images under corruptions.

    Args:
        predictions: For the images as they are.
        clean: Their scores.
        corrupted: The name of each corruption to the probabilities, (n, c) float, at each strength from weak to strong.
        bootstrap: How intervals are made; the resamples are the same for all corruptions.
        metrics: The metrics by their names.
    """
    judged = {
        name: [Resampled(replace(predictions, probabilities=given), bootstrap, metrics) for given in row]
        for name, row in corrupted.items()
    }
    return Robustness(
        clean,
        {name: [one.intervals() for one in row] for name, row in judged.items()},
        mean_scores([one for row in judged.values() for one in row]),
        metrics,
    )
