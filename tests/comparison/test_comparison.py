"""Verdicts against exact tests, closed forms and linear algebra by hand; what a reader is told in every case."""

import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest, studentized_range
from sklearn.metrics import brier_score_loss, log_loss

from crackexp.comparison.comparison import compare
from crackexp.comparison.design import read_design
from crackexp.comparison.differences import all_pairs, holm, resampled_deviations
from crackexp.comparison.effects import level_means, marginal_weights
from crackexp.comparison.items import read_predictions
from crackexp.comparison.noise import noise_draws, training_noise
from crackexp.comparison.sentences import answer, notes
from crackexp.comparison.verdicts import judge
from crackexp.data.index import ImageIndex
from crackexp.evaluation.tables import predictions_table
from crackexp.metrics import STANDARD
from crackexp.metrics.intervals import wilson
from crackexp.metrics.metric import comparable
from crackexp.utils.errors import ConfigError, DataError
from tests.comparison.trials import drawn_trials, errors, grid, trial


def told(found):
    """The answer, in one line."""
    return " ".join(answer(found))


@pytest.mark.parametrize(("only_first", "only_second"), [(0, 5), (0, 6), (2, 12), (3, 12), (1, 1), (4, 20), (30, 31)])
def test_two_trials_are_judged_by_the_exact_mcnemar_test(only_first, only_second):
    first = errors(400, 3 + only_first)
    second = errors(400, 3) | errors(400, only_second, 200)
    expected = binomtest(only_first, only_first + only_second).pvalue

    found = compare([trial(first, {"dropout": 0.1}), trial(second, {"dropout": 0.3})])

    row = found.table.iloc[1]
    assert found.best == "dropout=0.1"
    assert row["p"] == pytest.approx(min(expected, 1))
    assert row["verdict"] == ("worse" if expected < 0.05 else "tied")
    assert (row["difference_high"] < 0) == (expected < 0.05)
    assert row["difference"] == pytest.approx((only_first - only_second) / 400)
    assert found.table["errors"].tolist() == [3 + only_first, 3 + only_second]


def test_scores_have_wilsons_interval_where_nothing_is_known_of_training():
    found = compare([trial(errors(200, 4), {"dropout": 0.1}), trial(errors(200, 9), {"dropout": 0.3})])
    expected = wilson(196, 200, 0.95)
    assert found.table.loc[0, ["score", "low", "high"]].tolist() == pytest.approx(
        [expected.value, expected.low, expected.high]
    )


@pytest.mark.parametrize("metric", ["log_loss", "brier"])
def test_losses_are_those_of_scikit_learn_on_the_common_images(metric):
    tables = drawn_trials(grid(dropout=[0.1, 0.3]), 0.1, n=120)
    tables[1] = replace(tables[1], predictions=tables[1].predictions.iloc[:90])
    found = compare(tables, STANDARD[metric])
    by_name = found.table.set_index("configuration")
    for one, count in ((tables[0], 120), (tables[1], 90)):
        for rows, column in ((90, "score"), (count, "own_score")):
            part = one.predictions.iloc[:rows]
            truth = part["label"] == "Positive"
            judge = log_loss if metric == "log_loss" else brier_score_loss
            assert by_name.loc[one.name, column] == pytest.approx(judge(truth, part["probability"]), rel=1e-6)
    assert by_name["score"].is_monotonic_increasing
    assert (by_name["low"] <= by_name["score"]).all()
    assert (by_name["score"] <= by_name["high"]).all()


def test_losses_of_three_classes_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 60)
    files = np.array([f"{k}" for k in range(60)])
    index = ImageIndex(Path(), files, labels, files, ("a", "b", "c"), ("a",))
    trials = []
    for number in range(2):
        probabilities = rng.dirichlet(np.ones(3), 60)
        table = predictions_table(index, probabilities)
        trials.append(replace(trial(errors(4, 0), {"dropout": number}), predictions=table))
        trials[-1].metrics["expected"] = log_loss(labels, probabilities)
    found = compare(trials, STANDARD["log_loss"]).table.set_index("configuration")
    for one in trials:
        assert found.loc[one.name, "score"] == pytest.approx(one.metrics["expected"])


