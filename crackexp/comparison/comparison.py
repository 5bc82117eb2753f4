"""Compares the trials of a sweep, or any runs.

The answer says which configuration is best, which ones are statistically tied with it, and which factors matter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from crackexp.comparison.design import ExperimentalDesign, read_design
from crackexp.comparison.effects import level_means
from crackexp.comparison.items import SharedItems, run_losses, share_items
from crackexp.comparison.noise import TrainingNoise, training_noise
from crackexp.comparison.scale import Scale
from crackexp.comparison.verdicts import judge
from crackexp.evaluation.doubts import chance_doubt
from crackexp.metrics.metric import MeanMetric
from crackexp.metrics.standard import Accuracy
from crackexp.utils.errors import DataError
from crackexp.utils.seeds import generator

ACCURACY = Accuracy()


@dataclass(frozen=True)
class Trial:
    """A finished run of a training, such as one of the runs of a sweep.

    Attributes:
        run_id: The id of the run in the tracking store.
        name: The name of the run, such as "image_size=160, dropout=0.3".
        configuration: The level of each swept key, a scalar or a list. Keys that end in "seed" tell repeats apart.
        metrics: The logged metrics, by names such as "test/accuracy".
        predictions: The table that `predictions_table` makes and `read_predictions` reads.
        seconds: The seconds that the run would take alone: those of stored embeddings are counted in. It is nan where
            they are not known.
        parameters: The number of parameters of the network.
    """

    run_id: str
    name: str
    configuration: Mapping[str, Any]
    metrics: Mapping[str, float]
    predictions: pd.DataFrame
    seconds: float
    parameters: int


@dataclass(frozen=True)
class Effect:
    """The effect of a factor, averaged over the levels of the other factors.

    Attributes:
        factor: The swept key.
        name: The short name of the factor.
        levels: A data frame with a row for each level and these columns: level, configurations (how many have it),
            score, low, high, margin (two levels differ where the bars from score - margin to score + margin do not
            overlap) and verdict ("best", "tied" or "worse").
        p: The p-value of "no level differs from another", adjusted for the pairs of levels and the number of factors.
        matters: Whether p < 1 - level of the comparison.
    """

    factor: str
    name: str
    levels: pd.DataFrame
    p: float
    matters: bool


@dataclass(frozen=True)
class Comparison:
    """The configurations of some trials, compared on the test images that all trials share; see `compare`.

    Attributes:
        metric: The metric by which the configurations are compared.
        level: The confidence of all intervals.
        items: The number of test images on which every configuration was judged.
        groups: The number of groups that the images are of, such as photos; None where the groups are not known.
        factors: The short name of each factor, by its swept key; seeds are no factors.
        table: A data frame with a row for each configuration, the best first, and these columns: configuration, one
            for each factor (named by its key), runs (the number of repeats), score, low, high, own_score (on all test
            images of its trials), errors (among `items`, the mean of the repeats), seconds, parameters, difference
            (score minus that of the best), difference_low, difference_high, p, verdict ("best", "tied" or "worse").
        trials: A data frame with a row for each trial, in the order given, and these columns: run_id, name,
            configuration, score and errors (on the shared test images), own_score, tested (its number of test images),
            seconds, parameters, doubt (see `chance_doubt`; "" where there is none).
        effects: The effects of those factors that the design tells apart, the one with the smallest p-value first.
        noise: The noise of training.
        pareto: For each of "seconds" and "parameters", the names of the configurations that no other one beats in both
            this cost and the score.
    """

    metric: MeanMetric
    level: float
    items: int
    groups: int | None
    factors: Mapping[str, str]
    table: pd.DataFrame
    trials: pd.DataFrame
    effects: list[Effect]
    noise: TrainingNoise
    pareto: Mapping[str, list[str]]

    @property
    def best(self) -> str:
        """The name of the best configuration."""
        return str(self.table["configuration"].iloc[0])

    @property
    def best_run(self) -> str:
        """The id of the run with the best score among the repeats of the best configuration."""
        repeats = self.trials[self.trials["configuration"] == self.best]
        ranked = repeats.sort_values("score", ascending=not self.metric.higher_is_better, kind="stable")
        return str(ranked["run_id"].iloc[0])

    @property
    def tied(self) -> list[str]:
        """The names of the configurations that the data cannot tell from the best."""
        return list(self.table["configuration"][self.table["verdict"] == "tied"])


def compare(
    trials: Sequence[Trial],
    metric: MeanMetric = ACCURACY,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Comparison:
    """Compares the configurations of the trials on the test images that all trials share.

    Trials that differ in seeds alone are repeats of one configuration. The chance that any configuration is called
    worse than the best though it is not is at most 1 - level, however many are compared: see `all_pairs`. Where the
    noise of training is known (see `training_noise`), a claim holds for the configuration. Where it is not, the claim
    holds for the trained models only, and the answer says so.

    Args:
        trials: The trials; at least one.
        metric: The metric by which they are compared.
        level: The confidence in (0, 1).
        resamples: The number of resamples of the test images.
        seed: The seed of the random stream that draws the resamples.

    Raises:
        DataError: There is no trial, or the trials share no test images or contradict each other about them.
    """
    if not trials:
        raise DataError("There is no finished run to compare. Received: 0 runs")
    design = read_design([trial.name for trial in trials], [trial.configuration for trial in trials])
    draws = [str(trial.configuration.get("split.seed")) for trial in trials]
    shared = share_items(
        [trial.name for trial in trials], [trial.predictions for trial in trials], design.member, draws, metric
    )
    used = shared.draws >= 0
    trained = ExperimentalDesign(design.factors, design.levels, design.names, design.member[used])
    rng = generator(seed, "comparison")
    noise = training_noise(shared.losses[:, used], trained, shared.draws[used], shared.means[used], rng)
    losses = shared.losses @ shared.mixing
    runs = _run_table(trials, design, shared, metric)
    cost = runs.groupby("configuration")[["seconds", "parameters"]].mean().loc[design.names]
    grain = len(losses) / shared.count if metric.proportion else 0.0
    seconds = cost["seconds"].to_numpy()
    verdicts = judge(losses, trained, noise, seconds, level, resamples, rng, grain, shared.groups)
    scale = Scale(metric, level, shared, verdicts)

    identity = np.eye(len(design.names))
    table = pd.DataFrame({"configuration": design.names}).join(design.levels)
    table["runs"] = trained.repeats
    table[["score", "low", "high"]] = scale.intervals(losses, trained, identity)
    table["own_score"] = runs.groupby("configuration")["own_score"].mean().loc[design.names].to_numpy()
    table["errors"] = ((shared.wrong @ shared.mixing).mean(axis=0) * shared.count).round(6)
    table[["seconds", "parameters"]] = cost.to_numpy()
    table[["difference", "difference_low", "difference_high"]] = scale.differences(losses)
    table["p"] = verdicts.p
    table["verdict"] = np.where(verdicts.worse, "worse", "tied")
    table.loc[verdicts.best, "verdict"] = "best"
    order = np.lexsort((cost["seconds"], losses.mean(axis=0).round(12), np.arange(len(table)) != verdicts.best))
    table = table.iloc[order].reset_index(drop=True)

    effects = []
    for key, means in level_means(losses, trained, verdicts, level, grain).items():
        levels = pd.DataFrame({"level": means.levels, "configurations": means.configurations})
        levels[["score", "low", "high"]] = scale.intervals(losses, trained, means.weights)
        levels["margin"] = means.margins
        levels["verdict"] = means.verdicts
        effects.append(Effect(key, design.factors[key], levels, means.p, means.p < 1 - level))
    pareto = {name: _undominated(table, name, metric) for name in ("seconds", "parameters")}
    return Comparison(metric, level, shared.count, shared.groups, design.factors, table, runs, effects, noise, pareto)


def _run_table(
    trials: Sequence[Trial], design: ExperimentalDesign, shared: SharedItems, metric: MeanMetric
) -> pd.DataFrame:
    own = np.array([run_losses(trial.name, trial.predictions, metric).mean() for trial in trials])
    return pd.DataFrame(
        {
            "run_id": [trial.run_id for trial in trials],
            "name": [trial.name for trial in trials],
            "configuration": [design.names[number] for number in design.member],
            "score": metric.score(shared.means),
            "errors": shared.errors,
            "own_score": metric.score(own),
            "tested": [len(trial.predictions) for trial in trials],
            "seconds": [float(trial.seconds) for trial in trials],
            "parameters": [trial.parameters for trial in trials],
            "doubt": [_doubt(trial.predictions) for trial in trials],
        }
    )


def _doubt(predictions: pd.DataFrame) -> str:
    """Returns in what way a run is no better than chance on all its test images, or "" where it is better."""
    classes = pd.concat([predictions["label"], predictions["prediction"]]).astype(str)
    columns = [name.removeprefix("probability_") for name in predictions if name.startswith("probability_")]
    names = columns or sorted({*classes})
    codes = pd.Index(names).get_indexer(classes)
    labels, predicted = np.split(codes, 2)
    return chance_doubt(labels, predicted, names) or ""


def _undominated(table: pd.DataFrame, cost: str, metric: MeanMetric) -> list[str]:
    """Returns the configurations that no other one equals or beats in both `cost` and score, the cheapest first."""
    loss = -table["score"] if metric.higher_is_better else table["score"]
    known = table.assign(loss=loss.round(12)).dropna(subset=[cost]).sort_values([cost, "loss"], kind="stable")
    before = known["loss"].cummin().shift(fill_value=np.inf)
    return list(known["configuration"][known["loss"] < before])
