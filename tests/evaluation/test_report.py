"""An evaluation as it is shown and logged: on the terminal, in the description of the run, and as its artifacts."""

from collections.abc import Mapping
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from omegaconf import DictConfig, OmegaConf

from crackexp.data.augmentation import View
from crackexp.data.classes.decisions import Thresholds
from crackexp.data.index import ImageIndex
from crackexp.data.sources.image_folder import ImageFolder
from crackexp.evaluation.calibration import Calibration
from crackexp.evaluation.evaluator import EvaluationResult, Evaluator
from crackexp.evaluation.policy import FittedPolicy
from crackexp.evaluation.report import evaluation_report, log_evaluation
from crackexp.metrics import STANDARD
from crackexp.reporting import Column, Report, ReportSection, Section, Table, terminal
from crackexp.reporting.markdown import markdown
from crackexp.tracking.logger import Logger

SIZE = 32
DRAWN = {
    *("confusion_matrix.png", "reliability.png", "roc_curve.png", "precision_recall_curve.png"),
    *("predictions.png", "most_wrong.png", "classification_report.txt", "metrics.csv", "predictions.csv"),
}


class Memory(Logger):
    """Keeps what is logged."""

    def __init__(self) -> None:
        self.tags: dict[str, str] = {}
        self.metrics: dict[str, float] = {}
        self.files: dict[str, str | Figure] = {}

    def set_tags(self, tags: Mapping[str, str]) -> None:
        self.tags |= tags

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        self.metrics |= metrics

    def log_figure(self, figure: Figure, path: str) -> None:
        self.files[path] = figure

    def log_text(self, text: str, path: str) -> None:
        self.files[path] = text


def guesses(images: ImageIndex, title: str, view: View | None) -> np.ndarray:
    """Predicts most images rightly, fewer where they are corrupted."""
    rng = np.random.default_rng(len(title))
    logit = 3 * (images.labels - 0.5) + rng.normal(0, 1 if view is None else 3, len(images))
    positive = 1 / (1 + np.exp(-logit))
    return np.stack([1 - positive, positive], axis=1).astype(np.float32)


def nothing(images: np.ndarray) -> np.ndarray:
    return np.zeros(images.shape[:3], np.float32)


@pytest.fixture(scope="module")
def index(patches: Path, tmp_path_factory: pytest.TempPathFactory) -> ImageIndex:
    cache = str(tmp_path_factory.mktemp("cache"))
    return ImageFolder(
        name="wall", path=str(patches), positive=None, limit=None, on_bad_file="error", cache=cache
    ).prepare()


def settings_of(corruptions: list[str]) -> DictConfig:
    return OmegaConf.create({"level": 0.9, "resamples": 20, "gallery": 4, "corruptions": corruptions})


def evaluated(index: ImageIndex, settings: DictConfig, extra: Mapping[str, ImageIndex]) -> EvaluationResult:
    policy = FittedPolicy(index.classes, Calibration(), Thresholds())
    evaluator = Evaluator(settings, 0, SIZE, guesses, policy, STANDARD)
    return evaluator.evaluate("wall, test", index, extra)


@pytest.fixture(scope="module")
def all_asked(index: ImageIndex) -> tuple[EvaluationResult, Report]:
    """The result and the report of an evaluation on an extra dataset and under two corruptions."""
    settings = settings_of(["blur", "jpeg"])
    result = evaluated(index, settings, {"site": index.subset(np.arange(len(index)) % 2 == 0)})
    return result, evaluation_report(result, settings, SIZE, nothing, ["The labels look odd."])


def printed(report: Report, monkeypatch: pytest.MonkeyPatch, width: int = 100) -> str:
    monkeypatch.setenv("COLUMNS", str(width))
    with redirect_stdout(StringIO()) as out:
        terminal.print_report(report)
    return out.getvalue()


def test_each_set_has_its_tables_and_figures_as_artifacts(all_asked: tuple[EvaluationResult, Report]) -> None:
    result, report = all_asked
    logger = Memory()
    log_evaluation(logger, result, report, ["The labels look odd."])
    assert set(logger.files) == {
        *(f"test/{name}" for name in DRAWN),
        *(f"also/site/{name}" for name in DRAWN),
        *("also/sets.csv", "also/sets.png"),
        *("corruption/scores.csv", "corruption/accuracy.png", "corruption/sheet.png"),
    }
    table = pd.read_csv(StringIO(str(logger.files["test/predictions.csv"])))
    assert table["correct"].mean() == logger.metrics["test/accuracy"]
    scores = pd.read_csv(StringIO(str(logger.files["also/site/metrics.csv"])), index_col="metric")
    assert scores.loc["recall", "low"] == result.all_metrics()["also/site/recall_low"]
    assert {"corruption/blur_3/accuracy", "corruption/mean/accuracy", "test/decided_recall"} <= set(logger.metrics)
    assert logger.tags["warning.model"] == "The labels look odd."


