"""Compares the cells of a sweep, or any runs: which errs least, which are tied with it, what matters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm, t

from crackexp.comparison.design import Layout, read_layout
from crackexp.comparison.effects import level_means
from crackexp.comparison.items import SharedItems, run_losses, share_items
from crackexp.comparison.noise import TrainingNoise, training_noise
from crackexp.comparison.verdicts import Verdicts, judge
from crackexp.evaluation.doubts import chance_doubt
from crackexp.metrics.intervals import Interval, covering, on_odds, percentile_interval, wilson, without_point
from crackexp.metrics.metric import MeanMetric
from crackexp.metrics.standard import Accuracy
from crackexp.utils.errors import DataError
from crackexp.utils.seeds import generator

ACCURACY = Accuracy()


@dataclass(frozen=True)
class Cell:
    """A finished run.

    Attributes:
        run_id: of the tracking store.
        name: such as "image_size=160, dropout=0.3".
        settings: swept key to level, a scalar or a list; keys that end in "seed" tell repeats apart.
        metrics: as logged, such as "test/accuracy".
        predictions: as `predictions_table` makes them and `read_predictions` reads them.
        seconds: what the run costs alone, stored embeddings counted in; nan where it is not known.
        parameters: of the network.
    """

    run_id: str
    name: str
    settings: Mapping[str, Any]
    metrics: Mapping[str, float]
    predictions: pd.DataFrame
    seconds: float
    parameters: int


@dataclass(frozen=True)
class Effect:
    """What a factor does, averaged over the levels of the others.

    Attributes:
        factor: the swept key.
        name: its short name.
        levels: a row a level: level, settings (how many have it), score, low, high; margin (levels whose scores,
            less and more the margin, do not overlap differ); verdict ("best", "tied" or "worse").
        p: that no level differs from another; adjusted for the pairs of levels and for the number of factors.
        matters: whether p < 1 - level.
    """

    factor: str
    name: str
    levels: pd.DataFrame
    p: float
    matters: bool


@dataclass(frozen=True)
class Comparison:
    """What the shared test images say of the settings; see `compare`.

    Attributes:
        metric: that the settings are compared by.
        level: confidence of all intervals.
        items: number of test images that every setting was judged on.
        groups: number of groups that they are of, such as photos; None where these are not known.
        factors: swept key to its short name, seeds left out.
        table: a row a setting, the best first: setting, a column a factor (its key), runs (repeats), score, low,
            high, own_score (on all its test images), errors (among `items`, mean of the repeats), seconds,
            parameters, difference (score minus that of the best), difference_low, difference_high, p, verdict
            ("best", "tied" or "worse").
        cells: a row a run, in the order given: run_id, name, setting, score and errors (on the shared test
            images), own_score, tested (its number of test images), seconds, parameters, doubt (see
            `chance_doubt`; "" where there is none).
        effects: of the factors that the layout tells apart, the surest first.
        noise: of training.
        pareto: "seconds" and "parameters" to the names of the settings that none beats in this cost and in score.
    """

    metric: MeanMetric
    level: float
    items: int
    groups: int | None
    factors: Mapping[str, str]
    table: pd.DataFrame
    cells: pd.DataFrame
    effects: list[Effect]
    noise: TrainingNoise
    pareto: Mapping[str, list[str]]

    @property
    def best(self) -> str:
        """Name of the best setting."""
        return str(self.table["setting"].iloc[0])

    @property
    def tied(self) -> list[str]:
        """Names of the settings that the data cannot tell from the best."""
        return list(self.table["setting"][self.table["verdict"] == "tied"])


def compare(
    cells: Sequence[Cell],
    metric: MeanMetric = ACCURACY,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Comparison:
    """Compares the settings of the cells on the test images that all of them share.

    Cells that differ in seeds alone are repeats of one setting. The chance that any setting is called worse
    than the best though it is not, is at most 1 - level, however many are compared: see `all_pairs`. Where
    the noise of training is known (see `training_noise`), a claim holds for the setting; where it is not,
    for the trained models only, and the answer says so.

    Args:
        cells: at least one.
        metric: that they are compared by.
        level: confidence in (0, 1).
        resamples: of the test images.
        seed: of the resamples' stream.

    Raises:
        DataError: there is no cell, the cells share no test images, or contradict each other about them.
    """
    if not cells:
        raise DataError("There is no finished run to compare. Received: 0 runs")
    layout = read_layout([cell.name for cell in cells], [cell.settings for cell in cells])
    draws = [str(cell.settings.get("split.seed")) for cell in cells]
    shared = share_items(
        [cell.name for cell in cells], [cell.predictions for cell in cells], layout.member, draws, metric
    )
    used = shared.draws >= 0
    trained = Layout(layout.factors, layout.levels, layout.names, layout.member[used])
    rng = generator(seed, "comparison")
    noise = training_noise(shared.losses[:, used], trained, shared.draws[used], shared.means[used], rng)
    losses = shared.losses @ shared.mixing
    runs = _run_table(cells, layout, shared, metric)
    cost = runs.groupby("setting")[["seconds", "parameters"]].mean().loc[layout.names]
    grain = len(losses) / shared.count if metric.proportion else 0.0
    seconds = cost["seconds"].to_numpy()
    verdicts = judge(losses, trained, noise, seconds, level, resamples, rng, grain, shared.groups)
    scale = _Scale(metric, level, shared, verdicts)

    identity = np.eye(len(layout.names))
    table = pd.DataFrame({"setting": layout.names}).join(layout.levels)
    table["runs"] = trained.repeats
    table[["score", "low", "high"]] = scale.intervals(losses, trained, identity)
    table["own_score"] = runs.groupby("setting")["own_score"].mean().loc[layout.names].to_numpy()
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
        levels = pd.DataFrame({"level": means.levels, "settings": means.settings})
        levels[["score", "low", "high"]] = scale.intervals(losses, trained, means.weights)
        levels["margin"] = means.margins
        levels["verdict"] = means.verdicts
        effects.append(Effect(key, layout.factors[key], levels, means.p, means.p < 1 - level))
    pareto = {name: _undominated(table, name, metric) for name in ("seconds", "parameters")}
    return Comparison(metric, level, shared.count, shared.groups, layout.factors, table, runs, effects, noise, pareto)


class _Scale:
    """Turns mean losses into scores of the metric, with their intervals."""

    def __init__(self, metric: MeanMetric, level: float, shared: SharedItems, verdicts: Verdicts) -> None:
        self.metric, self.level, self.verdicts = metric, level, verdicts
        self.images, self.groups = shared.count, shared.groups

    def intervals(self, losses: np.ndarray, layout: Layout, weights: np.ndarray) -> np.ndarray:
        """Returns (rows, 3): score, low and high of weighted means of the settings' losses.

        Proportions have Wilson's intervals, with the error of training added side by side as in `mean_of`; others the
        percentiles of the resamples, where these are groups on the scale of `grouped_interval`. Proportions have the
        wider of both then; one group has none, nor have scores that are the same in every resample.

        Args:
            losses: (units, settings).
            layout: of the cells.
            weights: (rows, settings).
        """
        means = weights @ losses.mean(axis=0)
        deviations = weights @ self.verdicts.deviations.T
        found = [self._resampled(*row) for row in zip(means, deviations, strict=True)]
        if self.metric.proportion:
            exact = self._exact(means, layout, weights)
            found = [covering(*pair) for pair in zip(exact, found, strict=True)] if self.groups else exact
        found = [without_point(one) for one in found]
        return np.array([(one.value, one.low, one.high) for one in found])

    def _exact(self, means: np.ndarray, layout: Layout, weights: np.ndarray) -> list[Interval]:
        noise = self.verdicts.noise
        errors = np.sqrt(weights**2 @ (noise.variance / layout.repeats))
        training = errors * (t.ppf((1 + self.level) / 2, noise.dof) if noise.dof else 0.0)
        found = [self._proportion(1 - mean, error) for mean, error in zip(means, training, strict=True)]
        if self.metric.higher_is_better:
            return found
        return [Interval(1 - one.value, 1 - one.high, 1 - one.low) for one in found]

    def _resampled(self, mean: float, deviations: np.ndarray) -> Interval:
        if self.groups == 1:
            return Interval(self.metric.score(mean), np.nan, np.nan)
        least = 0.0 if self.metric.bounded else -np.inf
        most = 1.0 if self.metric.proportion else np.inf
        found = percentile_interval(mean, np.clip(mean + deviations, least, most), self.level)
        if self.groups and least < mean < most:
            reach = float(np.quantile(np.abs(deviations), self.level))
            found = Interval(mean, mean - reach, mean + reach)
            if self.metric.bounded:
                found = on_odds(mean, reach, self.metric.proportion)
        ends = self.metric.score(found.low), self.metric.score(found.high)
        return Interval(self.metric.score(mean), min(ends), max(ends))

    def _proportion(self, share: float, training: float) -> Interval:
        right = min(max(share, 0.0), 1.0) * self.images
        below = wilson(int(np.floor(right + 1e-6)), self.images, self.level)
        above = wilson(int(np.ceil(right - 1e-6)), self.images, self.level)
        low = share - np.hypot(share - below.low, training)
        high = share + np.hypot(above.high - share, training)
        return Interval(share, max(low, 0.0), min(high, 1.0))

    def differences(self, losses: np.ndarray) -> np.ndarray:
        """Returns (settings, 3): score minus that of the best, low and high, which hold for all pairs together.

        Where an exact test finds no difference, the interval is stretched to 0.
        """
        verdicts = self.verdicts
        means = losses.mean(axis=0)
        difference = means - means[verdicts.best]
        if self.metric.higher_is_better:
            difference = 0 - difference
        critical = max(verdicts.pairs.critical, norm.ppf((1 + self.level) / 2))
        half = critical * verdicts.pairs.errors[verdicts.best]
        low, high = difference - half, difference + half
        low = np.where(verdicts.worse, low, np.minimum(low, 0))
        high = np.where(verdicts.worse, high, np.maximum(high, 0))
        return np.column_stack([difference, low, high])


def _run_table(cells: Sequence[Cell], layout: Layout, shared: SharedItems, metric: MeanMetric) -> pd.DataFrame:
    own = np.array([run_losses(cell.name, cell.predictions, metric).mean() for cell in cells])
    return pd.DataFrame(
        {
            "run_id": [cell.run_id for cell in cells],
            "name": [cell.name for cell in cells],
            "setting": [layout.names[number] for number in layout.member],
            "score": metric.score(shared.means),
            "errors": shared.errors,
            "own_score": metric.score(own),
            "tested": [len(cell.predictions) for cell in cells],
            "seconds": [float(cell.seconds) for cell in cells],
            "parameters": [cell.parameters for cell in cells],
            "doubt": [_doubt(cell.predictions) for cell in cells],
        }
    )


def _doubt(predictions: pd.DataFrame) -> str:
    """Says in what way a run is no better than chance on all its test images; "" where it is."""
    given = pd.concat([predictions["label"], predictions["prediction"]]).astype(str)
    columns = [name.removeprefix("probability_") for name in predictions if name.startswith("probability_")]
    names = columns or sorted({*given})
    codes = pd.Index(names).get_indexer(given)
    labels, predicted = np.split(codes, 2)
    return chance_doubt(labels, predicted, names) or ""


def _undominated(table: pd.DataFrame, cost: str, metric: MeanMetric) -> list[str]:
    """Returns the settings that no other equals or beats in both `cost` and score, the cheapest first."""
    loss = -table["score"] if metric.higher_is_better else table["score"]
    known = table.assign(loss=loss.round(12)).dropna(subset=[cost]).sort_values([cost, "loss"], kind="stable")
    before = known["loss"].cummin().shift(fill_value=np.inf)
    return list(known["setting"][known["loss"] < before])