def test_adjusted_p_values_lie_between_single_ones_and_bonferronis():
    rng = np.random.default_rng(1)
    losses = (rng.random((300, 6)) < np.linspace(0.1, 0.25, 6)).astype(float)
    deviations = resampled_deviations(losses, 4000, rng)
    together = all_pairs(losses, deviations, np.zeros((6, 6)), 0.95).p
    for one in range(6):
        for other in range(one + 1, 6):
            pair = [one, other]
            single = all_pairs(losses[:, pair], deviations[:, pair], np.zeros((2, 2)), 0.95).p[0, 1]
            assert single <= together[one, other] <= min(1, 15 * single) + 1e-12


def test_resampled_means_have_the_covariance_of_means():
    rng = np.random.default_rng(2)
    losses = np.column_stack([rng.random(50) < 0.1, rng.random(50) < 0.3, rng.random(50) < 0.3]).astype(float)
    deviations = resampled_deviations(losses, 40_000, rng)
    assert np.abs(deviations.mean(axis=0)).max() < 0.002
    assert np.cov(deviations.T) == pytest.approx(np.cov(losses.T, bias=True) / 50, abs=1e-4)


@pytest.mark.parametrize("repeats", [2, 4])
def test_noise_of_training_alone_gives_tukeys_test(repeats):
    rng = np.random.default_rng(3)
    configurations = grid(dropout=range(6), seed=range(repeats))
    design = read_design([str(row) for row in configurations], configurations)
    means = rng.standard_normal(len(configurations))
    means[:repeats] += 2.5
    losses = np.tile(means, (10, 1))
    noise = training_noise(losses, design, np.zeros(len(configurations), int), means, rng)
    groups = means.reshape(6, repeats)
    pooled = groups.var(axis=1, ddof=1).mean()
    assert (noise.source, noise.dof) == ("repeats", 6 * (repeats - 1))
    assert noise.variance == pytest.approx(pooled)

    share = np.full(6, noise.variance / repeats)
    draws = noise_draws(noise, design, 40_000, rng)
    setting_losses = np.tile(groups.mean(axis=1), (10, 1))
    p = all_pairs(setting_losses, draws, share[:, None] + share, 0.95).p
    ranges = np.abs(np.subtract.outer(groups.mean(axis=1), groups.mean(axis=1))) / np.sqrt(pooled / repeats)
    expected = studentized_range.sf(ranges, 6, noise.dof)
    assert p == pytest.approx(expected, abs=0.012)


CROSSED = grid(image_size=[96, 128, 160], dropout=[0.1, 0.3, 0.5, 0.7])


def crossed_noise(means):
    design = read_design([str(row) for row in CROSSED], CROSSED)
    return training_noise(np.tile(means, (5, 1)), design, np.zeros(12, int), means, np.random.default_rng(0))


def test_noise_of_a_crossed_design_is_the_residual_mean_square():
    means = np.random.default_rng(4).standard_normal(12)
    table = means.reshape(3, 4)
    left = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + table.mean()
    noise = crossed_noise(means)
    assert (noise.source, noise.dof, noise.failed) == ("design", 6, None)
    assert noise.observed == pytest.approx(np.sum(left**2) / 6)
    assert noise.items == pytest.approx(0, abs=1e-12)


def test_a_failed_trial_is_left_out_of_the_noise():
    means = np.random.default_rng(4).standard_normal(12)
    means[7] += 300
    levels = [
        [row["image_size"] == k for k in (96, 128, 160)] + [row["dropout"] == k for k in (0.1, 0.3, 0.5, 0.7)]
        for row in CROSSED
    ]
    rest = np.arange(12) != 7
    matrix = np.array(levels, float)[rest]
    fitted = matrix @ np.linalg.lstsq(matrix, means[rest])[0]
    noise = crossed_noise(means)
    assert noise.failed == 7
    assert noise.observed == pytest.approx(np.sum((means[rest] - fitted) ** 2) / 5)


