"""Metrics against scikit-learn, the bootstrap against one image at a time, intervals against simulated truth."""

import tracemalloc

import numpy as np
import pytest
from scipy.stats import norm
from sklearn import metrics as sk

from crackexp.metrics.closed_forms import bounded_mean, ece_interval, f1_interval
from crackexp.metrics.curves import CurveMetric
from crackexp.metrics.evaluation import Resampled, mean_scores
from crackexp.metrics.intervals import Interval, resampled_counts, wilson
from crackexp.metrics.predictions import Bootstrap, Predictions
from crackexp.metrics.scorer import calibration_bins
from crackexp.metrics.standard import STANDARD
from crackexp.utils.seeds import generator
from tests.metrics.scoring import curve_intervals, scores_of

NAMES = list(STANDARD)
CURVES = [name for name, metric in STANDARD.items() if isinstance(metric, CurveMetric)]


def simulate(n, c, seed=0, decimals=None, signal=1.5, dtype=np.float64):
    rng = np.random.default_rng(seed)
    labels = rng.choice(c, n, p=np.arange(1, c + 1) / np.arange(1, c + 1).sum())
    logits = rng.normal(size=(n, c))
    logits[np.arange(n), labels] += signal
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    if decimals:
        probabilities = np.floor(probabilities * 10**decimals) / 10**decimals
        probabilities[:, 0] = 1 - probabilities[:, 1:].sum(axis=1)
    return labels, probabilities.astype(dtype)


def slow_ece(labels, probabilities):
    confidence, total = probabilities.max(axis=1), 0.0
    hit = probabilities.argmax(axis=1) == labels
    for low in range(15):
        inside = (confidence > low / 15) & (confidence <= (low + 1) / 15)
        if inside.any():
            total += inside.mean() * abs(hit[inside].mean() - confidence[inside].mean())
    return total


def slow_curve(truth, score):
    """Recall where 5 % of the others pass, and the share of others that pass where 95 % are found."""
    alarms, recall, _ = sk.roc_curve(truth, score, drop_intermediate=False)

    def along(x, y, place, left):
        a, b = x[left], x[left + 1]
        return y[left] + (place - a) / (b - a) * (y[left + 1] - y[left])

    return (
        along(alarms, recall, 0.05, np.flatnonzero(alarms <= 0.05)[-1]),
        along(recall, alarms, 0.95, np.flatnonzero(recall < 0.95)[-1]),
    )


def reference(labels, probabilities, positive):
    """The metrics by scikit-learn."""
    c = probabilities.shape[1]
    guess = probabilities.argmax(axis=1)
    classes = [positive] if c == 2 else range(c)
    options = {"labels": list(classes), "average": "macro", "zero_division": np.nan}
    return {
        "accuracy": sk.accuracy_score(labels, guess),
        "precision": sk.precision_score(labels, guess, **options),
        "recall": sk.recall_score(labels, guess, **options),
        "f1": sk.f1_score(labels, guess, **options),
        "balanced_accuracy": sk.balanced_accuracy_score(labels, guess),
        "roc_auc": np.mean([sk.roc_auc_score(labels == k, probabilities[:, k]) for k in classes]),
        "average_precision": np.mean([sk.average_precision_score(labels == k, probabilities[:, k]) for k in classes]),
        "recall_at_fpr_5": np.mean([slow_curve(labels == k, probabilities[:, k])[0] for k in classes]),
        "fpr_at_recall_95": np.mean([slow_curve(labels == k, probabilities[:, k])[1] for k in classes]),
        "log_loss": sk.log_loss(labels, probabilities, labels=range(c)),
        "brier": sk.brier_score_loss(labels == positive, probabilities[:, positive])
        if c == 2
        else c * sk.mean_squared_error(np.eye(c)[labels], probabilities),
        "ece": slow_ece(labels, probabilities),
    }


