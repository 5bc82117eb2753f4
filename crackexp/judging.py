"""Judges a classifier on its test images, on other datasets and under corruptions, and logs what came of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.figure import Figure
from omegaconf import DictConfig

from crackexp import report
from crackexp.data.augmentation import View
from crackexp.data.corruptions import corruptions
from crackexp.data.images.decode import load_image
from crackexp.data.images.pixels import resize
from crackexp.data.index import ImageIndex
from crackexp.evaluation import figures
from crackexp.evaluation.doubts import WARNING_TAG, calibration_doubt, doubts_of, doubts_section
from crackexp.evaluation.policy import FittedPolicy, decisions_text, judge_decisions
from crackexp.evaluation.report import metrics_markdown
from crackexp.evaluation.robustness import Robustness, judge_corrupted
from crackexp.evaluation.sets import (
    Part,
    Scores,
    judge_groups,
    judge_part,
    notes,
    parts_markdown,
    parts_table,
)
from crackexp.metrics.metric import Metric
from crackexp.metrics.predictions import Bootstrap, Predictions
from crackexp.reporting import Report
from crackexp.reporting.markdown import markdown
from crackexp.tracking.logger import Logger
from crackexp.utils.csv_text import csv_text

Predict = Callable[[ImageIndex, str, View | None], np.ndarray]
"""Returns the probabilities, (n, c) float32, of the images of an index, plain or as a view shows them."""
Explain = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Judged:
    """Images, what the classifier says of them, and what that is worth.

    Attributes:
        prefix: of metrics and artifacts: "test", or also/NAME.
        index: n images.
        probabilities: (n, c) float32.
        whole: all of them.
        groups: the surfaces and photos, where they are known.
        decisions: (n,) str, of the policy.
        decided: what they are worth, see `judge_decisions`.
    """

    prefix: str
    index: ImageIndex
    probabilities: np.ndarray
    whole: Part
    groups: Sequence[Part]
    decisions: np.ndarray
    decided: Scores

    @property
    def rows(self) -> list[Part]:
        """The whole, then its surfaces where it has several."""
        surfaces = [part for part in self.groups if part.kind == "surface"]
        return [self.whole, *(surfaces if len(surfaces) > 1 else [])]

    @property
    def doubts(self) -> list[str]:
        """What speaks against relying on the classifier, see `doubts_of`."""
        area, predictions = self.whole.scores.get("roc_auc"), self.probabilities.argmax(axis=1)
        return doubts_of(
            self.whole.name, self.index.labels, predictions, self.index.classes, None if area is None else area.value
        )


@dataclass(frozen=True)
class Judgement:
    """What came of a run.

    Attributes:
        test: images of the run's own dataset.
        others: images of other datasets.
        robustness: of the test images under corruptions; None where none were asked for.
        policy: that calibrated the probabilities, and decided.
        measures: the metrics by their names.
    """

    test: Judged
    others: Sequence[Judged]
    robustness: Robustness | None
    policy: FittedPolicy
    measures: Mapping[str, Metric]

    @property
    def rows(self) -> list[Part]:
        """All sets side by side, each followed by its surfaces, as SET: SURFACE."""
        rows = []
        for judged in (self.test, *self.others):
            whole, *surfaces = judged.rows
            rows += [whole, *(replace(part, name=f"{whole.name}: {part.name}") for part in surfaces)]
        return rows

    @property
    def doubts(self) -> list[str]:
        """What speaks against relying on the classifier, a sentence each; none for one that works."""
        found = [doubt for judged in (self.test, *self.others) for doubt in judged.doubts]
        return [*calibration_doubt(self.policy.calibration), *found]

    def scores(self) -> dict[str, Scores]:
        """Returns the scores by the prefix of their names: test, also/NAME, corruption/blur_1, ..."""
        scores: dict[str, Scores] = {
            judged.prefix: {**judged.whole.scores, **judged.decided} for judged in (self.test, *self.others)
        }
        if self.robustness:
            scores |= {f"corruption/{name}": found for name, found in self.robustness.logged().items()}
        return scores

    def metrics(self) -> dict[str, float]:
        """Returns all metrics by name, such as test/accuracy and test/accuracy_low."""
        parts = [report.named_metrics(prefix, scores) for prefix, scores in self.scores().items()]
        return {name: value for part in parts for name, value in part.items()}


class Judge:
    """Judges one classifier.

    Args:
        settings: the config group `evaluation`.
        seed: of the run, for bootstraps.
        image_size: that the classifier takes, pixels; images are corrupted at that size.
        predict: asks the classifier.
        policy: calibrates what it says, and decides.
        metrics: the metrics by their names.
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

    def __call__(self, name: str, index: ImageIndex, others: Mapping[str, ImageIndex]) -> Judgement:
        """Judges the classifier on its test images and all that the settings ask for.

        Args:
            name: of the test images, in tables and figures.
            index: of the test images.
            others: of other datasets by their names.
        """
        test = self._judge("test", name, index)
        also = [self._judge(f"also/{other}", other, images) for other, images in others.items()]
        robustness = self._corrupted(test) if self.settings.corruptions else None
        return Judgement(test, also, robustness, self.policy, self.metrics)

    def _judge(self, prefix: str, name: str, index: ImageIndex) -> Judged:
        said = self.predict(index, prefix, None)
        decisions, probabilities = self.policy.decide(said), self._matched(index, said)
        given = (_predictions(index, probabilities), index.classes, self.bootstrap, self.metrics)
        groups, whole = judge_groups(*given), judge_part("set", name, *given)
        decided = judge_decisions(index.damaged, decisions, self.bootstrap, index.groups)
        return Judged(prefix, index, probabilities, whole, groups, decisions, decided)

    def predict(self, index: ImageIndex, title: str, view: View | None) -> np.ndarray:
        """Returns the calibrated probabilities, (n, c) float32, of the images of an index; see `Predict`."""
        return self.policy.calibrated(self._predict(index, title, view))

    def _matched(self, index: ImageIndex, said: np.ndarray) -> np.ndarray:
        """Returns what the model says in the classes of `index`, (n, c) float32; see `ImageIndex.judged_by`."""
        known = self.policy.classes
        return said if index.class_names == known.names else known.merge(said, index.classes)

    def _corrupted(self, test: Judged) -> Robustness:
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


