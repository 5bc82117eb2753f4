"""A comparison in sentences, which claim no more than the data supports."""

import math

import pandas as pd

from crackexp.comparison.comparison import Comparison, Effect
from crackexp.comparison.design import level_text
from crackexp.evaluation.sets import intervals_note
from crackexp.reporting.formatting import ends_text, listed, number, p_text

FEW_IMAGES = 100
DOUBTED = 5
"""The number of runs no better than chance up to which each of them has a note."""
STRAYED = 9.0
"""The ratio of the variance of training to that of the choice of test images above which there is a note."""


def answer(comparison: Comparison) -> list[str]:
    """Returns the answer in sentences: the best configuration, its ties, the factors, and how training was repeated."""
    if len(comparison.table) == 1:
        return _alone(comparison)
    lines = [_best(comparison), *_ties(comparison)]
    if len(comparison.factors) > 1:
        lines += _factors(comparison)
    return [*lines, _training(comparison)]


def notes(comparison: Comparison) -> list[str]:
    """Returns the notes that a reader needs besides the answer."""
    lines = []
    smallest, largest = int(comparison.trials["tested"].min()), int(comparison.trials["tested"].max())
    if largest > comparison.items:
        sizes = f"{smallest:,}" if smallest == largest else f"{smallest:,} to {largest:,}"
        lines.append(
            f"The runs were tested on {sizes} images each; they are compared on the {comparison.items:,} they share."
        )
    left_out = comparison.trials["name"][comparison.trials["score"].isna()]
    if len(left_out):
        lines.append(
            "Left out of the comparison, since not every configuration was run with their split.seed: "
            f"{listed(left_out)}."
        )
    doubted = comparison.trials[comparison.trials["doubt"] != ""]
    lines += [f"Do not rely on {run.name}: {run.doubt}." for run in doubted.head(DOUBTED).itertuples(index=False)]
    if len(doubted) > DOUBTED:
        lines.append(
            f"The same holds for {len(doubted) - DOUBTED} other runs; the column doubt of sweep/cells.csv names them."
        )
    if comparison.items < FEW_IMAGES:
        lines.append(f"{comparison.items} common test images are few: only large differences can be shown.")
    fewest = 2 + math.floor(math.log2(1 / (1 - comparison.level)) - 1e-9)
    once = len(comparison.table) > 1 and comparison.table["runs"].max() == 1
    if comparison.groups:
        lines += _photos(comparison, comparison.groups, fewest)
    elif comparison.metric.proportion and once and comparison.table["errors"].nlargest(2).sum() < fewest:
        lines.append(
            f"No two configurations differ on {fewest} images or more, the fewest on which a difference can be shown: "
            "test on more images, or compare by log_loss."
        )
    if comparison.noise.failed is not None:
        name = comparison.trials["name"][comparison.trials["score"].notna()].iloc[comparison.noise.failed]
        lines.append(
            f"{name} scores unlike the other configurations with its levels: its training failed, or the levels "
            "interact. It is left out of the estimate of the variation between trainings."
        )
    if comparison.noise.source == "design" and comparison.noise.variance > STRAYED * comparison.noise.items:
        lines.append(
            f"The factors leave much unexplained (a standard deviation of {math.sqrt(comparison.noise.variance):.4f}): "
            "trainings vary much, or factors interact. Repeats (seed=0,1,2) would show which of the two it is."
        )
    told = {effect.factor for effect in comparison.effects}
    apart = [name for key, name in comparison.factors.items() if key not in told]
    if apart:
        lines.append(
            f"The effect of {listed(apart)} alone cannot be estimated: these configurations do not cross the levels."
        )
    return lines


def _photos(comparison: Comparison, groups: int, fewest: int) -> list[str]:
    """Returns the notes on a comparison over photos: that photos are compared, and whether they are too few."""
    lines = [intervals_note(groups, comparison.items)]
    least = fewest if comparison.metric.proportion else 2
    if len(comparison.table) > 1 and groups < least:
        other = ", or compare by log_loss" if groups > 1 else ""
        lines.append(
            f"On fewer than {least} photos no difference in {comparison.metric.title} can be shown: test on more "
            f"photos{other}."
        )
    return lines


def errors_text(errors: float) -> str:
    """Returns "no errors", "1 error", "3 errors" or, of a mean of repeats, "2.3 errors"."""
    text = f"{errors:.0f}" if abs(errors - round(errors)) < 0.05 else f"{errors:.1f}"
    return "no errors" if text == "0" else f"{text} error{'' if text == '1' else 's'}"


def _alone(comparison: Comparison) -> list[str]:
    row = comparison.table.iloc[0]
    scores = comparison.trials["score"].dropna()
    if len(comparison.trials) == 1:
        return [
            f"One run, {row['configuration']}: {_score(comparison, row)} on {comparison.items:,} test images.",
            "There is nothing to compare it with.",
        ]
    return [
        f"One configuration, trained {len(scores)} times with other seeds: {_score(comparison, row)} on average on the "
        f"{comparison.items:,} common test images.",
        f"The seed alone moves it from {number(scores.min())} to {number(scores.max())}."
        if scores.max() - scores.min() > 1e-12
        else "The seed alone does not move it.",
    ]


