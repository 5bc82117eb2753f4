"""Closed-form intervals of what the curves say, against brute force and scikit-learn."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_curve

from crackexp.metrics.closed_forms import auc_interval, bounded_mean
from crackexp.metrics.intervals import wilson
from tests.metrics.scoring import curve_intervals


@pytest.mark.parametrize(("value", "positives", "negatives"), [(1.0, 7, 6), (0.9, 20, 20), (0.6, 3, 50), (0.0, 5, 5)])
def test_the_interval_of_an_area_holds_the_areas_that_do_not_differ_from_it(value, positives, negatives):
    area = np.linspace(0, 1, 1_000_001)
    mean = (positives + negatives) / 2
    first, second = area / (2 - area), 2 * area**2 / (1 + area)
    hanley_mcneil = area * (1 - area) + (mean - 1) * (first - area**2) + (mean - 1) * (second - area**2)
    near = (value - area) ** 2 <= norm.ppf(0.95) ** 2 * hanley_mcneil / (positives * negatives) + 1e-12

    found = auc_interval(value, positives, negatives, 0.9)

    assert found.value == value
    assert (found.low, found.high) == pytest.approx((area[near].min(), area[near].max()), abs=1e-5)
    assert found.low < found.high


def test_the_recall_at_a_share_of_false_alarms_is_bounded_by_images_that_were_not_met():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [150, 40])
    score = 1 / (1 + np.exp(-rng.normal(size=190) - 2 * labels))
    probabilities = np.stack([1 - score, score], axis=1)
    alpha = 0.05 / 4
    cracked, sound = (1 - alpha ** (1 / count) for count in (40, 150))

    found = curve_intervals(labels, probabilities, 1, 0.95)

    ends = {}
    for end, (of_cracked, of_sound) in {"worst": (-1, 2), "best": (2, -1)}.items():
        weights = np.append(np.ones(190), [40 * cracked / (1 - cracked), 150 * sound / (1 - sound)])
        alarms, recall, _ = roc_curve(
            np.append(labels, [1, 0]),
            np.append(score, [of_cracked, of_sound]),
            sample_weight=weights,
            drop_intermediate=False,
        )
        left = np.flatnonzero(alarms <= 0.05)[-1]
        share = (0.05 - alarms[left]) / (alarms[left + 1] - alarms[left])
        ends[end] = recall[left] + share * (recall[left + 1] - recall[left])
    assert (found["recall_at_fpr_5"].low, found["recall_at_fpr_5"].high) == pytest.approx((ends["worst"], ends["best"]))
    assert found["fpr_at_recall_95"].high == 1, "of 40 cracked images 5 % is not known"


@pytest.mark.parametrize(("each", "known"), [(85, False), (86, True)])
def test_from_86_images_on_a_perfect_ranking_says_something_of_the_recall_at_5_percent(each, known):
    labels = np.repeat([0, 1], each)
    probabilities = np.eye(2)[labels] * 0.9 + 0.05
    found = curve_intervals(labels, probabilities, 1, 0.95)
    assert (found["recall_at_fpr_5"].low > 0.9) == known
    assert (found["fpr_at_recall_95"].high < 0.1) == known
    assert found["average_precision"] == wilson(each, each, 0.95)


def test_ends_of_several_classes_are_their_means_and_a_class_without_images_is_left_out():
    labels = np.arange(60) % 2
    score = np.random.default_rng(1).dirichlet(np.ones(3), 60)
    found = curve_intervals(labels, score, 0, 0.95)
    each = [((labels == k).astype(int), np.stack([1 - score[:, k], score[:, k]], axis=1)) for k in range(3)]
    parts = [curve_intervals(*one, 1, 0.95) for one in each]
    assert parts[2] == {}
    for name in found:
        for end in ("value", "low", "high"):
            assert getattr(found[name], end) == pytest.approx(np.mean([getattr(p[name], end) for p in parts[:2]]))


def test_a_mean_loss_of_0_may_be_as_large_as_the_share_that_was_not_met():
    found = bounded_mean(0.0, 1.0, 13, 0.95)
    assert (found.value, found.low, found.high) == pytest.approx((0, 0, 1 - 0.025 ** (1 / 13)))
