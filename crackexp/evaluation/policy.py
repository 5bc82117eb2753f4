"""The decision policy: calibration, and thresholds that guarantee a recall or a false positive rate."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

from crackexp.config.types import Share
from crackexp.data.classes.decisions import Classes, Defect, Thresholds
from crackexp.evaluation.calibration import Calibration, fit_site, fit_temperature
from crackexp.utils.errors import DataError


@dataclass(frozen=True)
class FittedPolicy:
    """A policy that was fitted to images: it turns the probabilities of a network into decisions.

    Attributes:
        classes: The classes of the network.
        calibration: The calibration of its probabilities.
        thresholds: The thresholds of the calibrated probability of damage.
    """

    classes: Classes
    calibration: Calibration
    thresholds: Thresholds

    def __str__(self) -> str:
        temperature = self.calibration.temperature
        return (
            str(self.thresholds)
            if temperature == 1
            else f"{self.thresholds}, calibrated with temperature {temperature:.3g}"
        )

    def calibrated(self, probabilities: np.ndarray) -> np.ndarray:
        """Returns the calibrated probabilities, (n, c) float32, for the network's `probabilities`, (n, c)."""
        return self.calibration(probabilities, self.classes.indices)

    def decide(self, probabilities: np.ndarray) -> np.ndarray:
        """Returns the decisions, (n,) str, for calibrated `probabilities`, (n, c)."""
        return self.thresholds.decide(self.classes.probability(probabilities), self.classes.leads(probabilities))

    def metrics(self) -> dict[str, float]:
        """Returns the metrics to log: the temperature and the thresholds."""
        return {
            "policy/temperature": self.calibration.temperature,
            "policy/threshold": self.thresholds.crack,
            "policy/unsure_from": self.thresholds.unsure,
        }


class Policy:
    """The requirements on a model's decisions. Calibration and thresholds that meet them are fitted to images.

    Args:
        temperature: Whether the logits are divided by the temperature that fits validation best.
        recall: The share of the cracks that are to be found, such as 0.99; null for any.
        false_alarms: The share of sound images that may be called cracked; null for any. With `recall` too, what lies
            between the two thresholds is "unsure"; with neither, the threshold is 0.5.
        confidence: The confidence that `recall` and `false_alarms` hold for further images like those of validation.
    """

    def __init__(self, temperature: bool, recall: Share | None, false_alarms: Share | None, confidence: Share) -> None:
        self.temperature = temperature
        self.recall = recall
        self.false_alarms = false_alarms
        self.confidence = confidence

    @property
    def promises(self) -> dict[str, float]:
        """The shares that the decisions must reach, by key; only those that are set."""
        shares = {"recall": self.recall, "false_alarms": self.false_alarms}
        return {key: share for key, share in shares.items() if share is not None}

    def require_enough(self, damaged: np.ndarray, defect: Defect) -> None:
        """Checks that there are enough images to fit thresholds to.

        Args:
            damaged: Whether each image is damaged, (n,) bool.
            defect: The defect that the model looks for, as it is called in messages.

        Raises:
            DataError: There are fewer damaged or negative images than a promise takes.
        """
        counts = {"recall": int(damaged.sum()), "false_alarms": int((~damaged).sum())}
        for key, share in self.promises.items():
            required = min_samples(share if key == "recall" else 1 - share, self.confidence)
            if counts[key] < required:
                adjective = defect.adjective if key == "recall" else "sound"
                raise DataError(
                    f"policy.{key}={share:g} at policy.confidence={self.confidence:g} takes {required} {adjective} "
                    f"images to fit the threshold to, and there are {counts[key]}. Add images, or set a less strict "
                    f"policy.{key} or a lower policy.confidence. Received: policy.{key}={share:g}"
                )

    def fit(self, labels: np.ndarray, probabilities: np.ndarray, classes: Classes) -> FittedPolicy:
        """Fits the calibration, then the thresholds, to validation images.

        The temperature is fitted to all classes, the thresholds to damage against the rest.

        Args:
            labels: (n,) int in [0, c).
            probabilities: The probabilities of the network, (n, c) float.
            classes: The c classes.

        Raises:
            DataError: The images are too few, see `require_enough`.
        """
        calibration = fit_temperature(labels, probabilities) if self.temperature else Calibration()
        calibrated = calibration(probabilities, classes.indices)
        return FittedPolicy(classes, calibration, self.thresholds(labels, calibrated, classes))

    def fit_site(self, labels: np.ndarray, probabilities: np.ndarray, classes: Classes) -> FittedPolicy:
        """Fits the policy of a model of two classes to the images of a new site.

        Where neither `recall` nor `false_alarms` is set, the threshold is the one with the largest expected F1.

        Args:
            labels: (n,) int in [0, 2).
            probabilities: The probabilities of the network, (n, 2) float.
            classes: The two classes.

        Raises:
            DataError: The images are too few, see `require_enough`.
        """
        (positive,) = classes.indices
        calibration = fit_site(labels, probabilities, positive) if self.temperature else Calibration()
        calibrated = calibration(probabilities, [positive])
        if self.promises:
            return FittedPolicy(classes, calibration, self.thresholds(labels, calibrated, classes))
        return FittedPolicy(classes, calibration, Thresholds().moved(threshold_for_f1(calibrated[:, positive])))

    def thresholds(self, labels: np.ndarray, probabilities: np.ndarray, classes: Classes) -> Thresholds:
        """Returns the thresholds that keep the promises.

        Where those for recall and for false alarms leave a range between them, images in it are "unsure". Where they
        overlap, their mean keeps both promises.

        Args:
            labels: (n,) int in [0, c).
            probabilities: The calibrated probabilities, (n, c) float.
            classes: The c classes.

        Raises:
            DataError: The images are too few, see `require_enough`.
        """
        scores, damaged = classes.probability(probabilities), classes.damaged(labels)
        self.require_enough(damaged, classes.defect)
        fitted = {}
        if self.recall is not None:
            fitted["recall"] = threshold_for_recall(scores[damaged], self.recall, self.confidence)
        if self.false_alarms is not None:
            fitted["false_alarms"] = threshold_for_false_alarms(scores[~damaged], self.false_alarms, self.confidence)
        default = Thresholds(defect=classes.defect)
        if not fitted:
            return default
        low, high = fitted.get("recall"), fitted.get("false_alarms")
        if low is not None and high is not None and low < high:
            return Thresholds(high, low, classes.defect)
        return default.moved(float(np.mean(list(fitted.values()))))


