"""A model fitted to a new site by a few labelled images of it, and what that gains on images it was not fitted to."""

from collections.abc import Iterator, Mapping, Sequence
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
LEAST = 5
"""Images of each class that a fit takes."""


@dataclass(frozen=True)
class Site:
    """A model fitted to a site.

    Attributes:
        fitted: to all its images.
        before: the model's own thresholds.
        images: how many, and `cracked` of them are.
        scores: name to value before and after. Before is the model as it was; after are the images of each fold, judged
            by a fit to the others, so that no image is judged by a fit to itself; thresholds that keep a promise are
            those of all images, since the images of a fold may be too few for one.
        by_photo: whether folds were dealt by photo; else images of one photo may stand on both sides.
        doubts: what speaks against relying on the model at the site, a sentence each, see `doubts_of`.
    """

    fitted: FittedPolicy
    before: Thresholds
    images: int
    cracked: int
    scores: Mapping[str, tuple[float, float]]
    by_photo: bool
    doubts: Sequence[str]

    def metrics(self) -> dict[str, float]:
        """Returns what is logged."""
        found = {**self.fitted.metrics(), "policy/shift": self.fitted.calibration.shift}
        for name, (before, after) in self.scores.items():
            found |= {f"site/{name}_before": before, f"site/{name}_after": after}
        return found

    def facts(self, dataset: str, digest: str, model: Any) -> dict[str, Any]:
        """Returns what the new model's metadata tell of its calibration; `model` is the LoggedModel before."""
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
    """Fits calibration and thresholds to images of a site, and cross-validates what that gains.

    Args:
        policy: what is asked for; where neither a recall nor a rate of false alarms is, the best F1 is.
        predictions: of the model, for the images of the site; their groups are the photos.
        classes: of the model.
        before: the model's own thresholds.
        seed: of the folds.

    Raises:
        UserError: see `require_site`.
    """
    labels, probabilities = predictions.labels, predictions.probabilities
    require_site(policy, labels, classes)
    cracked = classes.damaged(labels)
    fitted = policy.fit_site(labels, probabilities, classes)
    after = np.zeros(len(labels))
    decided = np.full(len(labels), SOUND, dtype=object)
    folds, by_photo = _folds(cracked, predictions.groups, seed)
    asked = Policy(policy.temperature, None, None, policy.confidence) if policy.promises else policy
    for rest, held in folds:
        fold = asked.fit_site(labels[rest], probabilities[rest], classes)
        after[held] = classes.probability(fold.calibrated(probabilities[held]))
        thresholds = fitted.thresholds if policy.promises else fold.thresholds
        decided[held] = thresholds.decide(after[held])
    said = classes.probability(probabilities)
    decisions = before.decide(said), decided
    scores = {
        "f1": [f1_score(cracked, decision == CRACK, zero_division=0) for decision in decisions],
        "recall": [np.mean(decision[cracked] != SOUND) for decision in decisions],
        "false_alarms": [np.mean(decision[~cracked] == CRACK) for decision in decisions],
        "log_loss": [log_loss(cracked, one, labels=[False, True]) for one in (said, after)],
    }
    told = {name: (float(first), float(second)) for name, (first, second) in scores.items()}
    (crack,) = classes.indices
    predicted = np.where(decided == CRACK, crack, 1 - crack)
    doubts = calibration_doubt(fitted.calibration)
    doubts += doubts_of("The site", labels, predicted, classes, float(roc_auc_score(cracked, said)))
    return Site(fitted, before, len(labels), int(cracked.sum()), told, by_photo, doubts)


def require_two(classes: Classes) -> None:
    """Raises ConfigError where a model of `classes` knows more than two.

    Scale and shift of one log-odds is all that a few images can tell; how a site shifts several kinds of damage against
    each other is more.
    """
    if len(classes.names) != 2:
        raise ConfigError(
            "A site is fitted with two classes, damaged and not. Give a model that was trained on two folders. "
            f"Received: a model of {len(classes.names)} classes, {', '.join(classes.names)}"
        )


def require_site(policy: Policy, labels: np.ndarray, classes: Classes) -> None:
    """Says what keeps a model from being fitted to images with `labels` (n,), before it is asked about them.

    Raises:
        ConfigError: see `require_two`.
        DataError: there are fewer than `LEAST` images of a class, or too few for what is asked.
    """
    require_two(classes)
    cracked = int(classes.damaged(labels).sum())
    if min(cracked, len(labels) - cracked) < LEAST:
        raise DataError(
            f"A fit takes {LEAST} cracked and {LEAST} sound images at least, 25 of each for one to rely on. "
            f"Received: {cracked} cracked, {len(labels) - cracked} sound"
        )
    policy.require_enough(classes.damaged(labels), classes.defect)


def _folds(
    cracked: np.ndarray, groups: np.ndarray | None, seed: int
) -> tuple[list[tuple[np.ndarray, np.ndarray]], bool]:
    """Returns rows to fit to and rows to judge of each fold, and whether photos stay whole.

    Folds go by photo where each then has cracked and sound images to be fitted to.
    """

    def usable(folds: Iterator[tuple[np.ndarray, np.ndarray]]) -> list[tuple[np.ndarray, np.ndarray]]:
        dealt = list(folds)
        return dealt if all(0 < cracked[rest].sum() < len(rest) for rest, _ in dealt) else []

    photos = 0 if groups is None else len(np.unique(groups))
    if photos > 1:
        splitter = StratifiedGroupKFold(min(FOLDS, photos), shuffle=True, random_state=seed % 2**32)
        if dealt := usable(splitter.split(cracked, cracked, groups)):
            return dealt, True
    return list(StratifiedKFold(FOLDS, shuffle=True, random_state=seed % 2**32).split(cracked, cracked)), False
