"""What a classifier is worth on sets of images, and on parts of them: each surface, each photo."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from crackexp.data.classes.decisions import Classes
from crackexp.metrics.evaluation import evaluate_predictions
from crackexp.metrics.intervals import Interval
from crackexp.metrics.metric import Metric
from crackexp.metrics.predictions import Bootstrap, Predictions
from crackexp.metrics.standard import STANDARD

Scores = Mapping[str, Interval]
FEW = 10
"""Photos below which intervals may be too narrow, as simulated: see docs/evaluation.md."""


@dataclass(frozen=True)
class Part:
    """A set of images, or those of a surface or a photo, as judged.

    Attributes:
        kind: "set", "surface" or "photo".
        name: of the set, the surface, or SURFACE/PHOTO.
        images: how many.
        cracked: how many of them are damaged.
        photos: that they were cut from; None where unknown.
        scores: metrics with their intervals.
    """

    kind: str
    name: str
    images: int
    cracked: int
    photos: int | None
    scores: Scores

    @property
    def size(self) -> str:
        """Says how many images and photos there are."""
        photos = "" if self.photos is None else f", {self.photos:,} photo{'s' if self.photos != 1 else ''}"
        return f"{self.images:,} image{'s' if self.images != 1 else ''}{photos}"


def judge_part(
    kind: str,
    name: str,
    predictions: Predictions,
    classes: Classes,
    bootstrap: Bootstrap,
    metrics: Mapping[str, Metric] = STANDARD,
) -> Part:
    """Returns the part with its scores.

    Args:
        kind: "set", "surface" or "photo".
        name: Of the part.
        predictions: For its images.
        classes: Of the predictions.
        bootstrap: How intervals are made.
        metrics: The metrics by their names.
    """
    scores = evaluate_predictions(predictions, bootstrap, metrics)
    damaged = int(classes.damaged(predictions.labels).sum())
    return Part(kind, name, len(predictions), damaged, predictions.group_count, scores)


def judge_groups(
    predictions: Predictions, classes: Classes, bootstrap: Bootstrap, metrics: Mapping[str, Metric] = STANDARD
) -> list[Part]:
    """Judges each surface, then each photo; a single photo has no intervals, and without groups there are no parts.

    Args:
        predictions: Their groups are the photos of the images, (n,) str; what stands before the last "/" of a photo is
            its surface.
        classes: Of the predictions.
        bootstrap: How intervals are made.
        metrics: The metrics by their names.
    """
    groups = predictions.groups
    if groups is None:
        return []
    surfaces = np.array([surface_of(str(group)) for group in groups])
    parts = []
    for kind, names in (("surface", surfaces), ("photo", groups)):
        for name in np.unique(names[names != ""]):
            parts.append(judge_part(kind, str(name), predictions.take(names == name), classes, bootstrap, metrics))
    return parts


def surface_of(photo: str) -> str:
    """Returns the surface of a photo called SURFACE/PHOTO; "" where it names none."""
    return photo.rpartition("/")[0]


def parts_table(parts: Sequence[Part]) -> pd.DataFrame:
    """Returns a row a part: kind, name, photos, images, cracked, and value, _low and _high of each metric."""
    rows = []
    for part in parts:
        row: dict[str, Any] = {"kind": part.kind, "name": part.name, "photos": part.photos}
        row |= {"images": part.images, "cracked": part.cracked}
        for metric, score in part.scores.items():
            row |= {metric: score.value, f"{metric}_low": score.low, f"{metric}_high": score.high}
        rows.append(row)
    table = pd.DataFrame(rows)
    table["photos"] = table["photos"].astype("Int64")
    return table


def notes(part: Part) -> list[str]:
    """Returns what a reader of the scores of a set must know: what the intervals speak of, and why metrics are missing.

    Where it is not known which photo an image was cut from, and there are images of several classes, that is nothing.
    """
    found = [] if part.photos is None else [over_photos(part.photos, part.images)]
    if "roc_auc" not in part.scores:
        kind, measured = ("damaged", "found") if part.cracked else ("sound", "called damaged")
        found.append(
            f"All images are {kind}, so it can be measured how many are {measured}. Precision, f1, the areas under the "
            "curves and what is read off them need both kinds of images: they and the curves are left out."
        )
    return found


def over_photos(photos: int, images: int) -> str:
    """Says what intervals of `images`, cut from so many photos, speak of."""
    if photos == 1:
        return "All images were cut from one photo, so how it would go on others is not known: there are no intervals."
    told = f"Intervals are over the {photos:,} photos that the images were cut from, not over {images:,} images."
    few = f" With fewer than {FEW} photos they may still be too narrow." if photos < FEW else ""
    return told + few