def min_samples(share: float, confidence: float) -> int:
    """Returns the fewest images from which a promise can be made for `share` of further ones, if none of them fails it.

    Args:
        share: The share of further images that keep the promise, in (0, 1).
        confidence: The confidence of the promise, in (0, 1).
    """
    return int(np.ceil(np.log1p(-confidence) / np.log(share) - 1e-9))


def max_failures(count: int, share: float, confidence: float) -> int:
    """Returns how many of `count` images a threshold may miss, so that it hits `share` of further ones.

    This is the distribution-free tolerance limit (Wilks 1941, Annals of Mathematical Statistics 12, 91-96): a
    threshold at the order statistic above k misses breaks the promise only where at most k of `count` images fall
    into a region of probability 1 - share.

    Args:
        count: The number of images.
        share: The share of further images to hit, in (0, 1).
        confidence: The confidence that they are hit, in (0, 1).

    Returns:
        k in [0, count), or -1 where the images are too few.
    """
    most = int(binom.ppf(1 - confidence, count, 1 - share))
    return most if binom.cdf(most, count, 1 - share) <= 1 - confidence else most - 1


def threshold_for_recall(cracked: np.ndarray, recall: float, confidence: float) -> float:
    """Returns the largest threshold that finds `recall` of further cracks with the given confidence.

    Args:
        cracked: The calibrated probabilities of a crack for cracked images, (n,); n is at least that of `min_samples`.
        recall: The share of further cracks to find, in (0, 1).
        confidence: The confidence that they are found, in (0, 1).
    """
    return float(np.sort(cracked)[max_failures(len(cracked), recall, confidence)])


def threshold_for_false_alarms(negative: np.ndarray, rate: float, confidence: float) -> float:
    """Returns the smallest threshold that calls at most `rate` of further negative images cracked.

    Args:
        negative: The calibrated probabilities of a crack for images without one, (n,); n is at least that of
            `min_samples`.
        rate: The false positive rate, in (0, 1).
        confidence: The confidence that it is not exceeded, in (0, 1).
    """
    highest = np.sort(negative)[::-1][max_failures(len(negative), 1 - rate, confidence)]
    return float(np.nextafter(highest, np.float32(2), dtype=np.float32))


def threshold_for_f1(probabilities: np.ndarray) -> float:
    """Returns the threshold with the largest expected F1.

    It is half of that F1, where probabilities are calibrated (Lipton, Elkan, Naryanaswamy 2014, arXiv:1402.1892).

    Args:
        probabilities: The calibrated probabilities of a crack, (n,).
    """
    ranked = np.sort(probabilities.astype(np.float64))[::-1]
    best = np.max(2 * np.cumsum(ranked) / (np.arange(1, len(ranked) + 1) + ranked.sum()))
    return float(best / 2)
