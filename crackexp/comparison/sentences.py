"""Puts a comparison into words that claim no more than the data carries."""

import math

import pandas as pd

from crackexp.comparison.comparison import Comparison, Effect
from crackexp.comparison.design import level_text
from crackexp.evaluation.sets import over_photos
from crackexp.reporting.formatting import ends_text, listed, number, p_text

FEW_IMAGES = 100
DOUBTED = 5
"""Runs that are no better than chance, up to which each has a note."""
STRAYED = 9.0
"""Times the variance from the choice of test images at which that of training is worth a note."""


def answer(found: Comparison) -> list[str]:
    """Returns the answer, a sentence each: the best, its ties, the factors, what it rests on."""
    if len(found.table) == 1:
        return _alone(found)
    lines = [_best(found), *_ties(found)]
    if len(found.factors) > 1:
        lines += _factors(found)
    return [*lines, _training(found)]


def notes(found: Comparison) -> list[str]:
    """Returns what a reader must know besides the answer."""
    lines = []
    smallest, largest = int(found.cells["tested"].min()), int(found.cells["tested"].max())
    if largest > found.items:
        sizes = f"{smallest:,}" if smallest == largest else f"{smallest:,} to {largest:,}"
        lines.append(
            f"The runs were tested on {sizes} images each; they are compared on the {found.items:,} they share."
        )
    left_out = found.cells["name"][found.cells["score"].isna()]
    if len(left_out):
        lines.append(
            f"Left out of the comparison, for not every setting was run with their split.seed: {listed(left_out)}."
        )
    doubted = found.cells[found.cells["doubt"] != ""]
    lines += [
        f"{one.name} is not to be relied on: {one.doubt}." for one in doubted.head(DOUBTED).itertuples(index=False)
    ]
    if len(doubted) > DOUBTED:
        lines.append(f"Nor are {len(doubted) - DOUBTED} other runs; the column doubt of sweep/cells.csv has them all.")
    if found.items < FEW_IMAGES:
        lines.append(f"{found.items} common test images are few: only large differences can be shown.")
    fewest = 2 + math.floor(math.log2(1 / (1 - found.level)) - 1e-9)
    once = len(found.table) > 1 and found.table["runs"].max() == 1
    if found.groups:
        lines += _photos(found, found.groups, fewest)
    elif found.metric.proportion and once and found.table["errors"].nlargest(2).sum() < fewest:
        lines.append(
            f"No two settings differ on {fewest} images or more, the fewest on which a difference can be shown: "
            "test on more images, or compare by log_loss."
        )
    if found.noise.failed is not None:
        name = found.cells["name"][found.cells["score"].notna()].iloc[found.noise.failed]
        lines.append(
            f"{name} scores unlike all that its levels do elsewhere: a failed training, or levels that go together. "
            "It is left out of the estimate of how far trainings stray."
        )
    if found.noise.source == "layout" and found.noise.variance > STRAYED * found.noise.items:
        lines.append(
            f"The factors leave much unexplained (a standard deviation of {math.sqrt(found.noise.variance):.4f}): "
            "trainings stray, or factors act only together. Repeats (seed=0,1,2) would tell which, and show more."
        )
    told = {effect.factor for effect in found.effects}
    apart = [name for key, name in found.factors.items() if key not in told]
    if apart:
        lines.append(
            f"What {listed(apart)} {'does' if len(apart) == 1 else 'do'} alone cannot be told: "
            "these settings do not cross the levels."
        )
    return lines


def _photos(found: Comparison, groups: int, fewest: int) -> list[str]:
    """Says that photos are compared, and how few of them are too few."""
    lines = [over_photos(groups, found.items)]
    least = fewest if found.metric.proportion else 2
    if len(found.table) > 1 and groups < least:
        other = ", or compare by log_loss" if groups > 1 else ""
        lines.append(
            f"On fewer than {least} photos no difference in {found.metric.title} can be shown: test on more "
            f"photos{other}."
        )
    return lines


def errors_text(errors: float) -> str:
    """Returns "no errors", "1 error", "3 errors" or, of a mean of repeats, "2.3 errors"."""
    text = f"{errors:.0f}" if abs(errors - round(errors)) < 0.05 else f"{errors:.1f}"
    return "no errors" if text == "0" else f"{text} error{'' if text == '1' else 's'}"


