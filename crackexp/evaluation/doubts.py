"""What is seen of a model that should not be relied on, such as the same answer for every image."""

from collections.abc import Sequence

import numpy as np

from crackexp.data.classes.decisions import Classes
from crackexp.evaluation.calibration import MOST, Calibration
from crackexp.metrics.intervals import mean_of, wilson
from crackexp.reporting.report import EVERYWHERE, Medium, Section

LEVEL = 0.95
"""Confidence of the intervals that are looked at."""
WARNING_TAG = "warning.model"
"""MLflow tag of a run whose model is doubted."""
ADVICE = (
    "Look at the labels and at most_wrong.png, check that dataset.positive names the damage, and train longer (epochs) "
    "or with another optimizer.learning_rate, before you rely on this model."
)


def doubts_of(
    name: str, labels: np.ndarray, predictions: np.ndarray, classes: Classes, roc_auc: float | None
) -> list[str]:
    """Returns what is wrong with the predictions for a set of images, a sentence each; none for a model that works.

    Args:
        name: Of the set, in the sentences.
        labels: (n,) int in [0, c). Of images of one class only it can be said alone that no damage was found.
        predictions: (n,) int in [0, c).
        classes: The c classes.
        roc_auc: Area under the ROC curve; None where it is undefined.
    """
    found = []
    if chance := chance_doubt(labels, predictions, classes.names):
        found.append(f"{name}: {chance}.")
    damaged = classes.damaged(labels)
    all_one = len(np.unique(labels)) > 1 and len(np.unique(predictions)) == 1
    if damaged.any() and not all_one and not classes.damaged(predictions[damaged]).any():
        found.append(f"{name}: none of {damaged.sum():,} {classes.defect.adjective} images was found.")
    if roc_auc is not None and roc_auc < 0.5:
        found.append(
            f"{name}: sound images are ranked above {classes.defect.adjective} ones, the area under the ROC curve is "
            f"{roc_auc:.4f} where guessing has 0.5."
        )
    return found


def chance_doubt(labels: np.ndarray, predictions: np.ndarray, class_names: Sequence[str]) -> str | None:
    """Says in what way the predictions are no better than chance; None where they are, or all images are of one class.

    They are not where all are the same, or where the interval of the balanced accuracy, the mean recall of the classes,
    holds the chance of a guess. A rare class that is found keeps a model from being doubted for its accuracy.

    Args:
        labels: (n,) int in [0, c).
        predictions: (n,) int in [0, c).
        class_names: Of the c classes.
    """
    present, counts = np.unique(labels, return_counts=True)
    if len(present) < 2:
        return None
    kinds = np.unique(predictions)
    if len(kinds) == 1:
        name = class_names[kinds[0]]
        return f"all {len(labels):,} images were predicted to be {name}, and {np.sum(labels == kinds[0]):,} of them are"
    hit = predictions == labels
    recall = mean_of(
        [wilson(int(hit[labels == k].sum()), int(count), LEVEL) for k, count in zip(present, counts, strict=True)]
    )
    if recall.low > 1 / len(class_names):
        return None
    told = "no better than chance" if recall.value <= 1 / len(class_names) else "not shown to be better than chance"
    return (
        f"{told}, {hit.mean():.1%} of {len(labels):,} images were predicted rightly, where "
        f"{class_names[present[counts.argmax()]]} for every image is right for {counts.max() / len(labels):.1%}"
    )


def calibration_doubt(calibration: Calibration) -> list[str]:
    """Says that a calibration stopped at the end of its range, where it does."""
    if abs(np.log(calibration.scale)) < MOST - 0.01:
        return []
    unsure = calibration.scale < 1
    told = "largest" if unsure else "smallest"
    meaning = "they say nothing about the labels" if unsure else "the network is hardly trained"
    return [
        f"The network's probabilities could not be calibrated: the temperature {calibration.temperature:.3g} is the "
        f"{told} that is tried, so {meaning}."
    ]


def training_doubt(before: float | None, after: float) -> list[str]:
    """Says that training did not move the accuracy on val, where it did not; None: it was not measured before."""
    if before is None or before != after or after == 1:
        return []
    return [f"Training left the accuracy on val where it was before, at {after:.4f}."]


def doubts_section(doubts: Sequence[str], media: Sequence[Medium] = EVERYWHERE) -> list[Section]:
    """Returns a warning that a model should not be relied on, and what to check; an empty list without doubts.

    Args:
        doubts: What speaks against relying on the model, a sentence each.
        media: Where the section is shown.
    """
    title = "This model is not to be relied on"
    return [Section(title, [*doubts, ADVICE], tone="warning", media=media)] if doubts else []


def doubt_tags(doubts: Sequence[str]) -> dict[str, str]:
    """Returns the tag of a run whose model is doubted; none where there is no doubt."""
    return {WARNING_TAG: " ".join(doubts)[:5000]} if doubts else {}
