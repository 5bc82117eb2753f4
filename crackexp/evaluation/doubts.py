"""Signs that a model should not be relied on, such as the same prediction for every image."""

from collections.abc import Sequence

import numpy as np

from crackexp.data.classes.decisions import Classes
from crackexp.evaluation.calibration import MAX_LOG_SCALE, Calibration
from crackexp.metrics.intervals import mean_of, wilson
from crackexp.reporting.report import EVERYWHERE, Medium, Section

LEVEL = 0.95
"""The confidence of the intervals of recall."""
WARNING_TAG = "warning.model"
"""The MLflow tag of a run whose model should not be relied on."""
ADVICE = (
    "Look at the labels and at most_wrong.png, check that dataset.positive names the damage, and train longer (epochs) "
    "or with another optimizer.learning_rate, before you rely on this model."
)


def doubts_of(
    name: str, labels: np.ndarray, predictions: np.ndarray, classes: Classes, roc_auc: float | None
) -> list[str]:
    """Returns what is wrong with the predictions for a set of images, a sentence each; none for a model that works.

    Args:
        name: The name of the set, with which the sentences begin.
        labels: (n,) int in [0, c). Where all images are of one class, the only doubt can be that no damage was found.
        predictions: (n,) int in [0, c).
        classes: The c classes.
        roc_auc: The area under the ROC curve; None where it is undefined.
    """
    doubts = []
    if chance := chance_doubt(labels, predictions, classes.names):
        doubts.append(f"{name}: {chance}.")
    damaged = classes.damaged(labels)
    constant = len(np.unique(labels)) > 1 and len(np.unique(predictions)) == 1
    if damaged.any() and not constant and not classes.damaged(predictions[damaged]).any():
        doubts.append(f"{name}: none of {damaged.sum():,} {classes.defect.adjective} images was found.")
    if roc_auc is not None and roc_auc < 0.5:
        doubts.append(
            f"{name}: sound images are ranked above {classes.defect.adjective} ones. The area under the ROC curve is "
            f"{roc_auc:.4f}, and guessing has 0.5."
        )
    return doubts


def chance_doubt(labels: np.ndarray, predictions: np.ndarray, class_names: Sequence[str]) -> str | None:
    """Returns in what way the predictions are no better than chance; None where they are better.

    Predictions are no better than chance where all are the same, or where the interval of the balanced accuracy, the
    mean recall of the classes, contains that of guessing. Accuracy would not do: where one class is rare, a good model
    has hardly more of it than one that never predicts the rare class. Of images of one class nothing can be said.

    Args:
        labels: (n,) int in [0, c).
        predictions: (n,) int in [0, c).
        class_names: The names of the c classes.
    """
    present, counts = np.unique(labels, return_counts=True)
    if len(present) < 2:
        return None
    predicted = np.unique(predictions)
    if len(predicted) == 1:
        name, right = class_names[predicted[0]], np.sum(labels == predicted[0])
        return f"all {len(labels):,} images were predicted to be {name}, and {right:,} of them are"
    correct = predictions == labels
    recall = mean_of(
        [wilson(int(correct[labels == k].sum()), int(count), LEVEL) for k, count in zip(present, counts, strict=True)]
    )
    if recall.low > 1 / len(class_names):
        return None
    verdict = "no better than chance" if recall.value <= 1 / len(class_names) else "not shown to be better than chance"
    return (
        f"{verdict}, {correct.mean():.1%} of {len(labels):,} images were classified correctly, where predicting "
        f"{class_names[present[counts.argmax()]]} for every image would reach {counts.max() / len(labels):.1%}"
    )


def calibration_doubt(calibration: Calibration) -> list[str]:
    """Returns a sentence on a calibration that stopped at the end of its range; an empty list for another."""
    if abs(np.log(calibration.scale)) < MAX_LOG_SCALE - 0.01:
        return []
    unsure = calibration.scale < 1
    extreme = "largest" if unsure else "smallest"
    meaning = "they say nothing about the labels" if unsure else "the network is hardly trained"
    return [
        f"The network's probabilities could not be calibrated: the temperature {calibration.temperature:.3g} is the "
        f"{extreme} that is tried, so {meaning}."
    ]


def training_doubt(before: float | None, after: float) -> list[str]:
    """Returns a sentence on training that left the accuracy on the validation images as it was, if it did.

    Args:
        before: The accuracy before training; None where it was not measured.
        after: The accuracy after it.
    """
    if before is None or before != after or after == 1:
        return []
    return [f"Training did not change the accuracy on val, which is {after:.4f} as before."]


def doubts_section(doubts: Sequence[str], media: Sequence[Medium] = EVERYWHERE) -> list[Section]:
    """Returns a section that warns of the model and says what to check; an empty list without doubts.

    Args:
        doubts: What speaks against relying on the model, a sentence each.
        media: Where the section is shown.
    """
    title = "Do not rely on this model"
    return [Section(title, [*doubts, ADVICE], tone="warning", media=media)] if doubts else []


def doubt_tags(doubts: Sequence[str]) -> dict[str, str]:
    """Returns the tag of a run whose model should not be relied on; no tag without doubts."""
    return {WARNING_TAG: " ".join(doubts)[:5000]} if doubts else {}
