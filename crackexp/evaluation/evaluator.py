"""Evaluates a classifier on its test images, on extra datasets and under corruptions."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from crackexp.data.augmentation import View
from crackexp.data.corruptions import corruptions
from crackexp.data.index import ImageIndex
from crackexp.evaluation.decision_scores import COSTS, Costs, evaluate_decisions
from crackexp.evaluation.doubts import calibration_doubt, doubts_of
from crackexp.evaluation.photo_baseline import relative_to_photo
from crackexp.evaluation.policy import FittedPolicy
from crackexp.evaluation.robustness import Robustness, evaluate_corruptions
from crackexp.evaluation.sets import MEAN, Scores, Subset, evaluate_groups, evaluate_subset, mean_subset
from crackexp.evaluation.tables import predictions_table
from crackexp.metrics.metric import Metric, shown
from crackexp.metrics.predictions import Bootstrap, Predictions

MEAN_PREFIX = f"also/{MEAN}"
"""The prefix of the means over the extra datasets."""
Predict = Callable[[ImageIndex, str, View | None], np.ndarray]
"""Predicts the probabilities, (n, c) float32, of the n images of an index, as they are or as a view transforms them."""


@dataclass(frozen=True)
class SetResult:
    """The predictions for one set of images, and how good they are.

    Attributes:
        prefix: The prefix of the metrics and the folder of the artifacts: "test", or also/NAME.
        index: The n images.
        probabilities: The calibrated probabilities, (n, c) float32.
        overall: The scores of all images.
        groups: The scores of the surfaces and photos, where these are known.
        decisions: The decisions of the policy, (n,) str.
        decision_scores: The scores of the decisions, see `evaluate_decisions`.
    """

    prefix: str
    index: ImageIndex
    probabilities: np.ndarray
    overall: Subset
    groups: Sequence[Subset]
    decisions: np.ndarray
    decision_scores: Scores

    @property
    def name(self) -> str:
        """The name of the set in tables and figures."""
        return self.overall.name

    @property
    def predictions(self) -> np.ndarray:
        """The predicted classes, (n,) int in [0, c)."""
        return self.probabilities.argmax(axis=1)

    @property
    def rows(self) -> list[Subset]:
        """The scores of all images, then those of the surfaces if there are several."""
        surfaces = [subset for subset in self.groups if subset.kind == "surface"]
        return [self.overall, *(surfaces if len(surfaces) > 1 else [])]

    @property
    def doubts(self) -> list[str]:
        """What speaks against relying on the classifier, see `doubts_of`."""
        score = self.overall.scores.get("roc_auc")
        roc_auc = None if score is None else score.value
        return doubts_of(self.name, self.index.labels, self.predictions, self.index.classes, roc_auc)


@dataclass(frozen=True)
class EvaluationResult:
    """The result of an evaluation.

    Attributes:
        test: The result on the test images of the run's own dataset.
        extra: The results on the extra datasets.
        robustness: The scores of the test images under corruptions; None where the config names no corruptions.
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
    def rows(self) -> list[Subset]:
        """The scores of all sets, each followed by those of its surfaces, which are called SET: SURFACE."""
        rows = []
        for result in self.sets:
            overall, *surfaces = result.rows
            rows += [overall, *(replace(surface, name=f"{overall.name}: {surface.name}") for surface in surfaces)]
        return [*rows, self.mean] if self.mean else rows

    @cached_property
    def mean(self) -> Subset | None:
        """The means of the scores over the extra datasets, each of which counts the same; None for fewer than two."""
        return mean_subset([result.overall for result in self.extra]) if len(self.extra) > 1 else None

    @property
    def doubts(self) -> list[str]:
        """What speaks against relying on the classifier, a sentence each; none for one that works."""
        return [
            *calibration_doubt(self.policy.calibration),
            *(doubt for result in self.sets for doubt in result.doubts),
        ]

    @property
    def shows_decisions(self) -> bool:
        """Whether decisions are listed beside predictions: with two classes they differ by the threshold alone."""
        return len(self.policy.classes.names) > 2

    def predictions_table(self, result: SetResult) -> pd.DataFrame:
        """Returns the predictions for each image of one of the sets, see `tables.predictions_table`."""
        decisions = result.decisions if self.shows_decisions else None
        return predictions_table(result.index, result.probabilities, decisions)

    def scores(self) -> dict[str, Scores]:
        """Returns the scores by the prefix of their names: test, also/NAME, corruption/blur_1, ..."""
        scores: dict[str, Scores] = {
            result.prefix: {**result.overall.scores, **result.decision_scores} for result in self.sets
        }
        if self.mean:
            scores[MEAN_PREFIX] = self.mean.scores
        if self.robustness:
            scores |= {f"corruption/{name}": corrupted for name, corrupted in self.robustness.logged().items()}
        return scores

    def all_metrics(self) -> dict[str, float]:
        """Returns all metrics by name, such as test/accuracy and test/accuracy_low."""
        metrics: dict[str, float] = {}
        for prefix, scores in self.scores().items():
            metrics |= named_metrics(prefix, scores, scores)
        return metrics

    def logged_metrics(self, prefix: str) -> dict[str, float]:
        """Returns the metrics of one of the `scores` that a logger gets, since trackers draw a chart of each.

        These are all values, and the intervals of the metrics of a set that are shown in "sweep". The other
        intervals stand in ``result.json``, in tables and figures, and in the description of the run.

        Args:
            prefix: The prefix of the scores.
        """
        is_set = prefix in {MEAN_PREFIX, *(result.prefix for result in self.sets)}
        return named_metrics(prefix, self.scores()[prefix], shown(self.metrics, "sweep") if is_set else ())