@pytest.mark.parametrize("decimals", [None, 1])
@pytest.mark.parametrize(("c", "positive"), [(2, 0), (2, 1), (3, 0), (5, 4)])
def test_values_are_those_of_scikit_learn(c, positive, decimals):
    labels, probabilities = simulate(300, c, decimals=decimals)

    scores = scores_of(labels, probabilities, positive, seed=0, resamples=10)

    assert list(scores) == NAMES
    values = {name: score.value for name, score in scores.items()}
    assert values == pytest.approx(reference(labels, probabilities, positive), abs=1e-9)


def test_single_precision_is_clipped_as_by_scikit_learn():
    labels = np.array([0, 1, 1])
    probabilities = np.array([[1, 0], [0, 1], [1, 0]], np.float32)
    scores = scores_of(labels, probabilities, 1, seed=0, resamples=10)
    assert scores["log_loss"].value == pytest.approx(sk.log_loss(labels, probabilities), rel=1e-6)


@pytest.mark.parametrize("c", [2, 3])
def test_bootstrap_is_that_of_one_image_at_a_time(c):
    labels, probabilities = simulate(60, c, decimals=1)
    counts = np.concatenate(list(resampled_counts(60, 40, generator(3, "bootstrap"))))
    rows = [np.repeat(np.arange(60), row.astype(int)) for row in counts]
    samples = [reference(labels[row], probabilities[row], 1) for row in rows]

    scores = scores_of(labels, probabilities, 1, seed=3, level=0.8, resamples=40)

    closed = {"accuracy", "precision", "recall", "balanced_accuracy", "ece", *(["f1"] if c == 2 else [])}
    edges = curve_intervals(labels, probabilities, 1, 0.8)
    edges["brier"] = bounded_mean(scores["brier"].value, 1 if c == 2 else 2, 60, 0.8)
    bootstrapped = [name for name in NAMES if name not in closed]
    assert {*CURVES, "brier", "log_loss"} <= set(bootstrapped)
    for name in bootstrapped:
        low, high = np.quantile([sample[name] for sample in samples], [0.1, 0.9])
        if name in edges:
            low, high = min(low, edges[name].low), max(high, edges[name].high)
        assert (scores[name].low, scores[name].high) == pytest.approx((low, high)), name


def test_proportions_have_wilson_intervals():
    labels = np.repeat([0, 1], [30, 20])
    guess = np.concatenate([np.repeat([0, 1], [27, 3]), np.repeat([0, 1], [2, 18])])
    probabilities = np.where(guess[:, None] == [0, 1], 0.8, 0.2)

    scores = scores_of(labels, probabilities, 1, seed=0, level=0.9, resamples=10)

    assert scores["accuracy"] == wilson(45, 50, 0.9)
    for name, (hits, images) in {"precision": (18, 21), "recall": (18, 20)}.items():
        expected = wilson(hits, images, 0.9)
        got = scores[name]
        assert (got.value, got.low, got.high) == pytest.approx((expected.value, expected.low, expected.high))
    assert scores["f1"] == f1_interval(18, 5, 0.9)


def test_f1_interval_is_that_of_the_share_it_rises_with():
    interval, share = f1_interval(90, 10, 0.95), wilson(90, 100, 0.95)
    assert interval.value == pytest.approx(2 * 90 / (2 * 90 + 10))
    for end in ("low", "high"):
        f = getattr(interval, end)
        assert f / (2 - f) == pytest.approx(getattr(share, end))


def test_perfect_predictions_keep_a_width():
    labels = np.repeat([0, 1], 100)
    probabilities = np.eye(2)[labels] * 0.98 + 0.01

    scores = scores_of(labels, probabilities, 1, seed=0, resamples=50)

    for name in ("accuracy", "precision", "recall", "f1", "balanced_accuracy"):
        assert scores[name].value == 1
        assert 0.9 < scores[name].low < 1, name
        assert scores[name].high == pytest.approx(1)
    for name in ("roc_auc", "average_precision", "recall_at_fpr_5"):
        assert scores[name].value == scores[name].high == 1
        assert 0.94 < scores[name].low < 1, name
    assert scores["fpr_at_recall_95"].value == scores["fpr_at_recall_95"].low == 0
    assert 0 < scores["fpr_at_recall_95"].high < 0.06
    assert scores["ece"].value == pytest.approx(0.01)
    assert scores["ece"].low == 0 < scores["ece"].high < 0.06
    assert scores["brier"].low < scores["brier"].value < scores["brier"].high < 0.04
    assert np.isnan([scores["log_loss"].low, scores["log_loss"].high]).all(), "the same for every image"