def _alone(found: Comparison) -> list[str]:
    row = found.table.iloc[0]
    scores = found.cells["score"].dropna()
    if len(found.cells) == 1:
        return [
            f"One run, {row['setting']}: {_score(found, row)} on {found.items:,} test images.",
            "There is nothing to compare it with.",
        ]
    return [
        f"One setting, trained {len(scores)} times with other seeds: {_score(found, row)} on average on the "
        f"{found.items:,} common test images.",
        f"The seed alone moves it from {number(scores.min())} to {number(scores.max())}."
        if scores.max() - scores.min() > 1e-12
        else "The seed alone does not move it.",
    ]


def _best(found: Comparison) -> str:
    table, name = found.table, found.best
    first = table.iloc[0]
    equal = int((abs(table["score"] - first["score"]) < 1e-12).sum())
    where = f"on the {found.items:,} common test images"
    every = "Both" if equal == 2 else f"All {equal}"
    if equal == len(table) and found.metric.counts_errors:
        if first["errors"] == 0:
            return f"None of the {equal} settings errs {where}: {_score(found, first)} each."
        return f"{every} settings err equally often {where}: {_score(found, first)} each."
    if equal == len(table):
        return f"{every} settings score the same {where}: {_score(found, first)} each."
    most = "highest" if found.metric.higher_is_better else "lowest"
    does = "errs least" if found.metric.counts_errors else f"has the {most} {found.metric.title}"
    if equal > 1:
        plural = does.replace("errs", "err").replace("has", "have")
        quick = "" if math.isnan(first["seconds"]) else f"; of these {name} ran quickest"
        return f"Of {len(table)} settings, {equal} {plural} {where}: {_score(found, first)} each{quick}."
    return f"Of {len(table)} settings, {name} {does} {where}: {_score(found, first)}."


def _ties(found: Comparison) -> list[str]:
    others = found.table.iloc[1:]
    if (abs(found.table["score"] - found.table["score"].iloc[0]) < 1e-12).all():
        return ["These images cannot tell them apart."]
    worse = others[others["verdict"] == "worse"]
    poor = "worse" if found.noise.dof else "worse as trained"
    if len(others) == 1:
        other = others.iloc[0]
        verdict = f"is {poor}" if len(worse) else "is statistically tied with it"
        return [f"{other['setting']} ({_brief(found, other)}) {verdict} ({p_text(other['p'])})."]
    if len(worse) == len(others):
        return [f"Each of the other {len(others)} is {poor}."]
    if not len(worse):
        return [f"The other {len(others)} are statistically tied with it."]
    tied = len(others) - len(worse)
    names = f": {listed(worse['setting'], '; ')}" if len(worse) <= 2 else ""
    return [
        f"{tied} of the other {len(others)} {'is' if tied == 1 else 'are'} statistically tied with it; "
        f"{len(worse)} {'is' if len(worse) == 1 else 'are'} {poor}{names}."
    ]


def _factors(found: Comparison) -> list[str]:
    lines = [_effect(found, effect) for effect in found.effects if effect.matters]
    quiet = [effect.name for effect in found.effects if not effect.matters]
    if quiet:
        verb = "makes" if len(quiet) == 1 else "make"
        lines.append(f"{listed(quiet)} {verb} no difference that these images can show.")
    return lines


def _effect(found: Comparison, effect: Effect) -> str:
    levels = effect.levels
    if len(levels) > 4:
        levels = levels.loc[sorted({levels["score"].idxmin(), levels["score"].idxmax()})]
    means = listed([f"{number(row.score)} at {level_text(row.level)}" for row in levels.itertuples()])
    matters = "matters" if found.noise.dof else "matters to these trained models"
    return f"{effect.name} {matters}: {found.metric.title} {means} ({p_text(effect.p)})."


def _training(found: Comparison) -> str:
    runs = found.table["runs"]
    once = runs.max() == 1
    if found.noise.source == "none":
        why = "Each setting was trained once (one seed)" if once else "The repeats are too few to tell the seed's part"
        return f"{why}: this is said of these trained models, and another seed may turn it."
    if found.noise.source == "layout":
        seeds = "Each setting was trained once (one seed)" if once else "Few settings were trained more than once"
        return f"{seeds}: how far trainings stray is taken from what the factors leave unexplained."
    times = f"{runs.min()}" if runs.min() == runs.max() else f"{runs.min()} to {runs.max()}"
    return f"Each setting was trained {times} times; how far its trainings stray is counted in."


def _score(found: Comparison, row: pd.Series) -> str:
    interval = f"{number(row['score'])} ({ends_text(row['low'], row['high'], missing='no interval')})"
    told = f"{found.metric.title} {interval}"
    return f"{errors_text(row['errors'])}, {told}" if found.metric.counts_errors else told


def _brief(found: Comparison, row: pd.Series) -> str:
    if found.metric.counts_errors:
        return errors_text(row["errors"])
    return number(row["score"])
