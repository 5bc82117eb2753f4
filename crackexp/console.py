"""What a run prints: its config as a tree, its result as a table."""

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.syntax import Syntax
from rich.table import Table
from rich.tree import Tree

from crackexp.commands import next_command
from crackexp.data.accounting import Account
from crackexp.data.datamodule import DataModule
from crackexp.data.splits.ratio_split import apart
from crackexp.evaluation.doubts import ADVICE
from crackexp.evaluation.layout import level_text
from crackexp.evaluation.policy import decisions_text
from crackexp.evaluation.sets import notes, score_text
from crackexp.exporting.formats import FORMATS
from crackexp.metrics.intervals import Interval
from crackexp.metrics.metric import Metric, shown
from crackexp.names import on_one_line
from crackexp.tracking.logger import Logger

if TYPE_CHECKING:
    import pandas as pd

    from crackexp.auditing.findings import Finding
    from crackexp.data.index import ImageIndex
    from crackexp.data.splits.leaks import Leaks
    from crackexp.evaluation.comparison import Comparison
    from crackexp.evaluation.robustness import Robustness
    from crackexp.evaluation.sets import Part
    from crackexp.exporting.exporter import Exported
    from crackexp.judging import Judgement
    from crackexp.tracking.sweeps import Failure
    from crackexp.web.server_address import ServerAddress

WIDE = 110
"""Characters a line that the whole table of a comparison takes."""
LISTED = 50
"""Photos on the terminal; the page has more, the table all."""
console = Console(soft_wrap=False, markup=False, emoji=False)
"""Names of files and classes go through it, so brackets and colons in a text mean themselves."""


def print_config(cfg: DictConfig) -> None:
    """Prints the resolved config, a branch for each group."""
    tree = Tree("config", guide_style="dim")
    scalars = {key: value for key, value in cfg.items() if not OmegaConf.is_config(value)}
    groups = {key: value for key, value in cfg.items() if OmegaConf.is_config(value)}
    tree.add(_yaml(OmegaConf.create(scalars)))
    for key, value in groups.items():
        tree.add(str(key)).add(_yaml(value))
    console.print(tree)


def print_data(datamodule: DataModule) -> None:
    """Prints how many images of each class train, val and test hold, and how many in train are from other datasets."""
    index = datamodule.index
    table = Table(title=f"Data, {datamodule.dataset.name}", title_justify="left", title_style="bold")
    table.add_column("part")
    for name in index.class_names:
        table.add_column(f"{name} ({index.classes.defect})" if name in index.positives else name, justify="right")
    mixed = {f"  of them {one.name}, weight {one.weight:g}": one.train for one in datamodule.mix}
    parts = {"train": datamodule.train, **mixed, "val": datamodule.val, "test": datamodule.test}
    for part, images in parts.items():
        counts = np.bincount(images.labels, minlength=len(index.class_names))
        table.add_row(part, *(str(count) for count in counts))
    console.print(table)
    if datamodule.split.leaks:
        print_leaks(datamodule.split.leaks, apart(index))


def print_leaks(leaks: "Leaks", advice: str) -> None:
    """Warns of test images that training has seen, in a sentence; of none it says nothing.

    Args:
        leaks: What was found.
        advice: What to type so that there are none.
    """
    seen = [f"{leaks.copies:,} have a copy in train"] if leaks.copies else []
    seen += [f"{leaks.photos:,} are patches of a photo that is in train too"] if leaks.photos else []
    if seen:
        text = (
            f"Of {leaks.tested:,} test images {' and '.join(seen)}: their score says how well training is remembered. "
            f"Type {advice} to keep them apart."
        )
        print_plain(text, style="yellow")


def print_seen(name: str, index: "ImageIndex", seen: Collection[str] | None) -> None:
    """Prints a warning where a model is judged on images that it was trained on or chosen by."""
    count = int(np.isin(index.digests, list(seen or ())).sum())
    if count:
        print_plain(f"{count:,} of the {len(index):,} images of {name} stand in the model's train or val.")
    if seen is None:
        print_plain("Which images the model was trained on is not known: its run keeps no list of them.")


def print_others(others: Mapping[str, "ImageIndex"], left_out: Mapping[str, int]) -> None:
    """Prints how many images the other datasets hold, and how many of theirs are left out."""
    for name, index in others.items():
        told = f"Also {name}: {len(index):,} images, {index.damaged.sum():,} {index.classes.defect.adjective}"
        print_plain(f"{told}; left out {left_out[name]:,} that stand in train or val" if left_out[name] else told)
        print_account(index.account)


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


def print_doubts(doubts: Sequence[str]) -> None:
    """Warns of a model that should not be relied on, and says what to check; without doubts it says nothing."""
    if doubts:
        lines = ["\nThis model is not to be relied on:", *(f"- {doubt}" for doubt in doubts), ADVICE]
        print_plain("\n".join(lines), style="yellow")


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