@pytest.mark.parametrize("groups", [None, np.arange(13) % 4])
@pytest.mark.parametrize("sign", [1, -1], ids=["perfect", "perfectly wrong"])
def test_no_interval_is_a_point_where_a_few_images_are_told_apart(sign, groups):
    labels = np.array([0] * 6 + [1] * 7)
    positive = 1 / (1 + np.exp(-sign * np.linspace(-4, 4, 13)))
    scores = scores_of(labels, np.stack([1 - positive, positive], axis=1), 1, seed=0, resamples=100, groups=groups)
    for name, score in scores.items():
        assert score.low < score.high, name
        assert score.low <= score.value <= score.high, name
    assert scores["roc_auc"].value == (sign + 1) / 2


def test_scores_that_are_the_same_for_every_image_keep_an_interval_or_have_none():
    labels = np.arange(40) % 2
    scores = scores_of(labels, np.full((40, 2), 0.5), 1, seed=0, resamples=100)
    assert scores["roc_auc"].low < 0.5 < scores["roc_auc"].high
    assert all(score.low < score.high for name, score in scores.items() if name != "log_loss")
    assert np.isnan(scores["log_loss"].low)


@pytest.mark.parametrize(("label", "left"), [(1, {"recall"}), (0, set())])
def test_one_class_leaves_out_what_it_leaves_undefined(label, left):
    labels = np.full(20, label)
    probabilities = np.tile([0.3, 0.7] if label else [0.7, 0.3], (20, 1))

    scores = scores_of(labels, probabilities, 1, seed=0, resamples=20)

    always = {"accuracy", "balanced_accuracy", "log_loss", "brier", "ece"}
    assert set(scores) == always | left
    ends = {name: (score.low, score.high) for name, score in scores.items()}
    assert np.isnan(ends.pop("log_loss")).all(), "it is the same for every image"
    assert all(low < high for low, high in ends.values())


def test_false_alarms_alone_define_no_precision():
    labels = np.zeros(10, int)
    probabilities = np.tile([0.4, 0.6], (10, 1))
    scores = scores_of(labels, probabilities, 1, seed=0, resamples=10)
    assert scores["accuracy"] == wilson(0, 10, 0.95)
    assert {"precision", "recall", "f1"}.isdisjoint(scores)


def test_a_class_without_images_is_left_out_of_the_means():
    labels, probabilities = simulate(200, 3)
    labels = np.where(labels == 1, 0, labels)

    scores = scores_of(labels, probabilities, 0, seed=0, resamples=10)

    guess = probabilities.argmax(axis=1)
    assert scores["recall"].value == pytest.approx(np.mean([np.mean(guess[labels == k] == k) for k in (0, 2)]))
    assert scores["roc_auc"].value == pytest.approx(
        np.mean([sk.roc_auc_score(labels == k, probabilities[:, k]) for k in (0, 2)])
    )


def test_resamples_that_lack_a_class_are_skipped():
    labels = np.array([1, 0, 0, 0])
    probabilities = np.array([[0.4, 0.6], [0.3, 0.7], [0.8, 0.2], [0.9, 0.1]])
    scores = scores_of(labels, probabilities, 1, seed=0, resamples=200)
    assert scores["roc_auc"].value == pytest.approx(2 / 3)
    assert (scores["roc_auc"].low, scores["roc_auc"].high) == (0, 1)


def test_a_single_image_is_judged():
    scores = scores_of(np.array([1]), np.array([[0.2, 0.8]]), 1, seed=0, resamples=10)
    assert scores["accuracy"] == wilson(1, 1, 0.95)
    assert scores["log_loss"].value == pytest.approx(-np.log(0.8))


