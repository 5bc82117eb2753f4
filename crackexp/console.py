"""What a run prints: its config as a tree, its result as a table."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table

from crackexp.evaluation.policy import decisions_text
from crackexp.evaluation.sets import notes, score_text
from crackexp.metrics.intervals import Interval
from crackexp.metrics.metric import Metric, shown

if TYPE_CHECKING:
    from crackexp.evaluation.robustness import Robustness
    from crackexp.evaluation.sets import Part
    from crackexp.judging import Judgement

console = Console(soft_wrap=False, markup=False, emoji=False)
"""Names of files and classes go through it, so brackets and colons in a text mean themselves."""


def print_judgement(title: str, judgement: "Judgement", level: float) -> None:
    """Prints what the classifier is worth on its test images, on other datasets and under corruptions."""
    whole = judgement.test.whole
    print_scores(f"{title}, {whole.size}", whole.scores, level, judgement.measures)
    if len(judgement.rows) > 1:
        print_parts(judgement.rows, level, judgement.measures)
    for one in (judgement.test, *judgement.others):
        for note in notes(one.whole):
            print_plain(f"{one.whole.name}: {note}")
    if judgement.robustness:
        print_robustness(judgement.robustness, level)
    print_plain(f"\nDecisions: {judgement.policy}")
    for one in (judgement.test, *judgement.others):
        print_plain(f"- {one.whole.name}: {decisions_text(one.decided, judgement.policy.thresholds.defect)}")


def print_parts(parts: Sequence["Part"], level: float, metrics: Mapping[str, Metric]) -> None:
    """Prints sets of images and their surfaces side by side."""
    table = Table(title=f"Side by side, {level:.0%} intervals", title_justify="left", title_style="bold")
    names = list(shown(metrics, "subsets"))
    for column in ("set", *names):
        table.add_column(column, overflow="fold")
    for part in parts:
        found = (part.scores.get(name) for name in names)
        table.add_row(f"{part.name}\n{part.size}", *(_score(score, 1, 3, "{}\n{} to {}") for score in found))
    console.print(table)


def print_robustness(found: "Robustness", level: float) -> None:
    """Prints the accuracy under each corruption at each strength."""
    table = Table(
        title=f"Accuracy in % under corruptions, {level:.0%} intervals", title_justify="left", title_style="bold"
    )
    strengths = range(1, 1 + max(len(row) for row in found.corrupted.values()))
    for column in ("corruption", *(f"strength {k}" for k in strengths)):
        table.add_column(column, justify="left" if column == "corruption" else "right")
    for name, row in found.corrupted.items():
        table.add_row(name, *(_score(scores["accuracy"], 100, 1, "{} ({} to {})") for scores in row))
    console.print(table)
    print_plain(f"Mean {score_text(found.mean['accuracy'])}; without corruption {score_text(found.clean['accuracy'])}")


def _score(score: Interval | None, unit: float, digits: int, form: str) -> str:
    if score is None:
        return "undefined"
    value, low, high = (f"{unit * number:.{digits}f}" for number in (score.value, score.low, score.high))
    return value if np.isnan(score.low) else form.format(value, low, high)


def print_scores(title: str, scores: Mapping[str, Interval], level: float, metrics: Mapping[str, Metric]) -> None:
    """Prints the metrics that are shown in the summary of a run, each with its interval."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for column in ("metric", "value", f"{level:.0%} interval"):
        table.add_column(column, justify="left" if column == "metric" else "right")
    for name in shown(metrics, "summary"):
        if name in scores:
            score = scores[name]
            ends = "none" if np.isnan(score.low) else f"{score.low:.4f} to {score.high:.4f}"
            table.add_row(name, f"{score.value:.4f}", ends)
    console.print(table)


def print_plain(text: str, style: str | None = None) -> None:
    """Prints lines as they are, never wrapped."""
    console.print(text, style=style, soft_wrap=True, highlight=False)
