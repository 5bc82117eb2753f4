"""The test of a new model against the champion of the model registry, on images that are new to both."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from crackexp.comparison.comparison import Comparison, Trial, compare
from crackexp.comparison.sentences import errors_text
from crackexp.data.classes.decisions import Classes
from crackexp.metrics.metric import MeanMetric
from crackexp.reporting.formatting import number, p_text
from crackexp.utils.errors import DataError


@dataclass(frozen=True, eq=False)
class Candidate:
    """A trained model that may become champion, or the champion itself.

    Attributes:
        run_id: The id of the run that trained the model.
        trial: The run, with the predictions of its test images.
        uri: The URI of the logged model.
        classes: The classes, in the order of the model's outputs, and which of them are damage.
        seen: The digests of the images on which the model was trained or validated.
        recipe: The way to the same test images, such as "the dataset folder with split.seed=1337".
    """

    run_id: str
    trial: Trial
    uri: str
    classes: Classes
    seen: frozenset[str]
    recipe: str


class IncomparableError(Exception):
    """Raised where models cannot be compared. The message is the end of a sentence."""


def best_of(candidates: Sequence[Candidate], metric: MeanMetric, level: float) -> Candidate:
    """Returns the candidate with the best score on the shared test images that are new to all candidates.

    An image is new to a model that was neither trained nor validated on it.

    Args:
        candidates: The candidates; at least one.
        metric: The metric by which they are compared.
        level: The confidence in (0, 1).

    Raises:
        IncomparableError: There are no such images, or the candidates disagree about the classes of them.
    """
    if len(candidates) == 1:
        return candidates[0]
    comparison = _compared(candidates, metric, level, "sweep with one split.seed")
    return min(candidates, key=lambda candidate: int(str(_row(comparison, candidate).name)))


def decide_promotion(
    candidate: Candidate, champion: Candidate, name: str, metric: MeanMetric, level: float, chosen_from: int
) -> tuple[bool, str]:
    """Returns whether a candidate replaces the champion, and the reason as the end of a sentence.

    It does where `compare` calls the champion worse, on the shared test images that are new to both models. The best of
    k models is the best partly by luck, so its p-value is multiplied by k (Bonferroni). The chance that a champion is
    replaced by a model that is not better is then at most 1 - level, however the candidate was chosen.

    Args:
        candidate: The new model.
        champion: The present champion.
        name: The name of the champion, such as "version 3".
        metric: The metric by which they are compared.
        level: The confidence in (0, 1).
        chosen_from: The number k of models of which the candidate is the best.

    Raises:
        IncomparableError: The two have different classes, share no such images, or disagree about the classes of them.
    """
    if candidate.classes != champion.classes:
        raise IncomparableError(
            f"it tells {_classes(candidate)}, and {name} {_classes(champion)}; register it under a name of its own"
        )
    models = [candidate, champion]
    advice = f"to have the test images of {name}, train on {champion.recipe}"
    comparison = _compared(models, metric, 1 - (1 - level) / chosen_from, advice)
    mine, other = _row(comparison, candidate), _row(comparison, champion)
    wins, loses = (row["verdict"] == "worse" for row in (other, mine))
    outcome = "which is worse" if wins else "which is better" if loses else "statistically tied"
    p = p_text(min(1.0, float(comparison.table["p"].min()) * chosen_from))
    note = f" as the best of {chosen_from}" if chosen_from > 1 else ""
    return wins, (
        f"{_score(comparison, mine)} on the {comparison.items:,} test images that both share"
        f"{_left_out(candidate, models)}, {_score(comparison, other)} by {name}, {outcome} ({p}{note})"
    )


def _compared(models: Sequence[Candidate], metric: MeanMetric, level: float, advice: str) -> Comparison:
    """Compares the models, each as a configuration of its own."""
    tables = _new_to_all(models)
    if not set.intersection(*(set(table["digest"]) for table in tables.values())):
        raise IncomparableError(
            f"there is no test image that {_every(models)} were tested on and none was trained or validated on"
            f"{_left_out(models[0], models)}; {advice}"
        )
    trials = [
        replace(
            model.trial,
            run_id=model.run_id,
            name=model.run_id,
            configuration={"model": model.run_id},
            predictions=table,
        )
        for model, table in zip(models, tables.values(), strict=True)
    ]
    try:
        return compare(trials, metric, level)
    except DataError as error:
        text = str(error).partition(". Received:")[0]
        raise IncomparableError(text[0].lower() + text[1:]) from error


def _new_to_all(models: Sequence[Candidate]) -> dict[str, pd.DataFrame]:
    """Returns the predictions of each model, by run id, on its test images that are new to all models."""
    seen = frozenset[str]().union(*(model.seen for model in models))
    tables = {model.run_id: model.trial.predictions for model in models}
    return {run_id: table[~table["digest"].isin(seen)] for run_id, table in tables.items()}


def _left_out(model: Candidate, models: Sequence[Candidate]) -> str:
    """Returns how many test images of `model` are not new to all models, or "" where all are."""
    tested = len(model.trial.predictions)
    known = tested - len(_new_to_all(models)[model.run_id])
    return f" ({known:,} of its {tested:,} are left out: a model was trained or validated on them)" if known else ""


def _row(comparison: Comparison, model: Candidate) -> pd.Series:
    """Returns the row of a model in the table of configurations. Its name is the rank, from 0 for the best."""
    configuration = comparison.trials.set_index("run_id")["configuration"][model.run_id]
    return comparison.table[comparison.table["configuration"] == configuration].iloc[0]


def _score(comparison: Comparison, row: pd.Series) -> str:
    if comparison.metric.counts_errors:
        return errors_text(row["errors"])
    return f"{comparison.metric.title} {number(row['score'])}"


def _every(models: Sequence[Candidate]) -> str:
    return "both" if len(models) == 2 else f"all {len(models)} models"


def _classes(model: Candidate) -> str:
    classes = model.classes
    return f"{', '.join(classes.names)} apart, where {classes.target} means {classes.defect.phrase}"