def test_the_seed_decides():
    labels, probabilities = simulate(100, 2)
    run = [scores_of(labels, probabilities, 1, s, resamples=50) for s in (0, 0, 1)]
    assert run[0] == run[1]
    assert run[0]["log_loss"].low != run[2]["log_loss"].low
    assert run[0]["log_loss"].value == run[2]["log_loss"].value


def test_ece_of_a_calibrated_network_is_not_told_from_none():
    rng = np.random.default_rng(0)
    positive = rng.uniform(size=2000)
    labels = (rng.uniform(size=2000) < positive).astype(int)
    probabilities = np.stack([1 - positive, positive], axis=1)

    ece = scores_of(labels, probabilities, 1, seed=0, resamples=200)["ece"]

    assert ece.low == 0 < ece.value < ece.high < 0.06


def test_ece_interval_holds_the_estimate_below_the_percentiles():
    shifts = np.linspace(0, 0.2, 201)
    interval = ece_interval(Interval(0.3, 0.31, 0.35), shifts, 0.9, images=1000)
    assert (interval.low, interval.high) == pytest.approx((0.3 - 0.19, 0.35))
    unseen = 1 - 0.05 ** (1 / 1000)
    assert ece_interval(Interval(0.3, 0.1, 0.2), shifts, 0.9, images=1000).high == pytest.approx(0.3 + unseen)
    assert ece_interval(Interval(0.3, 0.3, 0.3), 0 * shifts, 0.9, images=1000).low == pytest.approx(0.3 - unseen)


def test_ece_bins_hold_their_upper_end():
    assert calibration_bins(np.array([1e-9, 1 / 15, 1 / 15 + 1e-9, 1.0])).tolist() == [0, 0, 1, 14]


def test_memory_does_not_grow_with_the_resamples():
    labels, probabilities = simulate(20_000, 2)
    peaks = []
    for resamples in (30, 120):
        tracemalloc.start()
        scores_of(labels, probabilities, 1, seed=0, resamples=resamples)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0] < 60e6


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([0, 1, 1], [[np.nan, 1], [0.5, 0.5], [np.nan, np.nan]], "2 of 3 images are NaN"),
        ([0, 1], [[0.5, 0.6], [0.5, 0.5]], "those of 1 of 2"),
        ([0, 1], [[-0.5, 1.5], [0.5, 0.5]], "those of 1 of 2"),
        ([0, 2], [[0.5, 0.5], [0.5, 0.5]], r"\[0, 2\).*0 to 2"),
        ([0, -1], [[0.5, 0.5], [0.5, 0.5]], r"\[0, 2\).*-1 to 0"),
        ([0, 1, 1], [[0.5, 0.5], [0.5, 0.5]], r"\(3,\), probabilities of \(2, 2\)"),
        ([0, 0], [[1.0], [1.0]], "two classes"),
    ],
)
def test_wrong_arrays_are_refused(labels, probabilities, message):
    with pytest.raises(ValueError, match=f"{message}|Received.*{message}"):
        scores_of(np.array(labels), np.array(probabilities), 1, seed=0)


def test_no_images_are_refused():
    with pytest.raises(ValueError, match="one image"):
        scores_of(np.zeros(0, int), np.zeros((0, 2)), 1, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("sharpness", [1.0, 2.0], ids=["calibrated", "too sure"])
def test_intervals_hold_the_truth_as_often_as_they_say(sharpness):
    def draw(n, seed):
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, 2, n)
        logit = 3 * (rng.normal(size=n) + 3 * (labels - 0.5))
        positive = 1 / (1 + np.exp(-sharpness * logit))
        return labels, np.stack([1 - positive, positive], axis=1)

    labels, probabilities = draw(1_000_000, 0)
    truth = reference(labels, probabilities, 1)
    held = dict.fromkeys(NAMES, 0)
    for trial in range(200):
        scores = scores_of(*draw(500, trial + 1), 1, seed=trial, resamples=200)
        for name, score in scores.items():
            held[name] += score.low <= truth[name] <= score.high
        assert scores["ece"].low <= scores["ece"].value <= scores["ece"].high

    assert all(count >= 0.89 * 200 for count in held.values()), held
    wide = {"ece", "brier", *CURVES}
    assert all(held[name] <= 0.995 * 200 for name in NAMES if name not in wide), held