def named_metrics(prefix: str, scores: Scores, intervals: Collection[str]) -> dict[str, float]:
    """Returns scores by the names of metrics, without values that are not finite.

    Args:
        prefix: The prefix of the names.
        scores: The scores. Each is called PREFIX/NAME.
        intervals: The names of the scores whose intervals are added, as PREFIX/NAME_low and PREFIX/NAME_high.
    """
    metrics: dict[str, float] = {}
    for name, score in scores.items():
        metrics[f"{prefix}/{name}"] = score.value
        if name in intervals:
            metrics |= {f"{prefix}/{name}_low": score.low, f"{prefix}/{name}_high": score.high}
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


class Evaluator:
    """Evaluates one classifier.

    Args:
        settings: The config group `evaluation`.
        seed: The seed of the run, from which the bootstrap samples are drawn.
        image_size: The side of the images that the classifier takes, pixels; images are corrupted at that size.
        predict: Returns the uncalibrated probabilities of the classifier.
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
        self.costs = Costs(settings.get("miss_cost", COSTS.miss), settings.get("false_alarm_cost", COSTS.false_alarm))
        self.bootstrap = Bootstrap(seed, settings.level, settings.resamples)
        self.metrics = metrics
        self.image_size = image_size
        self.policy = policy
        self._predict = predict

    def evaluate(self, name: str, index: ImageIndex, extra: Mapping[str, ImageIndex]) -> EvaluationResult:
        """Evaluates the classifier on its test images, on extra datasets, and under the corruptions of the settings.

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
        calibrated = self.predict(index, prefix, None)
        if self.settings.get("relative_to_photo", False) and index.groups is not None:
            calibrated = relative_to_photo(calibrated, index.groups, self.policy.classes.indices)
        decisions, probabilities = self.policy.decide(calibrated), self._in_classes_of(index, calibrated)
        predictions = _predictions(index, probabilities)
        groups = evaluate_groups(predictions, index.classes, self.bootstrap, self.metrics)
        overall = evaluate_subset("set", name, predictions, index.classes, self.bootstrap, self.metrics)
        decision_scores = evaluate_decisions(index.damaged, decisions, self.bootstrap, index.groups, self.costs)
        return SetResult(prefix, index, probabilities, overall, groups, decisions, decision_scores)

    def predict(self, index: ImageIndex, title: str, view: View | None) -> np.ndarray:
        """Returns the calibrated probabilities, (n, c) float32, of the images of an index; see `Predict`."""
        return self.policy.calibrated(self._predict(index, title, view))

    def _in_classes_of(self, index: ImageIndex, probabilities: np.ndarray) -> np.ndarray:
        """Returns the classifier's probabilities in the c classes of `index`, (n, c); see `ImageIndex.judged_by`."""
        classes = self.policy.classes
        return probabilities if index.class_names == classes.names else classes.merge(probabilities, index.classes)

    def _corrupted(self, test: SetResult) -> Robustness:
        index = test.index

        def predict(title: str, view: View) -> np.ndarray:
            return self._in_classes_of(index, self.predict(index, title, view))

        corrupted = {
            name: [predict(f"test, {name} {k}", view) for k, view in enumerate(views, start=1)]
            for name, views in corruptions(self.settings.corruptions, self.image_size).items()
        }
        predictions = _predictions(index, test.probabilities)
        return evaluate_corruptions(predictions, test.overall.scores, corrupted, self.bootstrap, self.metrics)


def _predictions(index: ImageIndex, probabilities: np.ndarray) -> Predictions:
    """Returns the predictions for the n images of an index, whose probabilities are `probabilities`, (n, c)."""
    return Predictions(index.labels, probabilities, index.classes.indices[0], index.groups, index.class_names)
