"""Intervals against closed forms, and resamples against the multinomial distribution."""

import numpy as np
import pytest
from scipy.stats import binom, binomtest, norm, t

from crackexp.metrics import intervals
from crackexp.metrics.intervals import (
    Interval,
    correlation_of,
    grouped_interval,
    mean_of,
    percentile_interval,
    resampled_counts,
    unseen,
    wilson,
    without_point,
)


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (6, 10), (390, 400), (400, 400)])
def test_wilson_solves_its_equation(successes, trials):
    z = norm.ppf(0.975)
    share = successes / trials
    middle = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * np.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))

    interval = wilson(successes, trials, 0.95)

    assert interval.value == share
    assert interval.low == pytest.approx(middle - half, abs=1e-12)
    assert interval.high == pytest.approx(middle + half, abs=1e-12)
    assert interval.low < interval.high
    by_scipy = binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    assert (interval.low, interval.high) == pytest.approx((by_scipy.low, by_scipy.high), abs=1e-12)


@pytest.mark.parametrize("trials", [13, 40, 400])
def test_wilson_holds_shares_near_1_as_often_as_it_says(trials):
    found = [wilson(k, trials, 0.95) for k in range(trials + 1)]
    low, high = np.array([(one.low, one.high) for one in found]).T
    shares = 1 - np.geomspace(1e-5, 0.5, 400)
    probability = binom.pmf(np.arange(trials + 1), trials, shares[:, None])
    held = np.sum(probability * ((low <= shares[:, None]) & (shares[:, None] <= high)), axis=1)
    assert held.min() > 0.9
    assert held.mean() > 0.95


@pytest.mark.parametrize("trials", [1, 13, 400])
def test_what_was_never_met_may_be_as_much_as_the_exact_interval_says(trials):
    exact = binomtest(0, trials).proportion_ci(0.95, method="exact")
    assert unseen(trials, 0.95) == pytest.approx(exact.high)


def test_the_mean_of_estimates_that_go_together_is_as_unsure_as_they_are():
    parts = [Interval(0.9, 0.8, 0.95), Interval(0.7, 0.5, 0.8)]
    mean = mean_of(parts, np.ones((2, 2)))
    assert (mean.value, mean.low, mean.high) == pytest.approx((0.8, 0.65, 0.875))
    opposed = mean_of(parts, np.array([[1.0, -1.0], [-1.0, 1.0]]))
    assert opposed.low == pytest.approx(0.75)


def test_correlation_is_that_of_the_resamples_and_1_where_they_say_nothing():
    samples = np.random.default_rng(0).normal(size=(3, 200))
    samples[2, 5] = np.nan
    kept = np.delete(samples, 5, axis=1)
    assert correlation_of(samples) == pytest.approx(np.corrcoef(kept))
    samples[1] = 1.0
    assert correlation_of(samples)[1].tolist() == [1, 1, 1]
    assert correlation_of(np.empty((2, 0))).tolist() == [[1, 1], [1, 1]]


def test_an_interval_of_no_width_is_none():
    assert without_point(Interval(1.0, 0.9, 1.0)) == Interval(1.0, 0.9, 1.0)
    found = without_point(Interval(1.0, 1.0, 1.0))
    assert found.value == 1
    assert np.isnan([found.low, found.high]).all()


def test_mean_of_one_part_is_that_part():
    part = wilson(9, 10, 0.9)
    mean = mean_of([part])
    assert (mean.value, mean.low, mean.high) == pytest.approx((part.value, part.low, part.high))


def test_mean_of_takes_each_side_by_itself():
    mean = mean_of([Interval(1.0, 0.7, 1.0), Interval(0.5, 0.1, 0.9)])
    assert (mean.value, mean.low, mean.high) == pytest.approx((0.75, 0.5, 0.95))


def test_counts_are_those_of_draws_with_replacement():
    counts = np.concatenate(list(resampled_counts(50, 4000, np.random.default_rng(0))))

    assert counts.shape == (4000, 50)
    assert np.all(counts.sum(axis=1) == 50)
    assert counts.mean(axis=0) == pytest.approx(np.ones(50), abs=0.08)
    assert counts.var() == pytest.approx(1 - 1 / 50, abs=0.02)
    assert np.mean(counts == 0) == pytest.approx((1 - 1 / 50) ** 50, abs=0.005)


def test_resamples_do_not_depend_on_the_chunks(monkeypatch):
    whole = np.concatenate(list(resampled_counts(30, 20, np.random.default_rng(5))))
    monkeypatch.setattr(intervals, "CHUNK", 100)
    chunks = list(resampled_counts(30, 20, np.random.default_rng(5)))

    assert [len(chunk) for chunk in chunks] == [3, 3, 3, 3, 3, 3, 2]
    assert np.array_equal(np.concatenate(chunks), whole)


def test_more_items_than_a_chunk_come_one_resample_at_a_time(monkeypatch):
    monkeypatch.setattr(intervals, "CHUNK", 10)
    shapes = [chunk.shape for chunk in resampled_counts(11, 2, np.random.default_rng(0))]
    assert shapes == [(1, 11), (1, 11)]


def test_percentiles_leave_undefined_resamples_out():
    samples = np.array([np.nan, *np.linspace(0, 1, 101), np.nan])
    interval = percentile_interval(0.5, samples, 0.9)
    assert (interval.value, interval.low, interval.high) == pytest.approx((0.5, 0.05, 0.95))


def test_no_defined_resample_gives_no_bounds():
    interval = percentile_interval(0.5, np.array([np.nan, np.nan]), 0.9)
    assert interval.value == 0.5
    assert np.isnan([interval.low, interval.high]).all()


def test_counts_of_groups_are_one_for_all_of_a_group():
    groups = np.array([2, 0, 0, 1, 2, 2])
    counts = np.concatenate(list(resampled_counts(6, 500, np.random.default_rng(0), groups)))
    assert counts.shape == (500, 6)
    for members in ([1, 2], [0, 4, 5]):
        assert np.all(counts[:, members] == counts[:, members[:1]])
    assert np.all(counts[:, [0, 1, 3]].sum(axis=1) == 3)


def test_an_interval_of_groups_is_students_on_the_scale_of_log_odds():
    samples = np.random.default_rng(0).normal(0.9, 0.01, 1000)
    found = grouped_interval(0.9, np.append(samples, np.nan), 5, 0.9)
    reach = t.ppf(0.95, 4) * samples.std() * np.sqrt(5 / 4) / 0.09
    assert np.log(found.high / (1 - found.high)) == pytest.approx(np.log(9) + reach)
    assert np.log(found.low / (1 - found.low)) == pytest.approx(np.log(9) - reach)
    assert grouped_interval(2.0, 2 + samples, 5, 0.9, bounded=False).high > 2
    assert grouped_interval(1.0, np.linspace(0.9, 1, 101), 5, 0.9) == Interval(1.0, 0.905, pytest.approx(0.995))
    one = grouped_interval(0.9, np.empty(0), 1, 0.9)
    assert np.isnan([one.low, one.high]).all()
