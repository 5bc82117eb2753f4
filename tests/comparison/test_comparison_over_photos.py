"""Comparisons where it is known which photo each image was cut from, against the t test and the runs' own intervals."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import ttest_rel

from crackexp.comparison.comparison import Trial, compare
from crackexp.comparison.items import run_losses
from crackexp.comparison.report import comparison_report, method
from crackexp.comparison.sentences import answer, notes
from crackexp.metrics import STANDARD
from crackexp.metrics.intervals import wilson
from crackexp.reporting.markdown import markdown
from tests.comparison.trials import errors, trial
from tests.metrics.scoring import scores_of


def told(found):
    """The answer, in one line."""
    return " ".join(answer(found))


def photographed(wrong: np.ndarray, configuration: dict[str, float], sizes: Sequence[int]) -> Trial:
    """Returns a trial whose images were cut from photos, so many from each."""
    one = trial(wrong, configuration)
    photos = np.repeat([f"p{number}" for number in range(len(sizes))], sizes)
    return replace(one, predictions=one.predictions.assign(group=photos))


@pytest.mark.slow
@pytest.mark.parametrize("known", [True, False])
def test_trials_that_differ_by_the_photo_alone_get_no_loser_where_photos_are_known(known):
    rng = np.random.default_rng(3)
    claims = 0
    for _ in range(100):
        sizes = rng.integers(60, 180, 8)
        trials = []
        for dropout in (0.1, 0.3):
            chances = np.repeat(0.15 * np.exp(0.6 * rng.standard_normal(8)), sizes)
            one = photographed(rng.random(len(chances)) < chances, {"dropout": dropout}, sizes)
            trials.append(one if known else replace(one, predictions=one.predictions.drop(columns="group")))
        claims += (compare(trials, resamples=400).table["verdict"] == "worse").any()
    assert claims <= 10 if known else claims > 30


def test_over_photos_two_settings_are_judged_as_by_the_paired_t_test():
    rng = np.random.default_rng(5)
    sizes = [50] * 12
    trials = [photographed(rng.random(600) < chance, {"dropout": chance}, sizes) for chance in (0.1, 0.13)]
    found = compare(trials, STANDARD["log_loss"], resamples=40_000)
    per_photo = [
        run_losses("one", one.predictions, STANDARD["log_loss"]).reshape(12, 50).mean(axis=1) for one in trials
    ]
    expected = ttest_rel(*per_photo)
    interval = expected.confidence_interval(0.95)
    row = found.table.set_index("configuration").loc[trials[1].name]
    assert row["p"] == pytest.approx(expected.pvalue, abs=0.02)
    assert [row["difference_low"], row["difference_high"]] == pytest.approx([-interval.high, -interval.low], abs=0.01)
    assert found.groups == 12
    assert any("12 photos" in note for note in notes(found))
    how = " ".join(method(found))
    assert "photo by photo" in how
    assert "image by image" not in how


@pytest.mark.parametrize("metric", ["accuracy", "log_loss"])
def test_a_score_over_photos_has_the_interval_of_its_own_run(metric):
    rng = np.random.default_rng(9)
    sizes = rng.integers(30, 120, 9)
    chances = np.repeat(rng.uniform(0.02, 0.3, 9), sizes)
    one = photographed(rng.random(len(chances)) < chances, {"dropout": 0.1}, sizes)
    found = compare([one], STANDARD[metric], resamples=20_000).table.loc[0, ["score", "low", "high"]]
    crack = one.predictions["probability"].to_numpy()
    labels = (one.predictions["label"] == "Positive").to_numpy().astype(int)
    groups = one.predictions["group"].to_numpy()
    own = scores_of(labels, np.stack([1 - crack, crack], 1), 1, resamples=4000, groups=groups)[metric]
    assert found.tolist() == pytest.approx([own.value, own.low, own.high], abs=0.03 * (own.high - own.low))


def test_without_errors_photos_keep_the_width_of_their_images():
    found = compare([photographed(errors(300, 0), {"dropout": 0.1}, [60] * 5)])
    expected = wilson(300, 300, 0.95)
    assert found.table.loc[0, ["low", "high"]].tolist() == pytest.approx([expected.low, expected.high])


def test_photos_of_different_size_weigh_by_their_images():
    sizes = [10, 30, 60, 100, 20, 80]
    wrong = np.random.default_rng(6).random(300) < 0.2
    found = compare([photographed(wrong, {"dropout": 0.1}, sizes), photographed(~wrong, {"dropout": 0.3}, sizes)])
    assert found.table["score"].tolist() == pytest.approx([1 - wrong.mean(), wrong.mean()])
    assert found.table["errors"].tolist() == pytest.approx([wrong.sum(), 300 - wrong.sum()])
    assert found.table["verdict"].tolist() == ["best", "worse"]


def test_one_photo_shows_no_difference_and_few_photos_none_in_accuracy():
    alone = compare([photographed(errors(90, n), {"dropout": n}, [90]) for n in (1, 60)])
    assert alone.table["verdict"].tolist() == ["best", "tied"]
    assert alone.table[["low", "high"]].isna().all(axis=None)
    assert any("one photo" in note for note in notes(alone))
    assert "(no interval)" in told(alone)
    assert "nan" not in markdown(comparison_report(alone, "x"))
    few = compare([photographed(errors(90, n), {"dropout": n}, [30, 30, 30]) for n in (1, 60)])
    assert few.table["verdict"].tolist() == ["best", "tied"]
    assert any("fewer than 6 photos" in note for note in notes(few))