def test_noise_is_not_biased():
    rng = np.random.default_rng(14)
    configurations = grid(a=[1, 2, 3], b=[1, 2, 3], c=[1, 2])
    design = read_design([str(row) for row in configurations], configurations)
    found = []
    for _ in range(150):
        means = np.array([row["a"] - 2 * row["b"] for row in configurations]) + 3 * rng.standard_normal(18)
        found.append(training_noise(np.tile(means, (5, 1)), design, np.zeros(18, int), means, rng).variance)
    assert np.mean(found) == pytest.approx(9, rel=0.15)


def test_one_failed_training_does_not_hide_the_rest():
    chances = {number: 0.12 if row["image_size"] == 96 else 0.02 for number, row in enumerate(CROSSED)} | {6: 0.5}
    found = compare(drawn_trials(CROSSED, chances, n=1000))
    assert found.table["configuration"].iloc[-1] == "image_size=128, dropout=0.5"
    assert found.table["verdict"].iloc[-1] == "worse"
    assert any(note.startswith("image_size=128, dropout=0.5 scores unlike") for note in notes(found))


def test_trainings_that_stray_far_are_told():
    configurations = grid(image_size=[96, 128, 160], dropout=[0.1, 0.3, 0.5])
    chances = {number: [0.02, 0.3, 0.1, 0.25, 0.01, 0.2, 0.15, 0.3, 0.05][number] for number in range(9)}
    assert any("Repeats (seed=0,1,2)" in note for note in notes(compare(drawn_trials(configurations, chances, n=2000))))
    assert not any("Repeats" in note for note in notes(compare(drawn_trials(configurations, 0.1))))


def test_what_the_items_explain_is_taken_off_the_noise():
    rng = np.random.default_rng(5)
    configurations = grid(dropout=range(5), seed=range(3))
    design = read_design([str(row) for row in configurations], configurations)
    found = []
    for _ in range(300):
        losses = (rng.random((200, 15)) < 0.2).astype(float)
        noise = training_noise(losses, design, np.zeros(15, int), losses.mean(axis=0), rng)
        found.append((noise.observed, noise.items))
    observed, items = np.mean(found, axis=0)
    assert observed == pytest.approx(0.2 * 0.8 / 200, rel=0.05)
    assert items == pytest.approx(0.2 * 0.8 / 200, rel=0.02)


@pytest.mark.parametrize("missing", [[], [0], [3, 8]])
def test_level_means_are_the_least_squares_ones(missing):
    configurations = [row for number, row in enumerate(grid(a=["x", "y", "z"], b=[1, 2, 3])) if number not in missing]
    design = read_design([str(row) for row in configurations], configurations)
    scores = np.random.default_rng(6).standard_normal(len(configurations))
    one_hot = np.array(
        [[1, *(row["a"] == k for k in "xyz"), *(row["b"] == k for k in (1, 2, 3))] for row in configurations]
    )
    solution = np.linalg.lstsq(one_hot.astype(float), scores)[0]
    expected = solution[0] + solution[1:4] + solution[4:].mean()
    assert marginal_weights(design, "a") @ scores == pytest.approx(expected)
    if not missing:
        assert expected == pytest.approx(scores.reshape(3, 3).mean(axis=1))


def test_factors_that_change_together_are_not_told_apart():
    configurations = [{"backbone": name, "lr": lr, "dropout": d} for name, lr in (("a", 1), ("b", 2)) for d in (0, 0.5)]
    design = read_design([str(row) for row in configurations], configurations)
    assert marginal_weights(design, "backbone") is None
    assert marginal_weights(design, "dropout") is not None
    found = compare(drawn_trials(configurations, 0.05))
    assert [effect.name for effect in found.effects] == ["dropout"]
    assert any("backbone and lr" in note for note in notes(found))


def test_holm_adjusts_step_by_step():
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([]) == []