def test_several_extra_datasets_have_a_mean(index: ImageIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.arange(len(index))
    sites = {"bridge": index.subset(rows % 2 == 0), "wall": index.subset(rows % 3 == 0)}
    result = evaluated(index, settings_of([]), sites)
    report, logger = evaluation_report(result, settings_of([]), SIZE, nothing), Memory()
    log_evaluation(logger, result, report, [])
    each = [logger.metrics[f"also/{name}/accuracy"] for name in sites]
    assert logger.metrics["also/mean/accuracy"] == pytest.approx(np.mean(each))
    assert logger.metrics["also/mean/accuracy_low"] < logger.metrics["also/mean/accuracy"]
    table = pd.read_csv(StringIO(str(logger.files["also/sets.csv"])))
    assert table["name"].tolist() == ["wall, test", "bridge", "wall", "mean of 2 sets"]
    assert "mean of 2 sets" in printed(report, monkeypatch)


def test_all_values_are_logged_and_only_the_intervals_of_the_main_results(
    all_asked: tuple[EvaluationResult, Report],
) -> None:
    result, report = all_asked
    logger = Memory()
    log_evaluation(logger, result, report, [])
    every = result.all_metrics()
    ends = {name for name in every if name.endswith(("_low", "_high"))}
    headline = {
        f"{of}/{name}_{end}"
        for of in ("test", "also/site")
        for name in ("accuracy", "f1", "roc_auc")
        for end in ("low", "high")
    }
    assert headline < ends
    assert logger.metrics == {name: value for name, value in every.items() if name in headline or name not in ends}


def test_the_description_begins_with_doubts_and_holds_all_metrics(all_asked: tuple[EvaluationResult, Report]) -> None:
    result, report = all_asked
    note = markdown(report)
    assert note.index("The labels look odd.") < note.index("| metric |")
    for name, score in result.test.overall.scores.items():
        assert f"| {name.replace('_', chr(92) + '_')} | {score.value:.4f} |" in note
    for fact in ("wall, test (60 images)", "site (30 images)", "| blur |", "| jpeg |", "cracks found"):
        assert fact in note


@pytest.mark.parametrize("width", [80, 140])
def test_the_terminal_shows_the_summary_the_sets_the_corruptions_and_the_decisions(
    all_asked: tuple[EvaluationResult, Report], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    result, report = all_asked
    text = printed(report, monkeypatch, width)
    order = ["wall, test, 60 images", "90% interval", "side by side", "under corruptions", "Decisions ("]
    assert [text.index(words) for words in order] == sorted(text.index(words) for words in order)
    hidden = [name for name, metric in STANDARD.items() if "summary" not in metric.shown_in]
    assert hidden
    assert not any(f" {name} " in text for name in hidden)
    assert f"{result.test.overall.scores['log_loss'].value:.4f}" in text
    assert "The labels look odd." not in text
    assert all(len(line) <= width for line in text.splitlines() if line[:1] in tuple("┏┃│└"))


def test_a_plain_evaluation_has_nothing_beside_its_test_images(
    index: ImageIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of([])
    result = evaluated(index, settings, {})
    report = evaluation_report(result, settings, SIZE, nothing)
    logger: Any = Memory()
    log_evaluation(logger, result, report, [])
    assert set(logger.files) == {f"test/{name}" for name in DRAWN}
    assert "warning.model" not in logger.tags
    text = printed(report, monkeypatch)
    assert "side by side" not in text
    assert "corruption" not in text + logger.tags["mlflow.note.content"]


class Alarms(ReportSection[EvaluationResult]):
    """Counts the sound images that are called cracked."""

    def section(self, result: EvaluationResult) -> Section:
        count = int(((result.test.index.labels == 0) & (result.test.predictions == 1)).sum())
        table = Table([Column("alarms", [str(count)], [count], numeric=True)], path="counts.csv")
        return Section("False alarms by count", ["Look at them."], [table], files={"note.txt": "none"})


def test_a_section_of_ones_own_is_printed_described_and_logged_below_its_name(
    index: ImageIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of([])
    result = evaluated(index, settings, {})
    report = evaluation_report(result, settings, SIZE, nothing, own={"alarms": Alarms()})
    logger = Memory()
    log_evaluation(logger, result, report, [])
    assert result.test.overall.scores["accuracy"].value == pytest.approx(57 / 60)
    assert logger.files["report/alarms/counts.csv"] == "alarms\n3\n"
    assert logger.files["report/alarms/note.txt"] == "none"
    for text in (printed(report, monkeypatch), logger.tags["mlflow.note.content"]):
        assert "False alarms by count" in " ".join(text.split())
        assert "Look at them." in text
