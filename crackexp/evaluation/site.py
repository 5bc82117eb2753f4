"""The calibration of a model for a new site with a few labelled images of it, and its cross-validated gain."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import f1_score, log_loss, roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from crackexp.data.classes.decisions import CRACK, SOUND, Classes, Thresholds
from crackexp.evaluation.doubts import calibration_doubt, doubts_of
from crackexp.evaluation.policy import FittedPolicy, Policy
from crackexp.metrics.predictions import Predictions
from crackexp.utils.errors import ConfigError, DataError

FOLDS = 5
MIN_IMAGES = 5
"""The fewest images of each class that a site can be fitted to."""


@dataclass(frozen=True)
class Site:
    """The calibration of a model for a site.

    Attributes:
        fitted: The policy that was fitted to all images of the site.
        before: The thresholds that the model had before.
        images: The number of images.
        cracked: The number of cracked ones among them.
        scores: The values of each score before and after, by its name. Before is the model as it was. After is
            cross-validated: the images of each fold are evaluated by a fit to the other folds. Thresholds that keep a
            promise are always those of all images, since the images of a fold may be too few for them.
        by_photo: Whether all images of a photo are in one fold.
        doubts: What speaks against relying on the model at the site, a sentence each, see `doubts_of`.
    """

    fitted: FittedPolicy
    before: Thresholds
    images: int
    cracked: int
    scores: Mapping[str, tuple[float, float]]
    by_photo: bool
    doubts: Sequence[str]

    def metrics(self) -> dict[str, float]:
        """Returns the metrics to log."""
        metrics = {**self.fitted.metrics(), "policy/shift": self.fitted.calibration.shift}
        for name, (before, after) in self.scores.items():
            metrics |= {f"site/{name}_before": before, f"site/{name}_after": after}
        return metrics

    def facts(self, dataset: str, digest: str, model: Any) -> dict[str, Any]:
        """Returns the metadata of the calibrated model.

        Args:
            dataset: The name of the dataset with the images of the site.
            digest: The digest of these images.
            model: The logged model that was calibrated, a `tracking.models.LoggedModel`.
        """
        calibration = self.fitted.calibration
        step = {"dataset": dataset, "digest": digest, "from": model.run_id}
        step |= {"scale": calibration.scale, "shift": calibration.shift, "threshold_before": self.before.crack}
        return {
            "threshold": self.fitted.thresholds.crack,
            "unsure_from": self.fitted.thresholds.unsure,
            "trained_in": model.trained_in,
            "calibrations": [*model.facts.calibrations, step],
        }


def fit_to_site(policy: Policy, predictions: Predictions, classes: Classes, before: Thresholds, seed: int) -> Site:
    """Fits calibration and thresholds to the images of a site, and cross-validates the gain.

    Args:
        policy: The policy to fit. Without a recall and a rate of false alarms, the threshold is that of the best F1.
        predictions: The predictions of the model for the images of the site; their groups are the photos.
        classes: The classes of the model.
        before: The thresholds of the model.
        seed: The seed of the folds.

    Raises:
        UserError: The model has more than two classes, or the images are too few, see `require_site`.
    """
    labels, probabilities = predictions.labels, predictions.probabilities
    require_site(policy, labels, classes)
    cracked = classes.damaged(labels)
    fitted = policy.fit_site(labels, probabilities, classes)
    scores_before = classes.probability(probabilities)
    scores_after = np.zeros(len(labels))
    decisions_after = np.full(len(labels), SOUND, dtype=object)
    folds, by_photo = site_folds(cracked, predictions.groups, seed)
    fold_policy = Policy(policy.temperature, None, None, policy.confidence) if policy.promises else policy
    for train, test in folds:
        fold = fold_policy.fit_site(labels[train], probabilities[train], classes)
        scores_after[test] = classes.probability(fold.calibrated(probabilities[test]))
        thresholds = fitted.thresholds if policy.promises else fold.thresholds
        decisions_after[test] = thresholds.decide(scores_after[test])
    decisions = before.decide(scores_before), decisions_after
    scores = {
        "f1": [f1_score(cracked, decision == CRACK, zero_division=0) for decision in decisions],
        "recall": [np.mean(decision[cracked] != SOUND) for decision in decisions],
        "false_alarms": [np.mean(decision[~cracked] == CRACK) for decision in decisions],
        "log_loss": [log_loss(cracked, score, labels=[False, True]) for score in (scores_before, scores_after)],
    }
    pairs = {name: (float(first), float(second)) for name, (first, second) in scores.items()}
    (positive,) = classes.indices
    predicted = np.where(decisions_after == CRACK, positive, 1 - positive)
    doubts = calibration_doubt(fitted.calibration)
    doubts += doubts_of("The site", labels, predicted, classes, float(roc_auc_score(cracked, scores_before)))
    return Site(fitted, before, len(labels), int(cracked.sum()), pairs, by_photo, doubts)


def require_binary(classes: Classes) -> None:
    """Checks that a model has two classes.

    A few images are enough to fit the scale and shift of one log-odds, but not how a site shifts several kinds of
    damage against each other.

    Args:
        classes: The classes of the model.

    Raises:
        ConfigError: There are more than two.
    """
    if len(classes.names) != 2:
        raise ConfigError(
            "Only a model of two classes, damaged and not, can be calibrated for a site. Choose a model trained "
            f"on two classes. Received: a model of {len(classes.names)} classes, {', '.join(classes.names)}"
        )


def require_site(policy: Policy, labels: np.ndarray, classes: Classes) -> None:
    """Checks that a model can be calibrated for a site, before it predicts its images.

    Args:
        policy: The policy to fit.
        labels: The labels of the images of the site, (n,) int in [0, c).
        classes: The c classes.

    Raises:
        ConfigError: The model has more than two classes.
        DataError: There are fewer than `MIN_IMAGES` images of a class, or too few for the promises of the policy.
    """
    require_binary(classes)
    cracked = int(classes.damaged(labels).sum())
    if min(cracked, len(labels) - cracked) < MIN_IMAGES:
        raise DataError(
            f"Calibration takes at least {MIN_IMAGES} cracked and {MIN_IMAGES} sound images, and 25 of each to be "
            f"reliable. Received: {cracked} cracked, {len(labels) - cracked} sound"
        )
    policy.require_enough(classes.damaged(labels), classes.defect)


def site_folds(
    cracked: np.ndarray, groups: np.ndarray | None, seed: int
) -> tuple[list[tuple[np.ndarray, np.ndarray]], bool]:
    """Returns the rows to train on and to test on of each fold, and whether all images of a photo are in one fold.

    They are where the training rows of each fold then have both cracked and negative images.

    Args:
        cracked: Whether each image is cracked, (n,) bool, with at least two of each class.
        groups: The photo of each image, (n,); None where photos are not known.
        seed: The seed of the folds.
    """
    photos = 0 if groups is None else len(np.unique(groups))
    if photos > 1:
        splitter = StratifiedGroupKFold(min(FOLDS, photos), shuffle=True, random_state=seed % 2**32)
        folds = list(splitter.split(cracked, cracked, groups))
        if all(0 < cracked[train].sum() < len(train) for train, _ in folds):
            return folds, True
    count = int(min(FOLDS, cracked.sum(), (~cracked).sum()))
    return list(StratifiedKFold(count, shuffle=True, random_state=seed % 2**32).split(cracked, cracked)), False
