"""The scores of a classifier on sets of images, and on the surfaces and photos in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from crackexp.data.classes.decisions import Classes
from crackexp.metrics.evaluation import evaluate_predictions
from crackexp.metrics.intervals import Interval, mean_of
from crackexp.metrics.metric import Metric
from crackexp.metrics.predictions import Bootstrap, Predictions
from crackexp.metrics.standard import STANDARD

Scores = Mapping[str, Interval]
MEAN = "mean"
"""The kind of a mean over sets, and its name in the names of metrics."""
MIN_PHOTOS = 10
"""With fewer photos intervals may be too narrow, as simulations show: see docs/evaluation.md."""


@dataclass(frozen=True)
class Subset:
    """The scores of a set of images, or of the images of one of its surfaces or photos.

    Attributes:
        kind: "set", "surface", "photo", or "mean" for the mean over several sets.
        name: The name of the set or surface; of a photo, SURFACE/PHOTO.
        images: The number of images.
        cracked: The number of damaged ones among them.
        photos: The number of photos that the images were cut from; None where it is not known.
        scores: The scores with their intervals, by the names of the metrics.
    """

    kind: str
    name: str
    images: int
    cracked: int
    photos: int | None
    scores: Scores

    @property
    def size(self) -> str:
        """The numbers of images and photos, as text."""
        photos = "" if self.photos is None else f", {self.photos:,} photo{'s' if self.photos != 1 else ''}"
        return f"{self.images:,} image{'s' if self.images != 1 else ''}{photos}"


def evaluate_subset(
    kind: str,
    name: str,
    predictions: Predictions,
    classes: Classes,
    bootstrap: Bootstrap,
    metrics: Mapping[str, Metric] = STANDARD,
) -> Subset:
    """Evaluates the predictions for a subset of images.

    Args:
        kind: "set", "surface" or "photo".
        name: The name of the subset.
        predictions: The predictions for its images.
        classes: The classes of the predictions.
        bootstrap: The bootstrap of the intervals.
        metrics: The metrics by their names.
    """
    scores = evaluate_predictions(predictions, bootstrap, metrics)
    damaged = int(classes.damaged(predictions.labels).sum())
    return Subset(kind, name, len(predictions), damaged, predictions.group_count, scores)


def mean_subset(subsets: Sequence[Subset]) -> Subset:
    """Returns the means of the scores of several sets, each of which counts the same however many images it has.

    The sets are independent: their images are of different places. A metric that is undefined for one is left out.

    Args:
        subsets: The sets; at least one.
    """
    names = [name for name in subsets[0].scores if all(name in subset.scores for subset in subsets)]
    photos = [subset.photos for subset in subsets]
    return Subset(
        MEAN,
        f"mean of {len(subsets)} sets",
        sum(subset.images for subset in subsets),
        sum(subset.cracked for subset in subsets),
        None if None in photos else sum(filter(None, photos)),
        {name: mean_of([subset.scores[name] for subset in subsets]) for name in names},
    )


def evaluate_groups(
    predictions: Predictions, classes: Classes, bootstrap: Bootstrap, metrics: Mapping[str, Metric] = STANDARD
) -> list[Subset]:
    """Evaluates the predictions for each surface, then for each photo.

    Photos have no intervals. Where the groups of the images are not known, the list is empty.

    Args:
        predictions: The predictions, whose groups are the photos of the images, (n,) str. The surface of a photo is its
            name up to the last "/".
        classes: The classes of the predictions.
        bootstrap: The bootstrap of the intervals.
        metrics: The metrics by their names.
    """
    groups = predictions.groups
    if groups is None:
        return []
    surfaces = np.array([surface_of(str(group)) for group in groups])
    subsets = []
    for kind, names in (("surface", surfaces), ("photo", groups)):
        for name in np.unique(names[names != ""]):
            members = predictions.take(names == name)
            subsets.append(evaluate_subset(kind, str(name), members, classes, bootstrap, metrics))
    return subsets


def surface_of(photo: str) -> str:
    """Returns the surface of a photo called SURFACE/PHOTO, or "" where the name has no surface."""
    return photo.rpartition("/")[0]


def subsets_frame(subsets: Sequence[Subset]) -> pd.DataFrame:
    """Returns a table with a row for each subset.

    Its columns are kind, name, photos, images, cracked, and NAME, NAME_low and NAME_high of each metric.
    """
    rows = []
    for subset in subsets:
        row: dict[str, Any] = {"kind": subset.kind, "name": subset.name, "photos": subset.photos}
        row |= {"images": subset.images, "cracked": subset.cracked}
        for metric, score in subset.scores.items():
            row |= {metric: score.value, f"{metric}_low": score.low, f"{metric}_high": score.high}
        rows.append(row)
    table = pd.DataFrame(rows)
    table["photos"] = table["photos"].astype("Int64")
    return table


def notes(subset: Subset) -> list[str]:
    """Returns what a reader of the scores must know, a sentence each.

    There is a note on intervals where the photos that the images were cut from are known, and one on metrics that are
    left out where all images are of one class.
    """
    sentences = [] if subset.photos is None else [intervals_note(subset.photos, subset.images)]
    if "roc_auc" not in subset.scores:
        state, measured = ("damaged", "found") if subset.cracked else ("sound", "called damaged")
        sentences.append(
            f"All images are {state}, so only the share of them that is {measured} can be measured. Precision, f1, the "
            "curves and the areas under them need both damaged and sound images, and are left out."
        )
    return sentences


def intervals_note(photos: int, images: int) -> str:
    """Returns a note on the intervals of scores.

    Args:
        photos: The number of photos that the images were cut from.
        images: The number of images.
    """
    if photos == 1:
        return "All images were cut from one photo, which says nothing about others, so there are no intervals."
    note = f"Intervals are over the {photos:,} photos that the images were cut from, not over {images:,} images."
    if photos < MIN_PHOTOS:
        note += f" With fewer than {MIN_PHOTOS} photos they may still be too narrow."
    return note
