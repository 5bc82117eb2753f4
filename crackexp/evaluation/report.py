"""The report of an evaluation, and the logging of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from omegaconf import DictConfig

from crackexp.data.corruptions import corruptions
from crackexp.data.images.decode import load_image
from crackexp.data.images.pixels import resize
from crackexp.data.pipeline import resized_images
from crackexp.evaluation.decision_scores import decisions_text
from crackexp.evaluation.doubts import doubt_tags, doubts_section
from crackexp.evaluation.evaluator import EvaluationResult, SetResult
from crackexp.evaluation.figures import corruption_sheet, reliability_diagram, robustness_curves, subset_scores
from crackexp.evaluation.robustness import Robustness
from crackexp.evaluation.sets import Subset, notes, subsets_frame
from crackexp.evaluation.tables import classification_report_text, decisions_table, metrics_table, most_wrong
from crackexp.metrics.intervals import Interval
from crackexp.metrics.metric import Metric, shown
from crackexp.reporting import Column, Figure, Report, ReportSection, Section, Table, artifacts, figures
from crackexp.reporting.formatting import ends_text, number
from crackexp.reporting.markdown import markdown
from crackexp.utils.csv_text import csv_text
from crackexp.utils.seeds import generator

if TYPE_CHECKING:
    from crackexp.tracking.logger import Logger

Explain = Callable[[np.ndarray], np.ndarray]
"""Maps images, (k, S, S, 3) uint8, to the evidence for damage in them, (k, S, S) float32, see `GradCam`."""
GRID = 9
"""The number of images that are shown with their predictions."""


def evaluation_report(
    result: EvaluationResult,
    settings: DictConfig,
    image_size: int,
    explain: Explain,
    doubts: Sequence[str] = (),
    own: Mapping[str, ReportSection[EvaluationResult]] = MappingProxyType({}),
) -> Report:
    """Returns the report of an evaluation: scores, decisions, and all tables and figures as artifacts.

    Args:
        result: The result of the evaluation.
        settings: The config group `evaluation`.
        image_size: The side of the images in the figures, pixels.
        explain: Returns the evidence for damage in the images of a figure.
        doubts: What speaks against relying on the classifier, a sentence each. They are shown in the description of the
            run alone, since a command prints them at its end, where they are not overlooked.
        own: The sections that the config group `report` names, by their names.
    """
    sections = [*doubts_section(doubts, ["markdown"]), *_scores(result)]
    sections += [_artifacts(result, images, settings.gallery, image_size, explain) for images in result.sets]
    sections += [_side_by_side(result)] if len(result.rows) > 1 else []
    sections += [_corruptions(result.robustness, result, settings, image_size)] if result.robustness else []
    own_sections = [maker.section(result).below(f"report/{name}") for name, maker in own.items()]
    return Report(result.test.name, [*sections, _decisions(result), *own_sections])


def log_evaluation(logger: "Logger", result: EvaluationResult, report: Report, doubts: Sequence[str]) -> None:
    """Logs the metrics, the description of the run, and all tables and figures of the report.

    Args:
        logger: The logger of the run.
        result: The result of the evaluation.
        report: The report of the result.
        doubts: What speaks against relying on the classifier, a sentence each.
    """
    logger.set_tags({"mlflow.note.content": markdown(report), **doubt_tags(doubts)})
    for prefix in result.scores():
        logger.log_metrics(result.logged_metrics(prefix))
    artifacts.log(logger, report)


def scores_table(scores: Mapping[str, Interval], level: float) -> Table:
    """Returns a table of metrics with their intervals.

    Args:
        scores: The scores by the names of their metrics.
        level: The confidence of the intervals.
    """
    values = [number(score.value) for score in scores.values()]
    ends = [ends_text(score.low, score.high) for score in scores.values()]
    interval = Column(f"{level:.0%} interval", ends, numeric=True)
    return Table([Column("metric", list(scores)), Column("value", values, numeric=True), interval])


def subsets_table(subsets: Sequence[Subset], metrics: Mapping[str, Metric]) -> Table:
    """Returns a table with a row for each subset, and the metrics whose `shown_in` has "subsets"."""
    names = Column("set", [f"{subset.name}\n({subset.size})" for subset in subsets])
    columns = [
        Column(name, [_text(subset.scores.get(name), "\n") for subset in subsets]) for name in shown(metrics, "subsets")
    ]
    return Table([names, *columns])


def corruptions_table(robustness: Robustness) -> Table:
    """Returns a table of the accuracy under each corruption at each strength."""
    rows = list(robustness.corrupted.values())
    columns = [
        Column(f"strength {k + 1}", [_text(row[k]["accuracy"], "\n") for row in rows], numeric=True)
        for k in range(len(rows[0]))
    ]
    return Table([Column("corruption", list(robustness.corrupted)), *columns])


def _scores(result: EvaluationResult) -> Iterator[Section]:
    """Yields the scores of the test images: the summary on a terminal, all in a description."""
    overall = result.test.overall
    title, names = f"{overall.name}, {overall.size}", shown(result.metrics, "summary")
    summary = {name: overall.scores[name] for name in names if name in overall.scores}
    yield Section(title, tables=[scores_table(summary, result.level)], media=["terminal"])
    yield Section(title, tables=[scores_table(overall.scores, result.level)], media=["markdown"])
    yield Section(sentences=[f"{images.name}: {note}" for images in result.sets for note in notes(images.overall)])


def _side_by_side(result: EvaluationResult) -> Section:
    title, drawn, files = "Sets side by side", [], {}
    if result.extra:
        figure = subset_scores(result.rows, title, result.level, result.metrics)
        drawn, files = [Figure(figure, "also/sets.png", title)], {"also/sets.csv": subsets_frame(result.rows)}
    table = subsets_table(result.rows, result.metrics)
    return Section(f"{title}, {result.level:.0%} intervals", tables=[table], figures=drawn, files=files)


def _corruptions(robustness: Robustness, result: EvaluationResult, settings: DictConfig, image_size: int) -> Section:
    mean, clean = (_text(scores["accuracy"]) for scores in (robustness.mean, robustness.clean))
    curves = robustness_curves(robustness, result.level)
    views, index = corruptions(settings.corruptions, image_size), result.test.index
    row = int(np.argmax(index.damaged))
    image, digest = resize(load_image(index.path(row)), image_size), str(index.digests[row])
    corrupted = {name: [view(image, digest) for view in strengths] for name, strengths in views.items()}
    sheet = corruption_sheet(image, corrupted)
    return Section(
        f"Accuracy under corruptions, {result.level:.0%} intervals",
        [f"Mean {mean}; without corruption {clean}."],
        [corruptions_table(robustness)],
        [
            Figure(curves, "corruption/accuracy.png", "Accuracy against strength"),
            Figure(sheet, "corruption/sheet.png", "A test image under every corruption"),
        ],
        files={"corruption/scores.csv": robustness.table()},
    )


def _decisions(result: EvaluationResult) -> Section:
    defect = result.policy.thresholds.defect
    lines = [f"{images.name}: {decisions_text(images.decision_scores, defect)}" for images in result.sets]
    return Section(f"Decisions ({result.policy})", lines)


def _artifacts(
    result: EvaluationResult, set_result: SetResult, gallery: int, image_size: int, explain: Explain
) -> Section:
    """Returns the tables and figures of a set of images, which are logged and not shown.

    With two classes the decision follows from the prediction, but for the threshold. With more, the decision stands
    beside the prediction in each of the tables. Images of one class have no curves.
    """
    index, probabilities, predictions = set_result.index, set_result.probabilities, set_result.predictions
    labels, names, positive = index.labels, index.class_names, index.classes.indices[0]
    scores, counts = set_result.overall.scores, None
    text = classification_report_text(labels, predictions, names)
    if result.shows_decisions:
        scores = {**scores, **set_result.decision_scores}
        counts = decisions_table(labels, set_result.decisions, index.classes, result.policy.thresholds.defect)
        text += f"\nDecisions ({result.policy})\n{counts.to_string()}\n"
    table = result.predictions_table(set_result)
    files = {
        "metrics.csv": csv_text(metrics_table(scores), index=True),
        "classification_report.txt": text,
        "predictions.csv": table,
    }
    drawn = {
        "confusion_matrix": figures.confusion_matrix(labels, predictions, names, counts),
        "reliability": reliability_diagram(labels, probabilities),
    }
    if len(np.unique(labels)) > 1:
        drawn["roc_curve"] = figures.roc_curve(labels, probabilities, names, positive)
        drawn["precision_recall_curve"] = figures.precision_recall_curve(labels, probabilities, names, positive)

    batch = generator(0, "prediction grid").permutation(len(index))[:GRID]
    titles = [f"{names[labels[row]]} / {names[predictions[row]]}" for row in batch]
    correct = labels[batch] == predictions[batch]
    drawn["predictions"] = figures.prediction_grid(resized_images(index, batch, image_size), titles, correct)
    worst = most_wrong(labels, probabilities, gallery)
    images, errors = resized_images(index, worst, image_size), int((labels != predictions).sum())
    drawn["most_wrong"] = figures.error_gallery(
        images, explain(images), table.iloc[worst], errors, index.classes.target
    )
    if set_result.groups:
        photos = [subset for subset in set_result.groups if subset.kind == "photo"]
        title = f"{set_result.name} by surface and photo"
        files["groups.csv"] = subsets_frame([set_result.overall, *set_result.groups])
        drawn["groups"] = subset_scores(set_result.rows, title, result.level, result.metrics, photos)
    return Section(
        figures=[
            Figure(drawing, f"{name}.png", f"{set_result.name}: {name.replace('_', ' ')}")
            for name, drawing in drawn.items()
        ],
        files=files,
        media=[],
    ).below(set_result.prefix)


def _text(score: Interval | None, separator: str = " ") -> str:
    """Returns a score as text, followed by the separator and its interval where it has one."""
    if score is None:
        return "undefined"
    return number(score.value) + (f"{separator}({ends})" if (ends := ends_text(score.low, score.high, "")) else "")