def test_a_factor_that_matters_is_found_and_the_others_are_not():
    configurations = grid(
        split__ratio=[[0.7, 0.2, 0.1], [0.8, 0.1, 0.1]], image_size=[96, 160], dropout=[0.1, 0.3, 0.5]
    )
    chances = {number: 0.16 if row["image_size"] == 96 else 0.02 for number, row in enumerate(configurations)}
    found = compare(drawn_trials(configurations, chances, n=600))
    assert [effect.name for effect in found.effects if effect.matters] == ["image_size"]
    levels = found.effects[0].levels
    assert levels["level"].tolist() == [96, 160]
    assert levels["verdict"].tolist() == ["worse", "best"]
    assert levels["score"].tolist() == pytest.approx(
        [found.table["score"][found.table["image_size"] == size].mean() for size in (96, 160)]
    )
    assert "image_size matters: accuracy" in told(found)
    assert "ratio and dropout make no difference" in told(found) or "dropout and ratio make no" in told(found)
    assert set(found.table["configuration"][found.table["verdict"] == "worse"]) <= {
        name for name in found.table["configuration"] if "image_size=96" in name
    }
    assert found.noise.source == "design"


@pytest.mark.parametrize(
    "configurations",
    [
        grid(label=range(9), seed=range(3)),
        pytest.param(grid(a=range(3), b=range(3), c=range(3)), marks=pytest.mark.slow),
    ],
)
def test_trials_that_differ_in_nothing_get_no_loser(configurations):
    design = read_design([str(row) for row in configurations], configurations)
    mixing = np.eye(len(design.names))[design.member] / design.repeats
    rng = np.random.default_rng(8)
    claims = {"winner": 0, "worse": 0, "factor": 0}
    for _ in range(200):
        chances = rng.beta(0.05, 1, (400, 1)) * np.exp(0.4 * rng.standard_normal(len(configurations)))
        losses = (rng.random(chances.shape) < chances).astype(float)
        noise = training_noise(losses, design, np.zeros(len(configurations), int), losses.mean(axis=0), rng)
        verdicts = judge(losses @ mixing, design, noise, np.zeros(len(design.names)), 0.95, 400, rng, grain=1.0)
        factors = level_means(losses @ mixing, design, verdicts, 0.95, grain=1.0)
        claims["winner"] += verdicts.worse.sum() == len(design.names) - 1
        claims["worse"] += verdicts.worse.any()
        claims["factor"] += min(means.p for means in factors.values()) < 0.05
    assert max(claims.values()) <= 0.07 * 200


def test_a_real_difference_among_many_is_found():
    chances = {number: 0.15 if number == 4 else 0.02 for number in range(9)}
    found = compare(drawn_trials(grid(label=list("abcdefghi")), chances))
    assert found.table.set_index("configuration").loc["label=e", "verdict"] == "worse"
    assert len(found.tied) == 7
    assert "7 of the other 8 are statistically tied with it; 1 is worse as trained: label=e." in told(found)


def test_repeats_are_no_factor_and_their_spread_counts():
    few = [trial(errors(400, count), {"dropout": 0.1, "seed": seed}) for seed, count in enumerate((2, 30, 16))]
    many = [trial(errors(400, count), {"dropout": 0.5, "seed": seed}) for seed, count in enumerate((25, 50, 33))]
    found = compare([*few, *many])
    assert found.factors == {"dropout": "dropout"}
    assert found.table["runs"].tolist() == [3, 3]
    assert found.table["errors"].tolist() == pytest.approx([16, 36])
    assert found.tied == ["dropout=0.5"]
    assert found.best_run == few[0].run_id
    assert compare([*many, *few[1:]], comparable(STANDARD, "log_loss", "metric")).best_run == few[2].run_id
    alone = compare(
        [replace(one[2], configuration={"dropout": one[2].configuration["dropout"]}) for one in (few, many)]
    )
    assert alone.tied == []
    assert "holds for these trained models only" in told(alone)
    assert "trained 3 times" in told(found)


