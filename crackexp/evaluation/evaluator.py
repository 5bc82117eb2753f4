"""Evaluates a classifier on its test images, on extra datasets and under corruptions."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from crackexp.data.augmentation import View
from crackexp.data.corruptions import corruptions
from crackexp.data.index import ImageIndex
from crackexp.evaluation.doubts import calibration_doubt, doubts_of
from crackexp.evaluation.policy import FittedPolicy, judge_decisions
from crackexp.evaluation.robustness import Robustness, judge_corrupted
from crackexp.evaluation.sets import Part, Scores, judge_groups, judge_part
from crackexp.evaluation.tables import predictions_table
from crackexp.metrics.metric import Metric
from crackexp.metrics.predictions import Bootstrap, Predictions

Predict = Callable[[ImageIndex, str, View | None], np.ndarray]
"""Returns the probabilities, (n, c) float32, of the images of an index, plain or as a view shows them."""


@dataclass(frozen=True)
class SetResult:
    """The predictions for one set of images, and how good they are.

    Attributes:
        prefix: The prefix of the metrics and the folder of the artifacts: "test", or also/NAME.
        index: The n images.
        probabilities: The calibrated probabilities, (n, c) float32.
        whole: The scores of all images.
        groups: The scores of the surfaces and photos, where these are known.
        decisions: The decisions of the policy, (n,) str.
        decided: The scores of the decisions, see `judge_decisions`.
    """

    prefix: str
    index: ImageIndex
    probabilities: np.ndarray
    whole: Part
    groups: Sequence[Part]
    decisions: np.ndarray
    decided: Scores

    @property
    def name(self) -> str:
        """The name of the set in tables and figures."""
        return self.whole.name

    @property
    def predictions(self) -> np.ndarray:
        """The predicted classes, (n,) int in [0, c)."""
        return self.probabilities.argmax(axis=1)

    @property
    def rows(self) -> list[Part]:
        """The whole set, then its surfaces if it has several."""
        surfaces = [part for part in self.groups if part.kind == "surface"]
        return [self.whole, *(surfaces if len(surfaces) > 1 else [])]

    @property
    def doubts(self) -> list[str]:
        """What speaks against relying on the classifier, see `doubts_of`."""
        area = self.whole.scores.get("roc_auc")
        value = None if area is None else area.value
        return doubts_of(self.name, self.index.labels, self.predictions, self.index.classes, value)


@dataclass(frozen=True)
class EvaluationResult:
    """All that an evaluation found.

    Attributes:
        test: The result on the test images of the run's own dataset.
        extra: The results on the extra datasets.
        robustness: The scores of the test images under corruptions; None where none were asked for.
        policy: The policy that calibrated the probabilities and made the decisions.
        metrics: The metrics by their names.
        level: The confidence of the intervals.
    """

    test: SetResult
    extra: Sequence[SetResult]
    robustness: Robustness | None
    policy: FittedPolicy
    metrics: Mapping[str, Metric]
    level: float

    @property
    def sets(self) -> list[SetResult]:
        """The results on all sets, the test images first."""
        return [self.test, *self.extra]

    @property
    def rows(self) -> list[Part]:
        """The scores of all sets, each followed by those of its surfaces, which are called SET: SURFACE."""
        rows = []
        for one in self.sets:
            whole, *surfaces = one.rows
            rows += [whole, *(replace(part, name=f"{whole.name}: {part.name}") for part in surfaces)]
        return rows

    @property
    def doubts(self) -> list[str]:
        """What speaks against relying on the classifier, a sentence each; none for one that works."""
        found = [doubt for one in self.sets for doubt in one.doubts]
        return [*calibration_doubt(self.policy.calibration), *found]

    @property
    def shows_decisions(self) -> bool:
        """Whether decisions are listed beside predictions: with two classes they differ by the threshold alone."""
        return len(self.policy.classes.names) > 2

    def predictions_table(self, one: SetResult) -> pd.DataFrame:
        """Returns the predictions for each image of one of the sets, see `tables.predictions_table`."""
        return predictions_table(one.index, one.probabilities, one.decisions if self.shows_decisions else None)

    def scores(self) -> dict[str, Scores]:
        """Returns the scores by the prefix of their names: test, also/NAME, corruption/blur_1, ..."""
        scores: dict[str, Scores] = {one.prefix: {**one.whole.scores, **one.decided} for one in self.sets}
        if self.robustness:
            scores |= {f"corruption/{name}": found for name, found in self.robustness.logged().items()}
        return scores

    def all_metrics(self) -> dict[str, float]:
        """Returns all metrics by name, such as test/accuracy and test/accuracy_low."""
        parts = [named_metrics(prefix, scores) for prefix, scores in self.scores().items()]
        return {name: value for part in parts for name, value in part.items()}


def named_metrics(prefix: str, scores: Scores) -> dict[str, float]:
    """Returns PREFIX/NAME, PREFIX/NAME_low and PREFIX/NAME_high of each metric; what is no number is left out."""
    values = {
        f"{prefix}/{name}{end}": value
        for name, score in scores.items()
        for end, value in (("", score.value), ("_low", score.low), ("_high", score.high))
    }
    return {name: value for name, value in values.items() if math.isfinite(value)}


class Evaluator:
    """Evaluates one classifier.

    Args:
        settings: The config group `evaluation`.
        seed: The seed of the run, for bootstraps.
        image_size: The side of the images that the classifier takes, pixels; images are corrupted at that size.
        predict: Asks the classifier.
        policy: Calibrates the probabilities and makes the decisions.
        metrics: The metrics by their names.
    """

    def __init__(
        self,
        settings: DictConfig,
        seed: int,
        image_size: int,
        predict: Predict,
        policy: FittedPolicy,
        metrics: Mapping[str, Metric],
    ) -> None:
        self.settings = settings
        self.bootstrap = Bootstrap(seed, settings.level, settings.resamples)
        self.metrics = metrics
        self.image_size = image_size
        self.policy = policy
        self._predict = predict

    def evaluate(self, name: str, index: ImageIndex, extra: Mapping[str, ImageIndex]) -> EvaluationResult:
        """Evaluates the classifier on its test images and on all that the settings ask for.

        Args:
            name: The name of the test images, in tables and figures.
            index: The test images.
            extra: The images of extra datasets by their names.
        """
        test = self._evaluate("test", name, index)
        others = [self._evaluate(f"also/{other}", other, images) for other, images in extra.items()]
        robustness = self._corrupted(test) if self.settings.corruptions else None
        return EvaluationResult(test, others, robustness, self.policy, self.metrics, self.settings.level)

    def _evaluate(self, prefix: str, name: str, index: ImageIndex) -> SetResult:
        said = self.predict(index, prefix, None)
        decisions, probabilities = self.policy.decide(said), self._matched(index, said)
        given = (_predictions(index, probabilities), index.classes, self.bootstrap, self.metrics)
        groups, whole = judge_groups(*given), judge_part("set", name, *given)
        decided = judge_decisions(index.damaged, decisions, self.bootstrap, index.groups)
        return SetResult(prefix, index, probabilities, whole, groups, decisions, decided)

    def predict(self, index: ImageIndex, title: str, view: View | None) -> np.ndarray:
        """Returns the calibrated probabilities, (n, c) float32, of the images of an index; see `Predict`."""
        return self.policy.calibrated(self._predict(index, title, view))

    def _matched(self, index: ImageIndex, said: np.ndarray) -> np.ndarray:
        """Returns what the model says in the classes of `index`, (n, c) float32; see `ImageIndex.judged_by`."""
        known = self.policy.classes
        return said if index.class_names == known.names else known.merge(said, index.classes)

    def _corrupted(self, test: SetResult) -> Robustness:
        index = test.index

        def look(title: str, view: View) -> np.ndarray:
            return self._matched(index, self.predict(index, title, view))

        said = {
            name: [look(f"test, {name} {k}", view) for k, view in enumerate(views, start=1)]
            for name, views in corruptions(self.settings.corruptions, self.image_size).items()
        }
        predictions = _predictions(index, test.probabilities)
        return judge_corrupted(predictions, test.whole.scores, said, self.bootstrap, self.metrics)


def _predictions(index: ImageIndex, probabilities: np.ndarray) -> Predictions:
    """Returns the predictions for the images of an index, of which `probabilities`, (n, c), were said."""
    return Predictions(index.labels, probabilities, index.classes.indices[0], index.groups, index.class_names)