def log_judgement(
    logger: Logger,
    judgement: Judgement,
    doubts: Sequence[str],
    settings: DictConfig,
    image_size: int,
    explain: Explain,
) -> None:
    """Logs metrics, tables, figures and the description of the run.

    Args:
        logger: of the run.
        judgement: what came of it.
        doubts: sentences that speak against relying on the classifier.
        settings: the config group `evaluation`.
        image_size: of the pictures in the galleries, pixels.
        explain: see `report.log_predictions`.
    """
    logger.set_tags({"mlflow.note.content": description(judgement, doubts, settings.level), **doubt_tags(doubts)})
    for prefix, scores in judgement.scores().items():
        logger.log_metrics(report.named_metrics(prefix, scores))
    for judged in (judgement.test, *judgement.others):
        report.log_predictions(logger, judged, judgement.policy, settings, image_size, explain)
        if judged.groups:
            photos = [part for part in judged.groups if part.kind == "photo"]
            logger.log_text(csv_text(parts_table([judged.whole, *judged.groups])), f"{judged.prefix}/groups.csv")
            title = f"{judged.whole.name} by surface and photo"
            figure = figures.part_scores(judged.rows, title, settings.level, judgement.measures, photos)
            logger.log_figure(figure, f"{judged.prefix}/groups.png")
    if judgement.others:
        logger.log_text(csv_text(parts_table(judgement.rows)), "also/sets.csv")
        figure = figures.part_scores(judgement.rows, "Sets side by side", settings.level, judgement.measures)
        logger.log_figure(figure, "also/sets.png")
    if judgement.robustness:
        logger.log_text(csv_text(judgement.robustness.table()), "corruption/scores.csv")
        figure = figures.robustness_curves(judgement.robustness, settings.level)
        logger.log_figure(figure, "corruption/accuracy.png")
        logger.log_figure(_sheet(judgement.test.index, settings, image_size), "corruption/sheet.png")


def doubt_tags(doubts: Sequence[str]) -> dict[str, str]:
    """Returns the tag of a run whose model is doubted; none where there is no doubt."""
    return {WARNING_TAG: " ".join(doubts)[:5000]} if doubts else {}


def description(judgement: Judgement, doubts: Sequence[str], level: float) -> str:
    """Returns the description of the run in Markdown."""
    parts = [markdown(Report("", doubts_section(doubts))), metrics_markdown(judgement.test.whole.scores, level)]
    parts.append(
        f"Decisions, {judgement.policy}: {decisions_text(judgement.test.decided, judgement.policy.thresholds.defect)}"
    )
    parts += notes(judgement.test.whole)
    if judgement.others:
        parts += ["### Sets side by side", parts_markdown(judgement.rows, level, judgement.measures)]
        parts += [f"{one.whole.name}: {note}" for one in judgement.others for note in notes(one.whole)]
    if judgement.robustness:
        parts += ["### Under corruptions", judgement.robustness.markdown(level)]
    return "\n\n".join(part for part in parts if part)


def _sheet(index: ImageIndex, settings: DictConfig, image_size: int) -> Figure:
    """Draws the first damaged test image under every corruption."""
    row = int(np.argmax(index.damaged))
    image, digest = resize(load_image(index.path(row)), image_size), str(index.digests[row])
    views = corruptions(settings.corruptions, image_size)
    changed = {name: [view(image, digest) for view in views] for name, views in views.items()}
    return figures.corruption_sheet(image, changed)