def _best(comparison: Comparison) -> str:
    table, name = comparison.table, comparison.best
    first = table.iloc[0]
    equal = int((abs(table["score"] - first["score"]) < 1e-12).sum())
    where = f"on the {comparison.items:,} common test images"
    every = "Both" if equal == 2 else f"All {equal}"
    if equal == len(table) and comparison.metric.counts_errors:
        if first["errors"] == 0:
            return f"None of the {equal} configurations errs {where}: {_score(comparison, first)} each."
        return f"{every} configurations err equally often {where}: {_score(comparison, first)} each."
    if equal == len(table):
        return f"{every} configurations score the same {where}: {_score(comparison, first)} each."
    most = "highest" if comparison.metric.higher_is_better else "lowest"
    does = "errs least" if comparison.metric.counts_errors else f"has the {most} {comparison.metric.title}"
    if equal > 1:
        plural = does.replace("errs", "err").replace("has", "have")
        quick = "" if math.isnan(first["seconds"]) else f"; of these {name} ran quickest"
        return f"Of {len(table)} configurations, {equal} {plural} {where}: {_score(comparison, first)} each{quick}."
    return f"Of {len(table)} configurations, {name} {does} {where}: {_score(comparison, first)}."


def _ties(comparison: Comparison) -> list[str]:
    others = comparison.table.iloc[1:]
    if (abs(comparison.table["score"] - comparison.table["score"].iloc[0]) < 1e-12).all():
        return ["These images cannot tell them apart."]
    worse = others[others["verdict"] == "worse"]
    poor = "worse" if comparison.noise.dof else "worse as trained"
    if len(others) == 1:
        other = others.iloc[0]
        verdict = f"is {poor}" if len(worse) else "is statistically tied with it"
        return [f"{other['configuration']} ({_brief(comparison, other)}) {verdict} ({p_text(other['p'])})."]
    if len(worse) == len(others):
        return [f"Both others are {poor}." if len(others) == 2 else f"Each of the other {len(others)} is {poor}."]
    if not len(worse):
        every = "Both others" if len(others) == 2 else f"The other {len(others)}"
        return [f"{every} are statistically tied with it."]
    tied = len(others) - len(worse)
    names = f": {listed(worse['configuration'], '; ')}" if len(worse) <= 2 else ""
    return [
        f"{tied} of the other {len(others)} {'is' if tied == 1 else 'are'} statistically tied with it; "
        f"{len(worse)} {'is' if len(worse) == 1 else 'are'} {poor}{names}."
    ]


def _factors(comparison: Comparison) -> list[str]:
    lines = [_effect(comparison, effect) for effect in comparison.effects if effect.matters]
    quiet = [effect.name for effect in comparison.effects if not effect.matters]
    if quiet:
        verb = "makes" if len(quiet) == 1 else "make"
        lines.append(f"{listed(quiet)} {verb} no difference that these images can show.")
    return lines


def _effect(comparison: Comparison, effect: Effect) -> str:
    levels = effect.levels
    if len(levels) > 4:
        levels = levels.loc[sorted({levels["score"].idxmin(), levels["score"].idxmax()})]
    means = listed([f"{number(row.score)} at {level_text(row.level)}" for row in levels.itertuples()])
    matters = "matters" if comparison.noise.dof else "matters to these trained models"
    return f"{effect.name} {matters}: {comparison.metric.title} {means} ({p_text(effect.p)})."


def _training(comparison: Comparison) -> str:
    runs = comparison.table["runs"]
    once = runs.max() == 1
    if comparison.noise.source == "none":
        why = (
            "Each configuration was trained once (one seed)"
            if once
            else "Too few configurations were trained more than once to estimate the effect of the seed"
        )
        return f"{why}: this holds for these trained models only, and may be different with another seed."
    if comparison.noise.source == "design":
        seeds = (
            "Each configuration was trained once (one seed)"
            if once
            else "Few configurations were trained more than once"
        )
        return f"{seeds}: the variation between trainings is estimated from what the factors leave unexplained."
    times = f"{runs.min()}" if runs.min() == runs.max() else f"{runs.min()} to {runs.max()}"
    return (
        f"Each configuration was trained {times} times; the variation between its trainings is part of every interval."
    )


def _score(comparison: Comparison, row: pd.Series) -> str:
    interval = f"{number(row['score'])} ({ends_text(row['low'], row['high'], missing='no interval')})"
    told = f"{comparison.metric.title} {interval}"
    return f"{errors_text(row['errors'])}, {told}" if comparison.metric.counts_errors else told


def _brief(comparison: Comparison, row: pd.Series) -> str:
    if comparison.metric.counts_errors:
        return errors_text(row["errors"])
    return number(row["score"])