def test_only_images_that_all_share_count():
    small, large = errors(100, 2), errors(300, 1) | errors(300, 60, 200)
    found = compare([trial(small, {"split.ratio": [0.8, 0.1, 0.1]}), trial(large, {"split.ratio": [0.5, 0.2, 0.3]})])
    assert found.items == 100
    assert found.best == "ratio=0.5/0.2/0.3"
    assert found.table["errors"].tolist() == [1, 2]
    assert found.table["own_score"].tolist() == pytest.approx([1 - 61 / 300, 0.98])
    assert any("100 to 300 images" in note for note in notes(found))


def test_copies_of_an_image_are_one_draw_of_the_bootstrap():
    wrong = errors(40, 6)
    digests = [f"d{number // 4}" for number in range(40)]
    labels_alike = [f"{digest}-{number % 2}" for number, digest in enumerate(digests)]
    trials = [
        trial(wrong, {"dropout": 0.1}, digests=labels_alike),
        trial(~wrong, {"dropout": 0.3}, digests=labels_alike),
    ]
    found = compare(trials, resamples=500)
    assert found.items == 40
    assert found.table["errors"].tolist() == pytest.approx([6, 34])
    assert found.table["score"].tolist() == pytest.approx([0.85, 0.15])


def test_draws_of_the_split_are_compared_within_themselves():
    trials = []
    for draw in range(3):
        digests = [f"draw{draw}-{number}" for number in range(150)]
        for dropout, count in ((0.1, 3), (0.5, 40)):
            configurations = {"dropout": dropout, "split.seed": draw}
            trials.append(trial(errors(150, count + draw), configurations, digests=digests))
    found = compare(trials)
    assert found.items == 450
    assert found.table["errors"].tolist() == pytest.approx([3 + 4 + 5, 40 + 41 + 42])
    assert found.table["verdict"].tolist() == ["best", "worse"]

    partly = compare(trials[:-1])
    assert partly.items == 300
    assert any("Left out" in note and "seed=2" in note for note in notes(partly))

    with pytest.raises(DataError, match=r"same values of split\.seed"):
        compare([trials[0], trials[3]])


def test_runs_without_a_common_image_are_refused_by_name_and_size():
    apart = [trial(errors(30, 1), name="one"), trial(errors(40, 1), name="two", digests=[f"x{k}" for k in range(40)])]
    with pytest.raises(DataError, match=r"cannot be ranked.*Received: one: 30 images; two: 40 images"):
        compare(apart)


def test_runs_that_contradict_each_other_are_refused():
    one = trial(errors(30, 1), name="one")
    renamed = trial(errors(30, 1), name="two", names=["intact", "crack"])
    with pytest.raises(DataError, match=r"class of 30 images.*d00000 is Negative in one, intact in two"):
        compare([one, renamed])
    relabelled = replace(one, name="two", predictions=one.predictions.assign(label=one.predictions["label"].to_numpy()))
    relabelled.predictions.loc[4, "label"] = "Positive"
    with pytest.raises(DataError, match="class of 1 image that"):
        compare([one, relabelled])
    several = replace(one, name="two", predictions=one.predictions.assign(probability_a=0.1))
    with pytest.raises(DataError, match="different classes apart"):
        compare([one, several])


def test_wrong_arguments_are_refused():
    with pytest.raises(ConfigError, match=r"accuracy, log_loss, brier.*Received: sweep\.metric=f1"):
        comparable(STANDARD, "f1", "sweep.metric")
    with pytest.raises(DataError, match="Received: 0 runs"):
        compare([])
    with pytest.raises(DataError, match="no column digest"):
        compare([replace(trial(errors(9, 1)), predictions=pd.DataFrame({"label": ["a"]}))])


def test_one_run_is_told_without_a_rank():
    found = compare([trial(errors(200, 3), {"dropout": 0.3})])
    assert told(found).startswith("One run, dropout=0.3: 3 errors, accuracy 0.9850 (")
    assert (found.tied, found.effects) == ([], [])


def test_repeats_of_one_setting_are_told_as_such():
    found = compare([trial(errors(200, count), {"seed": seed}) for seed, count in enumerate((1, 3, 2, 4))])
    assert told(found).startswith("One configuration, trained 4 times with other seeds: 2.5 errors")
    assert "from 0.9800 to 0.9950" in told(found)


