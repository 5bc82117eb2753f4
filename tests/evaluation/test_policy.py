"""Calibration against scikit-learn's, thresholds against the truth of simulated images."""

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import beta, norm
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator

from crackexp.data.classes.decisions import CRACK, Classes, Thresholds
from crackexp.evaluation.calibration import Calibration, fit_site, fit_temperature
from crackexp.evaluation.decision_scores import Costs, decisions_text, evaluate_decisions
from crackexp.evaluation.policy import (
    Policy,
    max_failures,
    min_samples,
    threshold_for_f1,
    threshold_for_false_alarms,
    threshold_for_recall,
)
from crackexp.metrics import Bootstrap
from crackexp.metrics.intervals import wilson
from crackexp.utils.errors import DataError

CLASSES = Classes(("sound", "crack"), ("crack",))


class Said(ClassifierMixin, BaseEstimator):
    """A classifier whose log-odds are its input."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def decision_function(self, X):
        return X[:, 0]

    def predict(self, X):
        return (X[:, 0] > 0).astype(int)


def simulate(n, scale=3.0, shift=0.0, seed=0):
    """Returns labels, and what a network says that is `scale` times too sure and off by `shift`."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(0, 2, n)
    labels = (rng.random(n) < expit(odds)).astype(int)
    crack = expit(scale * odds + shift)
    return labels, np.stack([1 - crack, crack], axis=1), scale * odds + shift


@pytest.mark.parametrize("method", ["temperature", "sigmoid"])
def test_calibration_is_that_of_scikit_learn_on_many_images(method: str) -> None:
    labels, probabilities, odds = simulate(20_000, shift=-1.0 if method == "sigmoid" else 0.0)
    peer = CalibratedClassifierCV(FrozenEstimator(Said().fit(odds[:, None], labels)), method=method)
    expected = peer.fit(odds[:, None], labels).predict_proba(odds[:, None])
    fitted = fit_temperature(labels, probabilities) if method == "temperature" else fit_site(labels, probabilities, 1)
    np.testing.assert_allclose(fitted(probabilities, [1]), expected, atol=2e-3)


def test_a_calibrated_network_is_left_as_it_is() -> None:
    labels, probabilities, _ = simulate(20_000, scale=1.0)
    assert fit_temperature(labels, probabilities).temperature == pytest.approx(1, abs=0.05)
    np.testing.assert_allclose(Calibration()(probabilities, [1]), probabilities, atol=1e-6)


def test_images_that_are_all_told_apart_do_not_make_it_sure_beyond_measure() -> None:
    labels = np.repeat([0, 1], 10)
    probabilities = np.where(np.eye(2)[labels] == 1, 0.999999, 0.000001)
    surest = fit_temperature(labels, probabilities)(probabilities, [1]).max()
    assert surest == pytest.approx(11 / 12, abs=0.001), "Platt's target for ten images"


def test_temperature_changes_no_prediction_with_more_classes_either() -> None:
    rng = np.random.default_rng(1)
    probabilities = rng.dirichlet(np.ones(4), 500)
    labels = probabilities.argmax(axis=1)
    calibrated = fit_temperature(labels, probabilities)(probabilities, [2])
    np.testing.assert_array_equal(calibrated.argmax(axis=1), labels)
    np.testing.assert_allclose(calibrated.sum(axis=1), 1, atol=1e-6)


def test_max_failures_are_those_of_the_exact_bound_of_clopper_and_pearson() -> None:
    for count in (59, 93, 400, 2000):
        k = max_failures(count, 0.95, 0.95)
        low = beta.ppf(0.05, count - np.array([k, k + 1]), np.array([k, k + 1]) + 1)
        assert low[0] >= 0.95 > low[1]
    assert (min_samples(0.99, 0.95), min_samples(0.95, 0.95)) == (299, 59)
    assert max_failures(298, 0.99, 0.95) < 0 <= max_failures(299, 0.99, 0.95)


def test_the_promised_recall_and_rate_hold_as_often_as_said() -> None:
    rng = np.random.default_rng(2)
    draws = rng.normal(0, 1, (2000, 400))
    for promise, find in (
        (lambda t: 1 - norm.cdf(t), lambda scores: threshold_for_recall(scores, 0.97, 0.9)),
        (lambda t: norm.cdf(t), lambda scores: threshold_for_false_alarms(scores, 0.03, 0.9)),
    ):
        kept = np.mean([promise(find(scores.astype(np.float32))) >= 0.97 for scores in draws])
        assert 0.9 - 0.02 <= kept <= 0.97, "not below what is said, and not far above"


def test_the_threshold_for_f1_is_the_best_of_all_on_many_images() -> None:
    labels, probabilities, _ = simulate(50_000, scale=1.0)
    crack = expit(np.log(probabilities[:, 1] / probabilities[:, 0]) - 1.5)
    labels = (np.random.default_rng(3).random(len(crack)) < crack).astype(int)

    def f1(threshold: float) -> float:
        return 2 * np.sum((crack >= threshold) & (labels == 1)) / (np.sum(crack >= threshold) + labels.sum())

    best = max(f1(threshold) for threshold in np.linspace(0.01, 0.99, 99))
    assert f1(threshold_for_f1(crack)) == pytest.approx(best, abs=0.003)