def test_recall_at_a_share_of_false_alarms_is_read_off_the_curve():
    negative, positive = np.linspace(0.01, 0.5, 100), np.array([0.6, 0.6, 0.485, 0.2])
    score = np.concatenate([negative, positive])
    labels = np.repeat([0, 1], [100, 4])
    scores = scores_of(labels, np.stack([1 - score, score], axis=1), 1, seed=0, resamples=10)
    assert scores["recall_at_fpr_5"].value == pytest.approx(0.75)
    assert scores["fpr_at_recall_95"].value == pytest.approx(np.mean(negative > 0.2))


def draw_photos(photos, patches, seed, correlated=True):
    """Patches whose difficulty is that of their photo: labels, probabilities and photos."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(photos), patches)
    labels = rng.integers(0, 2, photos * patches)
    haze = rng.normal(size=photos)[groups] if correlated else rng.normal(size=len(groups))
    logit = 2.5 * haze + 1.5 * rng.normal(size=len(groups)) + 4 * (labels - 0.5)
    positive = 1 / (1 + np.exp(-logit))
    return labels, np.stack([1 - positive, positive], axis=1), groups


@pytest.mark.parametrize("names", [np.arange(6), np.array([f"walls/{n}" for n in range(6)])])
def test_intervals_of_groups_are_those_of_one_group_at_a_time(names):
    labels, probabilities, groups = draw_photos(6, 20, 0)
    drawn = [generator(2, "bootstrap").integers(0, 6, (40, 6))][0]
    rows = [np.concatenate([np.flatnonzero(groups == group) for group in draw]) for draw in drawn]
    samples = [reference(labels[row], probabilities[row], 1) for row in rows]

    scores = scores_of(labels, probabilities, 1, 2, level=0.9, resamples=40, groups=names[groups])

    values = reference(labels, probabilities, 1)
    closed = scores_of(labels, probabilities, 1, 2, level=0.9, resamples=40)
    edges = curve_intervals(labels, probabilities, 1, 0.9)
    edges["brier"] = bounded_mean(values["brier"], 1, len(labels), 0.9)
    for name in NAMES[:-1]:
        error = np.std([sample[name] for sample in samples]) * np.sqrt(6 / 5)
        reach = 2.015048 * error
        value = values[name]
        if name == "log_loss":
            low, high = value * np.exp([-reach / value, reach / value])
        else:
            odds = np.log(value / (1 - value)) + np.array([-1, 1]) * reach / (value * (1 - value))
            low, high = 1 / (1 + np.exp(-odds))
        bound = edges.get(name, closed[name])
        if name != "log_loss":
            low, high = min(low, bound.low), max(high, bound.high)
        assert scores[name].value == pytest.approx(value)
        assert (scores[name].low, scores[name].high) == pytest.approx((low, high)), name


def test_one_group_has_no_interval():
    labels, probabilities = simulate(50, 2)
    scores = scores_of(labels, probabilities, 1, seed=0, groups=np.zeros(50))
    assert list(scores) == NAMES
    assert {name: score.value for name, score in scores.items()} == pytest.approx(reference(labels, probabilities, 1))
    assert all(np.isnan([score.low, score.high]).all() for score in scores.values())


def test_perfect_predictions_of_groups_keep_a_width():
    labels = np.tile([0, 1], 100)
    probabilities = np.eye(2)[labels] * 0.98 + 0.01
    scores = scores_of(labels, probabilities, 1, seed=0, groups=np.arange(200) // 20)
    assert scores["accuracy"] == wilson(200, 200, 0.95)
    assert scores["roc_auc"].low < scores["roc_auc"].value == scores["roc_auc"].high == 1
    assert scores["fpr_at_recall_95"].low == scores["fpr_at_recall_95"].value == 0 < scores["fpr_at_recall_95"].high
    assert scores["ece"].value == pytest.approx(0.01)


def test_the_mean_of_perfect_judgements_is_as_sure_as_one_of_them():
    labels = np.tile([0, 1], 20)
    probabilities = np.eye(2)[labels] * 0.98 + 0.01
    one = Resampled(Predictions(labels, probabilities, 1), Bootstrap(0, resamples=50))
    mean, alone = mean_scores([one, one, one]), one.intervals()
    for name in ("accuracy", "recall", "roc_auc", "average_precision", "recall_at_fpr_5", "fpr_at_recall_95"):
        ends = (alone[name].low, alone[name].high)
        assert ends[0] < ends[1]
        assert (mean[name].low, mean[name].high) == pytest.approx(ends), name


@pytest.mark.parametrize("auc", [0.95, 0.99, 0.9999])
@pytest.mark.parametrize("images", [13, 40])
def test_intervals_hold_near_perfection_also_for_few_images(images, auc):
    distance = np.sqrt(2) * norm.ppf(auc)
    truth = {
        "roc_auc": auc,
        "recall_at_fpr_5": norm.cdf(distance + norm.ppf(0.05)),
        "fpr_at_recall_95": norm.cdf(norm.ppf(0.95) - distance),
        "accuracy": norm.cdf(distance / 2),
    }
    held, trials = dict.fromkeys(truth, 0), 120
    for trial in range(trials):
        rng = np.random.default_rng(trial)
        labels = rng.permutation(np.arange(images) % 2)
        positive = 1 / (1 + np.exp(-distance * (rng.normal(size=images) + distance * (labels - 0.5))))
        scores = scores_of(labels, np.stack([1 - positive, positive], axis=1), 1, trial, resamples=40)
        for name, value in truth.items():
            held[name] += scores[name].low <= value <= scores[name].high
    assert all(count >= 0.92 * trials for count in held.values()), held


def test_a_group_without_one_of_the_classes_is_no_hindrance():
    labels, probabilities, groups = draw_photos(8, 10, 1)
    labels = np.where(groups < 3, 0, labels)
    scores = scores_of(labels, probabilities, 1, seed=0, groups=groups)
    assert all(score.low <= score.value <= score.high for score in scores.values())


def test_the_mean_over_judgements_reckons_with_what_they_share():
    labels, probabilities = simulate(200, 2)
    hard = probabilities**0.5 / (probabilities**0.5).sum(axis=1, keepdims=True)
    parts = [Resampled(Predictions(labels, given, 1), Bootstrap(0, resamples=300)) for given in (probabilities, hard)]
    mean = mean_scores(parts)
    assert mean["log_loss"].value == pytest.approx(np.mean([sk.log_loss(labels, p) for p in (probabilities, hard)]))
    width = mean["roc_auc"].high - mean["roc_auc"].low
    alone = scores_of(labels, probabilities, 1, 0, resamples=300)["roc_auc"]
    assert width == pytest.approx(alone.high - alone.low)


@pytest.mark.slow
@pytest.mark.parametrize(("photos", "least"), [(7, 0.78), (20, 0.88)])
def test_intervals_of_groups_hold_the_truth_as_often_as_they_say_where_those_of_patches_do_not(photos, least):
    labels, probabilities, _ = draw_photos(20_000, 40, 0)
    truth = reference(labels, probabilities, 1)
    held, naive = dict.fromkeys(NAMES, 0), dict.fromkeys(NAMES, 0)
    trials = 150
    for trial in range(trials):
        labels, probabilities, groups = draw_photos(photos, 40, trial + 1)
        for count, known in ((held, groups), (naive, None)):
            scores = scores_of(labels, probabilities, 1, trial, resamples=200, groups=known)
            for name, score in scores.items():
                count[name] += score.low <= truth[name] <= score.high

    assert all(count >= least * trials for count in held.values()), held
    assert all(naive[name] < 0.76 * trials for name in NAMES if name not in ("ece", *CURVES[1:])), dict(naive)
