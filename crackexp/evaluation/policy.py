"""The decision policy: thresholds that keep a promise about recall or false alarms, and how they do on other images."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

from crackexp.config.types import Share
from crackexp.data.classes.decisions import SOUND, UNSURE, Classes, Defect, Thresholds
from crackexp.evaluation.calibration import Calibration, fit_site, fit_temperature
from crackexp.metrics.intervals import Interval, covering, grouped_interval, wilson
from crackexp.metrics.predictions import Bootstrap
from crackexp.utils.errors import DataError


@dataclass(frozen=True)
class FittedPolicy:
    """How a network's probabilities become decisions.

    Attributes:
        classes: of the network.
        calibration: of what the network says.
        thresholds: of the calibrated probability of damage.
    """

    classes: Classes
    calibration: Calibration
    thresholds: Thresholds

    def __str__(self) -> str:
        temperature = self.calibration.temperature
        return str(self.thresholds) if temperature == 1 else f"{self.thresholds}, at temperature {temperature:.3g}"

    def calibrated(self, probabilities: np.ndarray) -> np.ndarray:
        """Returns the calibrated probabilities, (n, c) float32, where the network says `probabilities`, (n, c)."""
        return self.calibration(probabilities, self.classes.indices)

    def decide(self, probabilities: np.ndarray) -> np.ndarray:
        """Returns the decisions, (n,) str, on images of which `probabilities`, (n, c), are the calibrated ones."""
        return self.thresholds.decide(self.classes.probability(probabilities), self.classes.leads(probabilities))

    def metrics(self) -> dict[str, float]:
        """Returns what is logged: the temperature, and the thresholds."""
        found = {"temperature": self.calibration.temperature, "threshold": self.thresholds.crack}
        found["unsure_from"] = self.thresholds.unsure
        return {f"policy/{name}": value for name, value in found.items()}


class Policy:
    """What is asked of a model's decisions, and fitted on validation images.

    Args:
        temperature: Whether the logits are divided by the temperature that fits validation best.
        recall: The share of the cracks that are to be found, such as 0.99; null for any.
        false_alarms: The share of sound images that may be called cracked; null for any. With `recall` too, what lies
            between the two thresholds is "unsure"; with neither, the threshold is 0.5.
        confidence: The confidence that a promise holds for further images like those of validation.
    """

    def __init__(self, temperature: bool, recall: Share | None, false_alarms: Share | None, confidence: Share) -> None:
        self.temperature = temperature
        self.recall = recall
        self.false_alarms = false_alarms
        self.confidence = confidence

    @property
    def promises(self) -> dict[str, float]:
        """The shares that are asked for, by key."""
        asked = {"recall": self.recall, "false_alarms": self.false_alarms}
        return {key: share for key, share in asked.items() if share is not None}

    def require_enough(self, damaged: np.ndarray, defect: Defect) -> None:
        """Raises DataError where images, `damaged` or not, (n,) bool, are too few for what is asked of decisions."""
        counts = {"recall": int(damaged.sum()), "false_alarms": int((~damaged).sum())}
        for key, share in self.promises.items():
            least = fewest(share if key == "recall" else 1 - share, self.confidence)
            if counts[key] < least:
                kind = defect.adjective if key == "recall" else "sound"
                raise DataError(
                    f"To promise policy.{key}={share:g} at a confidence of {self.confidence:g} takes {least} {kind} "
                    f"images to fit it on, and there are {counts[key]}. Add images, or ask for less: another "
                    f"policy.{key}, or a lower policy.confidence. Received: policy.{key}={share:g}"
                )

    def fit(self, labels: np.ndarray, probabilities: np.ndarray, classes: Classes) -> FittedPolicy:
        """Fits calibration, then thresholds, to images with `labels` (n,) of which `probabilities` (n, c) were said.

        The temperature is fitted to all classes, thresholds to damage and the rest.

        Raises:
            DataError: see `require_enough`.
        """
        calibration = fit_temperature(labels, probabilities) if self.temperature else Calibration()
        said = calibration(probabilities, classes.indices)
        return FittedPolicy(classes, calibration, self.thresholds(labels, said, classes))

    def fit_site(self, labels: np.ndarray, probabilities: np.ndarray, classes: Classes) -> FittedPolicy:
        """Fits a model of two classes to images of a new site; arguments as of `fit`.

        Where neither a recall nor a rate of false alarms is asked for, the threshold has the best expected F1.

        Raises:
            DataError: see `require_enough`.
        """
        (crack,) = classes.indices
        calibration = fit_site(labels, probabilities, crack) if self.temperature else Calibration()
        said = calibration(probabilities, [crack])
        if self.promises:
            return FittedPolicy(classes, calibration, self.thresholds(labels, said, classes))
        return FittedPolicy(classes, calibration, Thresholds().moved(threshold_for_f1(said[:, crack])))

    def thresholds(self, labels: np.ndarray, probabilities: np.ndarray, classes: Classes) -> Thresholds:
        """Returns the thresholds for calibrated `probabilities` (n, c) of images with `labels` (n,).

        Raises:
            DataError: see `require_enough`.
        """
        damage, damaged = classes.probability(probabilities), classes.damaged(labels)
        self.require_enough(damaged, classes.defect)
        found = {}
        if self.recall is not None:
            found["recall"] = threshold_for_recall(damage[damaged], self.recall, self.confidence)
        if self.false_alarms is not None:
            found["false_alarms"] = threshold_for_false_alarms(damage[~damaged], self.false_alarms, self.confidence)
        usual = Thresholds(defect=classes.defect)
        if not found:
            return usual
        low, high = found.get("recall"), found.get("false_alarms")
        if low is not None and high is not None and low < high:
            return Thresholds(high, low, classes.defect)
        return usual.moved(float(np.mean(list(found.values()))))


def fewest(share: float, confidence: float) -> int:
    """Returns how many images a promise about `share` of them takes at least: all of them may then keep it."""
    return int(np.ceil(np.log1p(-confidence) / np.log(share) - 1e-9))


def allowed_misses(count: int, share: float, confidence: float) -> int:
    """Returns the most misses among `count` images that show, at `confidence`, that `share` of further ones are hit.

    The distribution-free tolerance limit (Wilks 1941, Annals of Mathematical Statistics 12, 91-96): a threshold at the
    order statistic above k misses keeps the promise unless at most k of `count` images fall where only 1 - share do.

    Returns:
        k in [0, count), or -1 where the images are too few.
    """
    most = int(binom.ppf(1 - confidence, count, 1 - share))
    return most if binom.cdf(most, count, 1 - share) <= 1 - confidence else most - 1


def threshold_for_recall(cracked: np.ndarray, recall: float, confidence: float) -> float:
    """Returns the largest threshold that finds `recall` of further cracks with the given confidence.

    Args:
        cracked: (n,) probabilities of a crack of cracked images; n at least `fewest`.
        recall: in (0, 1).
        confidence: in (0, 1).
    """
    return float(np.sort(cracked)[allowed_misses(len(cracked), recall, confidence)])


def threshold_for_false_alarms(sound: np.ndarray, rate: float, confidence: float) -> float:
    """Returns the smallest threshold that calls at most `rate` of further sound images cracked; as for recall."""
    highest = np.sort(sound)[::-1][allowed_misses(len(sound), 1 - rate, confidence)]
    return float(np.nextafter(highest, np.float32(2), dtype=np.float32))


def threshold_for_f1(crack: np.ndarray) -> float:
    """Returns the threshold with the largest expected F1, where calibrated probabilities of a crack are `crack`, (n,).

    For calibrated probabilities it is half of that F1 (Lipton, Elkan, Naryanaswamy 2014, arXiv:1402.1892).
    """
    ranked = np.sort(crack.astype(np.float64))[::-1]
    best = np.max(2 * np.cumsum(ranked) / (np.arange(1, len(ranked) + 1) + ranked.sum()))
    return float(best / 2)


def judge_decisions(
    damaged: np.ndarray, decided: np.ndarray, bootstrap: Bootstrap, groups: np.ndarray | None
) -> Mapping[str, Interval]:
    """Returns what the decisions on n images are worth.

    Intervals are Wilson's where images are independent; with `groups` they are those of `grouped_interval`, never
    narrower than Wilson's.

    Args:
        damaged: (n,) bool, the truth.
        decided: (n,) str, see `Thresholds.decide`.
        bootstrap: how intervals are made.
        groups: (n,) the photo of each image, or None.

    Returns:
        `decided_recall`, the share of the damaged images that are not called sound, `decided_false_alarms`, the share
        of the others that are called damaged, and `decided_unsure`, the share of all; without images, none.
    """
    shares = {
        "decided_recall": (decided != SOUND, damaged),
        "decided_false_alarms": (~np.isin(decided, (SOUND, UNSURE)), ~damaged),
        "decided_unsure": (decided == UNSURE, np.ones(len(decided), bool)),
    }
    shares = {name: (hit & of, of) for name, (hit, of) in shares.items() if of.any()}
    scores = {name: wilson(int(hit.sum()), int(of.sum()), bootstrap.level) for name, (hit, of) in shares.items()}
    if groups is None:
        return scores
    members = np.unique(groups, return_inverse=True)[1]
    counts = np.concatenate([*bootstrap.counts(len(decided), members)])
    for name, (hit, of) in shares.items():
        with np.errstate(invalid="ignore"):
            samples = (counts @ hit) / (counts @ of)
        grouped = grouped_interval(scores[name].value, samples, int(members.max()) + 1, bootstrap.level)
        scores[name] = covering(grouped, scores[name])
    return scores


def decisions_text(decided: Mapping[str, Interval], defect: Defect) -> str:
    """Says in a line what `judge_decisions` found of decisions about `defect`."""

    def share(score: Interval) -> str:
        ends = "" if np.isnan(score.low) else f" ({100 * score.low:.1f} to {100 * score.high:.1f})"
        return f"{100 * score.value:.1f} %{ends}"

    words = {
        "decided_recall": f"{defect.plural} found",
        "decided_false_alarms": "false alarms",
        "decided_unsure": "unsure",
    }
    told = {name: score for name, score in decided.items() if name != "decided_unsure" or score.value > 0}
    return ", ".join(f"{words[name]} {share(score)}" for name, score in told.items())