@pytest.mark.parametrize(
    ("count", "start"), [(0, "None of the 3 configurations errs"), (5, "All 3 configurations err equally")]
)
def test_equal_predictions_have_no_winner(count, start):
    found = compare([trial(errors(200, count), {"dropout": level}) for level in (0.1, 0.3, 0.5)])
    assert told(found).startswith(start)
    assert "cannot tell them apart" in told(found)
    assert len(found.tied) == 2
    assert (found.table["p"] == 1).all()
    assert (found.table["difference_high"].iloc[1:] > 0).all()


def test_of_the_fewest_errors_the_quickest_run_is_named():
    times = {0.1: 90.0, 0.3: 30.0, 0.5: 60.0}
    found = compare([trial(errors(200, 9 * (d == 0.5), 50), {"dropout": d}, seconds=s) for d, s in times.items()])
    assert found.best == "dropout=0.3"
    assert "2 err least" in told(found)
    assert "of these dropout=0.3 ran quickest" in told(found)


def test_small_tests_say_that_they_cannot_tell():
    found = compare([trial(errors(60, 1), {"dropout": 0.1}), trial(errors(60, 3), {"dropout": 0.3})])
    text = " ".join(notes(found))
    assert "60 common test images are few" in text
    assert "6 images or more" in text


def test_the_front_holds_what_nothing_beats():
    rows = [(10, 9, 50), (20, 5, 50), (30, 7, 10), (40, 5, 90), (float("nan"), 1, 100)]
    trials = [
        trial(errors(100, count), {"k": k}, seconds=s, parameters=size) for k, (s, count, size) in enumerate(rows)
    ]
    found = compare(trials)
    assert found.pareto == {"seconds": ["k=0", "k=1"], "parameters": ["k=2", "k=1", "k=4"]}


def test_levels_stand_in_order():
    design = read_design(["a", "b", "c"], [{"lr": 1e-2, "net": "b"}, {"lr": 1e-4, "net": "a"}, {"net": "a"}])
    assert design.names == ["lr=0.01, net=b", "lr=0.0001, net=a", "lr=not set, net=a"]
    found = compare(drawn_trials(grid(image_size=[160, 96], backbone=["resnet", "cnn"]), 0.1))
    levels = {effect.name: effect.levels["level"].tolist() for effect in found.effects}
    assert levels == {"image_size": [96, 160], "backbone": ["resnet", "cnn"]}


def test_keys_with_one_last_part_keep_their_first():
    configurations = [{"optimizer.name": "adam", "backbone.name": "a"}, {"optimizer.name": "sgd", "backbone.name": "b"}]
    assert read_design(["x", "y"], configurations).names[0] == "optimizer.name=adam, backbone.name=a"


def test_runs_that_no_setting_tells_apart_stand_by_their_names():
    found = compare([trial(errors(90, 2), name="calm_bear"), trial(errors(90, 4), name="red_fox")])
    assert found.table["configuration"].tolist() == ["calm_bear", "red_fox"]
    twice = compare([trial(errors(90, 2), {"seed": 0}, name="same"), trial(errors(90, 4), {"seed": 0}, name="same")])
    assert twice.table["configuration"].tolist() == ["same (1)", "same (2)"]


def test_predictions_come_back_from_their_file():
    table = trial(errors(6, 2), names=["001", "NA"], digests=[str(10**31 + k) for k in range(6)]).predictions
    back = read_predictions(io.StringIO(table.to_csv(index=False)))
    pd.testing.assert_frame_equal(back, table, check_dtype=False)


def test_a_comparison_is_the_same_twice():
    trials = drawn_trials(grid(image_size=[96, 160], dropout=[0.1, 0.3]), 0.05)
    one, two = compare(trials), compare(trials)
    pd.testing.assert_frame_equal(one.table, two.table)
    assert told(one) == told(two)
    assert not re.search(r"nan|None", told(one))