def policy(**asked):
    return Policy(**{"temperature": False, "recall": None, "false_alarms": None, "confidence": 0.95, **asked})


def test_what_is_asked_for_decides_on_the_thresholds() -> None:
    labels, probabilities, _ = simulate(4000)
    cracked, sound = probabilities[labels == 1, 1], probabilities[labels == 0, 1]
    assert policy().thresholds(labels, probabilities, CLASSES) == Thresholds()
    found = policy(recall=0.99).thresholds(labels, probabilities, CLASSES)
    assert found.crack == found.unsure == threshold_for_recall(cracked, 0.99, 0.95)
    assert np.mean(cracked >= found.crack) >= 0.99
    spared = policy(false_alarms=0.05).thresholds(labels, probabilities, CLASSES)
    assert np.mean(sound >= spared.crack) <= 0.05
    both = policy(recall=0.99, false_alarms=0.05).thresholds(labels, probabilities, CLASSES)
    assert both == Thresholds(spared.crack, found.crack)
    decided = both.decide(np.array([found.crack - 1e-6, found.crack, spared.crack]))
    assert decided.tolist() == ["sound", "unsure", "crack"]
    easy = policy(recall=0.5, false_alarms=0.5).thresholds(labels, probabilities, CLASSES)
    assert easy.crack == easy.unsure


def test_too_few_images_for_a_promise_are_refused_with_the_number_it_takes() -> None:
    labels = np.repeat([0, 1], [500, 100])
    policy(recall=0.95).require_enough(labels == 1, CRACK)
    with pytest.raises(DataError, match=r"takes 299 cracked images.*there are 100.*policy.recall=0.99"):
        policy(recall=0.99).require_enough(labels == 1, CRACK)
    with pytest.raises(DataError, match=r"takes 2995 sound images.*there are 500.*policy.false_alarms=0.001"):
        policy(false_alarms=0.001).require_enough(labels == 1, CRACK)


def test_decisions_are_judged_by_counts_with_intervals_of_wilson() -> None:
    cracked = np.repeat([True, False], [20, 30])
    crack = np.concatenate([np.repeat([0.9, 0.4, 0.1], [17, 2, 1]), np.repeat([0.8, 0.4, 0.1], [3, 6, 21])])
    found = evaluate_decisions(cracked, Thresholds(0.7, 0.3).decide(crack), Bootstrap(0, 0.95, 100), None)
    cost = found.pop("decided_cost")
    assert cost.value == pytest.approx(1000 * (10 * 1 + 3 + 8) / 50), "a miss, false alarms, and what is unsure"
    assert cost.low < cost.value < cost.high
    assert found == {
        "decided_recall": wilson(19, 20, 0.95),
        "decided_false_alarms": wilson(3, 30, 0.95),
        "decided_unsure": wilson(8, 50, 0.95),
    }
    assert "cracks found 95.0 %" in decisions_text(found, CRACK)
    grouped = evaluate_decisions(
        cracked, Thresholds(0.7, 0.3).decide(crack), Bootstrap(0, 0.95, 400), np.arange(50) % 5
    )
    whole = evaluate_decisions(
        cracked, Thresholds(0.7, 0.3).decide(crack), Bootstrap(0, 0.95, 400), np.repeat(np.arange(5), 10)
    )
    for name, score in found.items():
        assert grouped[name].low <= score.low <= score.high <= grouped[name].high, name
    assert whole["decided_unsure"].high - whole["decided_unsure"].low > 0.2, "photos that differ leave doubt"
    assert set(evaluate_decisions(cracked[:20], Thresholds().decide(crack[:20]), Bootstrap(0, 0.95, 10), None)) == {
        "decided_recall",
        "decided_unsure",
        "decided_cost",
    }


def test_the_threshold_of_the_least_cost_is_the_ratio_of_the_costs() -> None:
    """With calibrated probabilities, as Elkan (2001) has shown."""
    rng = np.random.default_rng(0)
    crack = rng.beta(0.4, 1.5, 40_000)
    damaged = rng.random(40_000) < crack
    costs = Costs(miss=4, false_alarm=1)
    tried = np.linspace(0.05, 0.6, 56)
    mean = [costs.of(damaged, Thresholds().moved(threshold).decide(crack)).mean() for threshold in tried]
    assert tried[int(np.argmin(mean))] == pytest.approx(1 / 5, abs=0.04)


def test_a_network_of_few_images_at_a_site_stays_near_what_it_was() -> None:
    labels, probabilities, _ = simulate(12, scale=1.0, seed=4)
    near = fit_site(labels, probabilities, 1)
    assert abs(near.shift) < 1
    assert 0.4 < near.scale < 2.5