def print_comparison(comparison: "Comparison", failures: Sequence["Failure"]) -> None:
    """Prints the settings, the best first, what each factor does, and last the answer."""
    from crackexp.evaluation.sweep_report import settings_columns

    title = f"{comparison.metric.name} on {comparison.items:,} test images that all share"
    table = Table(title=title, title_justify="left", title_style="bold")
    columns = [column for column in settings_columns(comparison) if column.title != "against the best"]
    if console.width < WIDE:
        columns = columns[: len(comparison.factors) + 4]
    for column in columns:
        interval = column.title.endswith("interval")
        table.add_column(column.title, justify="right" if column.numeric else "left", no_wrap=not interval)
    styles = {"best": "bold green", "worse": "dim"}
    for row, verdict in enumerate(comparison.table["verdict"]):
        table.add_row(*(column.texts[row] for column in columns), style=styles.get(verdict))
    console.print(table)
    for effect in comparison.effects:
        scores = ", ".join(
            f"{level_text(row['level'])}: {row['score']:.4f} ({row['low']:.4f} to {row['high']:.4f})"
            for row in effect.levels.to_dict("records")
        )
        claim = "matters" if effect.matters else "no difference shown"
        print_plain(f"{effect.name}: {claim} (p {effect.p:.3f}); {scores}")
    print_failures(failures)
    print_plain(f"\n{comparison.sentence}\n", style="bold")
    for note in comparison.notes:
        print_plain(f"- {note}")


def print_plain(text: str, style: str | None = None) -> None:
    """Prints lines as they are, never wrapped."""
    console.print(text, style=style, soft_wrap=True, highlight=False)


def print_failures(failures: Sequence["Failure"]) -> None:
    """Prints the cells that have no result, each with its error."""
    for failure in failures:
        print_plain(f"{failure.status}  {failure.name}: {failure.error}", style="red")


def print_predictions(counts: Mapping[str, int], account: Account, table: Path) -> None:
    """Prints how many images are cracked, what became of the files, and where the whole table lies."""
    print_plain("".join(f"{name:<12}{count:,}\n" for name, count in counts.items()) + f"Table       {table}")
    print_account(account)


def print_account(account: Account) -> None:
    """Prints how many files were used, left out and doubted, and names those of the last two."""
    first, *others = account.text().splitlines()
    print_plain(first)
    if others:
        print_plain("\n".join(others), style="yellow")


def print_survey(verdicts: "pd.DataFrame", account: Account, page: Path) -> None:
    """Prints the verdict on each photo, the most severe first, what could not be read, and where the report lies."""
    folder = os.path.commonpath([Path(name).absolute().parent for name in verdicts["photo"]])
    table = Table(title=f"Survey of {on_one_line(folder)}", title_justify="left", title_style="bold")
    for column in ("photo", "decision", "marked", "regions", "longest extent"):
        table.add_column(column, justify="left" if column in ("photo", "decision") else "right", overflow="fold")
    for row in verdicts.dropna(subset="decision")[:LISTED].itertuples():
        name, extent = on_one_line(os.path.relpath(row.photo, folder)), f"{row.longest_extent_px:,.0f} px"
        table.add_row(name, row.decision, f"{row.cracked_share:.1%}", f"{row.regions:.0f}", extent)
    console.print(table)
    print_account(account)
    print_plain(f"Report      {page}")


def print_audit(name: str, images: int, findings: Sequence["Finding"], page: Path) -> None:
    """Prints what was found in a dataset and what to do about it, and where the report lies."""
    table = Table(title=f"Audit of {name}, {images:,} images", title_justify="left", title_style="bold")
    table.add_column("looked for")
    table.add_column("found", justify="right")
    table.add_column("what to do", overflow="fold")
    for finding in findings:
        style = "yellow" if finding.count else "dim"
        table.add_row(finding.title, f"{finding.count:,}", finding.advice if finding.count else "", style=style)
    console.print(table)
    for finding in findings:
        print_plain(finding.text)
    print_plain(f"Report      {page}")


def print_place(address: "ServerAddress") -> None:
    """Prints where the page is, how to end it, and who can use it."""
    if not address.is_private:
        told = "Anybody who reaches this computer over the network can use the page: it asks for no password. "
        print_plain(f"{told}Type host=127.0.0.1 for yourself alone. Received: host={address.host}", style="red")
    print_plain(f"Open        {address.url}\nEnd         Ctrl-C")


def print_export(exported: Sequence["Exported"], folder: Path) -> None:
    """Prints the largest difference of each file's probabilities from the model's, and where the files lie."""
    table = Table(title="Exported", title_justify="left", title_style="bold")
    for column in ("format", "file", "bytes", "difference", "read by"):
        table.add_column(column, justify="right" if column in ("bytes", "difference") else "left")
    for one in exported:
        size, difference = f"{one.file.stat().st_size:,}", f"{one.difference:.1e}"
        table.add_row(one.format, one.file.name, size, difference, FORMATS[one.format].runtime)
    console.print(table)
    print_plain(f"Folder      {folder}")


def print_budget(seconds: Mapping[str, float]) -> None:
    """Prints where the seconds went, and each section's share."""
    table = Table(title="Time", title_justify="left", title_style="bold")
    for column in ("section", "seconds", "share"):
        table.add_column(column, justify="left" if column == "section" else "right")
    for name, value in seconds.items():
        table.add_row(name, f"{value:.1f}", f"{value / max(seconds['total'], 1e-9):.0%}")
    console.print(table)


def _yaml(node: DictConfig) -> Syntax:
    return Syntax(OmegaConf.to_yaml(node).rstrip(), "yaml", background_color="default")


def print_where(logger: Logger, output: Path, model_uri: str | None, verdict: str | None = None) -> None:
    """Prints where the run lies, what became of its model in the registry, and what to type next."""
    lines = [f"Output      {output}", *logger.where()]
    if model_uri:
        lines += [
            f"Model       {model_uri}",
            f"Judge it    {next_command('evaluate', f'run={logger.run_id}', 'dataset=folder', 'dataset.path=PATCHES')}",
        ]
    if verdict:
        lines.append(f"Registry    {verdict}")
    print_plain("\n".join(lines))
