"""The test images on which several runs were judged, and the loss of each run on each of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd

from crackexp.metrics.metric import MeanMetric
from crackexp.metrics.predictions import Predictions
from crackexp.reporting.formatting import counted
from crackexp.utils.csv_text import unescaped
from crackexp.utils.errors import DataError

COLUMNS = ("digest", "label", "prediction", "correct", "confidence")
ROUNDED = 1 + 1e-5
"""The largest value that a probability can have after rounding to float32."""


@dataclass(frozen=True)
class SharedItems:
    """The losses of c runs on the images on which all of them were judged.

    An image is identified by the digest of its content. A bootstrap resamples units. A unit holds the copies of one
    image, also where several draws of the split have it in their test part. Where every run knows the groups of its
    images, such as the photos from which they were cut, a unit holds all images of a group. Groups differ in size, so
    the loss of a group is linearised around the mean of all images, as for a ratio of sums (Cochran 1977, "Sampling
    Techniques", section 6.3). The means of resampled units are then those of the resampled images.

    Attributes:
        count: The number of images; copies count.
        groups: The number of units where units are groups, else None.
        losses: The loss of each run in each unit, (units, c) float64. Where the draw of a run lacks the unit, it is 0,
            or the value that leaves the mean as it is.
        wrong: The wrong predictions, (units, c) float64, in the same form as `losses`.
        mixing: The weights, (c, configurations) float64, with which the column means of `losses @ mixing` are the mean
            losses of the configurations.
        draws: The draw of the split of each run, (c,) int. It is -1 for a draw that not every configuration has, whose
            runs are left out.
        means: The mean loss of each run on the images of its draw, (c,) float64; nan where the run is left out.
        errors: The number of wrong predictions among these images, (c,) float64; nan where the run is left out.
    """

    count: int
    groups: int | None
    losses: np.ndarray
    wrong: np.ndarray
    mixing: np.ndarray
    draws: np.ndarray
    means: np.ndarray
    errors: np.ndarray


def read_predictions(file: str | Path | IO[str] | IO[bytes]) -> pd.DataFrame:
    """Reads the CSV file of a `predictions_table`. Classes that are called "NA", "001" or "=1" stay texts.

    Raises:
        ValueError: The file holds no such table.
    """
    texts = dict.fromkeys(("path", "digest", "group", "label", "prediction"), str)
    table = pd.read_csv(file, dtype=texts, keep_default_na=False)
    shares = [name for name in table if name == "confidence" or name.startswith("probability_")]
    wrong = [name for name in shares if table[name].dtype.kind not in "fi" or not table[name].between(0, ROUNDED).all()]
    wrong += [name for name in ("correct",) if name in table and table[name].dtype != bool]
    if wrong and len(table):
        kind = "true and false" if wrong[0] == "correct" else "probabilities"
        raise ValueError(f"the column {wrong[0]} does not hold {kind}")
    return table.assign(**{name: table[name].map(unescaped) for name in texts if name in table})


def predictions_of(table: pd.DataFrame) -> Predictions:
    """Returns the predictions that a `predictions_table` holds. Its probabilities are those of a float32 network.

    The table of a binary classifier names only the classes that occur. Its column of the probability of damage tells
    which of them is positive; without that column the last name is the positive class.

    Raises:
        ValueError: The rows do not belong together, such as a label without a column of its probability.
    """
    columns = [name for name in table if name.startswith("probability_")]
    labels, predicted = table["label"].astype(str), table["prediction"].astype(str)
    groups = table["group"].to_numpy() if "group" in table else None
    if columns:
        names = [name.removeprefix("probability_") for name in columns]
        codes, choices = (pd.Index(names).get_indexer(values) for values in (labels, predicted))
        probabilities = table[columns].to_numpy(np.float64)
        return Predictions(codes, probabilities, len(names) - 1, groups, names, choices, np.float32)
    names = sorted({*labels, *predicted})
    codes = pd.Index(names).get_indexer(labels)
    correct, confidence = table["correct"].to_numpy(bool), table["confidence"].to_numpy(np.float64)
    of_label = np.where(correct, confidence, 1 - confidence)[:, None]
    probabilities = np.where(np.eye(2, dtype=bool)[codes], of_label, 1 - of_label)
    positive = 1
    if "probability" in table:
        surest = int(np.argmax(confidence))
        positive = int(abs(probabilities[surest, 1] - table["probability"].iloc[surest]) < 0.5)
    choices = np.where(correct, codes, 1 - codes)
    return Predictions(codes, probabilities, positive, groups, [*names, ""][:2], choices, np.float32)


def run_losses(run: str, table: pd.DataFrame, metric: MeanMetric) -> np.ndarray:
    """Returns the loss of a run on each image of its table, (n,) float64; see `MeanMetric.losses`.

    Raises:
        DataError: The table holds no predictions.
    """
    try:
        return metric.losses(predictions_of(table))
    except ValueError as error:
        reason = str(error).partition(" Received: ")[0].rstrip(".")
        raise DataError(f"The predictions of a run cannot be compared: {reason}. Received: {run}") from error


def share_items(
    runs: Sequence[str],
    tables: Sequence[pd.DataFrame],
    member: np.ndarray,
    draws: Sequence[object],
    metric: MeanMetric,
) -> SharedItems:
    """Returns the images on which every configuration was judged, and the losses on each of them.

    Where the split was drawn several times, each draw has its own test images. Configurations are then compared within
    each draw, over all draws that every configuration has.

    Args:
        runs: The names of the c runs, for messages.
        tables: The predictions of each run.
        member: The configuration of each run, (c,) int.
        draws: The draw of the split of each run. Runs with equal values share a draw.
        metric: The metric that defines the loss on an image.

    Raises:
        DataError: There are no such images, or the runs contradict each other about them.
    """
    for run, table in zip(runs, tables, strict=True):
        missing = [name for name in COLUMNS if name not in table]
        if missing or table.empty:
            raise DataError(
                f"The predictions of the run {run} cannot be compared: they have "
                f"{'no rows' if not missing else f'no column {missing[0]}'}. Received: columns {list(table.columns)}"
            )
    _check_classes(runs, tables)
    _check_labels(runs, tables)
    c, configurations = len(runs), int(member.max()) + 1
    keys, known = _keys(tables)
    unit = "group" if all("group" in table for table in tables) else "digest"
    numbers, mixing = np.full(c, -1), np.zeros((c, configurations))
    means, errors = np.full((2, c), np.nan)
    parts: list[pd.DataFrame] = []
    for draw in dict.fromkeys(draws):
        trials = np.array([number for number, other in enumerate(draws) if other == draw])
        repeats = np.bincount(member[trials], minlength=configurations)
        held = np.bincount(np.concatenate([keys[trial] for trial in trials]), minlength=len(known))
        shared = np.flatnonzero(held == len(trials))
        if not repeats.all() or not len(shared):
            continue
        values = np.zeros((len(shared), 2 * c))
        for trial in trials:
            row = np.empty(len(known), int)
            row[keys[trial]] = np.arange(len(keys[trial]))
            order = row[shared]
            values[:, trial] = run_losses(runs[trial], tables[trial], metric)[order]
            values[:, c + trial] = ~tables[trial]["correct"].to_numpy(bool)[order]
        means[trials], errors[trials] = values[:, trials].mean(axis=0), values[:, c + trials].sum(axis=0)
        mixing[trials, member[trials]] = 1 / repeats[member[trials]]
        numbers[trials] = len(parts)
        parts.append(pd.DataFrame(values, index=tables[trial][unit].to_numpy()[order]))
    if not parts:
        raise DataError(_nothing_shared(runs, tables, draws))
    images = pd.concat(parts)
    units = images.groupby(level=0, sort=False)
    values = units.sum().to_numpy() * (len(units) / len(images))
    if unit == "group":
        values += images.mean().to_numpy() * (1 - units.size().to_numpy()[:, None] * (len(units) / len(images)))
    groups = len(units) if unit == "group" else None
    return SharedItems(len(images), groups, values[:, :c], values[:, c:], mixing, numbers, means, errors)


def _keys(tables: Sequence[pd.DataFrame]) -> tuple[list[np.ndarray], pd.Index]:
    """Returns a number for each image of each table, and the keys that it indexes: digest, label and copy."""
    columns = []
    for table in tables:
        pairs = table["digest"].astype(str) + "\t" + table["label"].astype(str)
        columns.append(pairs + "\t" + pairs.groupby(pairs).cumcount().astype(str))
    numbers, known = pd.factorize(pd.concat(columns))
    return np.split(numbers, np.cumsum([len(column) for column in columns])[:-1]), known


def _check_classes(runs: Sequence[str], tables: Sequence[pd.DataFrame]) -> None:
    """Raises DataError where the runs have different classes."""
    several = [sorted(name for name in table.columns if name.startswith("probability_")) for table in tables]
    for run, names in zip(runs, several, strict=True):
        if names != several[0]:
            first, other = (
                ", ".join(name.removeprefix("probability_") for name in part) or "two classes"
                for part in (several[0], names)
            )
            raise DataError(
                f"Runs that tell different classes apart cannot be compared; leave one of them out. "
                f"Received: {first} in {runs[0]}, {other} in {run}"
            )


def _check_labels(runs: Sequence[str], tables: Sequence[pd.DataFrame]) -> None:
    """Raises DataError where runs have different labels for one image."""
    labels = pd.concat(
        [table[["digest", "label"]].astype(str).drop_duplicates() for table in tables], keys=range(len(tables))
    ).reset_index(level=0, names="run")
    holders = labels.groupby("digest")["run"].nunique()
    agreeing = labels.groupby(["digest", "label"])["run"].nunique().groupby("digest").max()
    torn = holders.index[agreeing < holders]
    if not len(torn):
        return
    rows = labels[labels["digest"] == torn[0]]
    first = rows.iloc[0]
    other = rows[rows["label"] != first["label"]].iloc[0]
    raise DataError(
        f"The runs do not agree about the class of {counted(len(torn), 'image')} that they share: their classes have "
        f"different names, or were relabelled; leave one of the runs out. Received: image {torn[0]} is "
        f"{first['label']} in {runs[first['run']]}, {other['label']} in {runs[other['run']]}"
    )


def _nothing_shared(runs: Sequence[str], tables: Sequence[pd.DataFrame], draws: Sequence[object]) -> str:
    sizes = [f"{run}: {counted(len(table), 'image')}" for run, table in zip(runs, tables, strict=True)]
    listed = "; ".join(sizes[:6]) + (f"; and {len(sizes) - 6} more" if len(sizes) > 6 else "")
    several = len(set(draws)) > 1
    return (
        "No test image was judged by every configuration, so their scores cannot be ranked: "
        + (
            "no draw of the split (split.seed) has runs of every configuration"
            if several
            else "the runs split the images"
        )
        + (
            ". Run every configuration with the same values of split.seed"
            if several
            else " differently, or their images differ. Compare runs of one dataset with one split.seed"
        )
        + f". Received: {listed}"
    )
