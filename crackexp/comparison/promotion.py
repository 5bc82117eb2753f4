"""Whether the best of some trained models is better than the champion, on images that are new to all of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from crackexp.comparison.comparison import Cell, Comparison, compare
from crackexp.comparison.sentences import errors_text
from crackexp.data.classes.decisions import Classes
from crackexp.metrics.metric import MeanMetric
from crackexp.reporting.formatting import number, p_text
from crackexp.utils.errors import DataError


@dataclass(frozen=True, eq=False)
class Contender:
    """A trained model with what its comparison needs.

    Attributes:
        run_id: of the run that trained it.
        cell: with the predictions of its test images.
        uri: of the logged model.
        classes: in the order of its outputs, and those that are damage.
        seen: digests of the images that it was trained or validated on.
        recipe: of its test images, such as "the dataset folder with split.seed=1337".
    """

    run_id: str
    cell: Cell
    uri: str
    classes: Classes
    seen: frozenset[str]
    recipe: str


class IncomparableError(Exception):
    """Why models cannot be compared, as the end of a sentence."""


def best_of(contenders: Sequence[Contender], metric: MeanMetric, level: float) -> Contender:
    """Returns the contender that scores best on the test images that all share and none was trained or validated on.

    Args:
        contenders: at least one.
        metric: that they are compared by.
        level: confidence in (0, 1).

    Raises:
        IncomparableError: there are no such images, or they disagree about their classes.
    """
    if len(contenders) == 1:
        return contenders[0]
    found = _compared(contenders, metric, level, "sweep with one split.seed")
    return min(contenders, key=lambda one: int(str(_row(found, one).name)))


def contest(
    one: Contender, champion: Contender, name: str, metric: MeanMetric, level: float, chosen_from: int
) -> tuple[bool, str]:
    """Returns whether `one` beats the champion, and why, as the end of a sentence.

    It does where `compare` calls the champion worse than it, on the test images that both were tested on and neither
    was trained or validated on. The best of k is the best partly by luck: its p-value is taken times k (Bonferroni), so
    that the chance that a champion falls that is not worse is at most 1 - level, however `one` was chosen.

    Args:
        one: the new model.
        champion: the present one.
        name: of the champion, such as "version 3".
        metric: that they are compared by.
        level: confidence in (0, 1).
        chosen_from: k, the number of models that `one` is the best of.

    Raises:
        IncomparableError: they tell other classes apart, share no such images, or disagree about their classes.
    """
    if one.classes != champion.classes:
        raise IncomparableError(
            f"it tells {_told(one)}, and {name} {_told(champion)}; register it under a name of its own"
        )
    models = [one, champion]
    advice = f"to have the test images of {name}, train on {champion.recipe}"
    found = _compared(models, metric, 1 - (1 - level) / chosen_from, advice)
    mine, other = _row(found, one), _row(found, champion)
    beats, beaten = (row["verdict"] == "worse" for row in (other, mine))
    told = "which is worse" if beats else "which is better" if beaten else "statistically tied"
    p = p_text(min(1.0, float(found.table["p"].min()) * chosen_from))
    note = f" as the best of {chosen_from}" if chosen_from > 1 else ""
    return beats, (
        f"{_score(found, mine)} on the {found.items:,} test images that both share{_left_out(one, models)}, "
        f"{_score(found, other)} by {name}, {told} ({p}{note})"
    )


def _compared(models: Sequence[Contender], metric: MeanMetric, level: float, advice: str) -> Comparison:
    """Compares the models, each a setting of its own."""
    tables = _new_to_all(models)
    if not set.intersection(*(set(table["digest"]) for table in tables.values())):
        raise IncomparableError(
            f"there is no test image that {_every(models)} were tested on and none was trained or validated on"
            f"{_left_out(models[0], models)}; {advice}"
        )
    cells = [
        replace(one.cell, run_id=one.run_id, name=one.run_id, settings={"model": one.run_id}, predictions=table)
        for one, table in zip(models, tables.values(), strict=True)
    ]
    try:
        return compare(cells, metric, level)
    except DataError as error:
        text = str(error).partition(". Received:")[0]
        raise IncomparableError(text[0].lower() + text[1:]) from error


def _new_to_all(models: Sequence[Contender]) -> dict[str, pd.DataFrame]:
    """Returns run id to the predictions of the test images that none of the models was trained or validated on."""
    seen = frozenset[str]().union(*(one.seen for one in models))
    tables = {one.run_id: one.cell.predictions for one in models}
    return {run_id: table[~table["digest"].isin(seen)] for run_id, table in tables.items()}


def _left_out(one: Contender, models: Sequence[Contender]) -> str:
    """Says how many test images of `one` are not new to all models; "" where all are."""
    tested = len(one.cell.predictions)
    known = tested - len(_new_to_all(models)[one.run_id])
    return f" ({known:,} of its {tested:,} are left out: a model was trained or validated on them)" if known else ""


def _row(found: Comparison, one: Contender) -> pd.Series:
    """Returns the row of the settings' table that is this model; its name is the place, from 0 for the best."""
    setting = found.cells.set_index("run_id")["setting"][one.run_id]
    return found.table[found.table["setting"] == setting].iloc[0]


def _score(found: Comparison, row: pd.Series) -> str:
    if found.metric.counts_errors:
        return errors_text(row["errors"])
    return f"{found.metric.title} {number(row['score'])}"


def _every(models: Sequence[Contender]) -> str:
    return "both" if len(models) == 2 else f"all {len(models)} models"


def _told(one: Contender) -> str:
    return f"{', '.join(one.classes.names)} apart, where {one.classes.target} means {one.classes.defect.phrase}"
