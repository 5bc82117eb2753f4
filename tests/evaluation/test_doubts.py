"""Each kind of a model that should not be relied on is told, and a good one is not."""

import numpy as np
import pytest

from crackexp.comparison.comparison import compare
from crackexp.comparison.report import comparison_report
from crackexp.comparison.sentences import answer, notes
from crackexp.data.classes.decisions import Classes, Thresholds
from crackexp.evaluation.calibration import Calibration, fit_temperature
from crackexp.evaluation.doubts import calibration_doubt, chance_doubt, doubts_of, training_doubt
from crackexp.evaluation.policy import Policy
from crackexp.evaluation.site import fit_to_site
from crackexp.metrics import Predictions
from crackexp.reporting.markdown import markdown
from tests.comparison.trials import errors, trial

NAMES = ("Negative", "Positive")
CLASSES = Classes(NAMES, ("Positive",))
KINDS = Classes(("crack", "intact", "spalling"), ("crack", "spalling"))
LABELS = np.arange(60) % 2


def told(found):
    """The answer, in one line."""
    return " ".join(answer(found))


def wrong_for(share: float, labels: np.ndarray = LABELS, seed: int = 0) -> np.ndarray:
    """Predictions that are wrong for about `share` of the images."""
    return np.where(np.random.default_rng(seed).random(len(labels)) < share, 1 - labels, labels)


@pytest.mark.parametrize("predictions", [LABELS, wrong_for(0.1), wrong_for(0.25)])
def test_a_model_that_works_is_not_doubted(predictions):
    assert doubts_of("test", LABELS, predictions, CLASSES, 0.9) == []


def test_a_model_of_a_rare_class_is_not_doubted_for_an_accuracy_below_the_frequent_one():
    labels = (np.arange(1000) < 50).astype(int)
    predictions = labels.copy()
    predictions[:10], predictions[-60:] = 0, 1
    assert np.mean(predictions == labels) < 0.95
    assert doubts_of("test", labels, predictions, CLASSES, 0.9) == []


@pytest.mark.parametrize(("answer", "name"), [(0, "Negative"), (1, "Positive")])
def test_the_same_answer_for_every_image_is_told_once(answer, name):
    (doubt,) = doubts_of("site", LABELS, np.full(60, answer), CLASSES, 0.5)
    assert doubt.startswith("site: all 60 images were predicted to be " + name)
    assert "30 of them are" in doubt


def test_no_crack_found_is_told():
    labels, predictions = np.repeat([0, 1], [50, 8]), np.zeros(58, int)
    predictions[:2] = 1
    doubts = doubts_of("test", labels, predictions, CLASSES, 0.6)
    assert any("none of 8 cracked images was found" in doubt for doubt in doubts)


def test_damage_taken_for_other_damage_is_found():
    labels, predictions = np.repeat([0, 1, 2], 20), np.repeat([2, 1, 0], 20)
    assert not any("was found" in doubt for doubt in doubts_of("test", labels, predictions, KINDS, 0.6))
    predictions[labels != 1] = 1
    predictions[20] = 0
    assert any("none of 40 damaged images" in doubt for doubt in doubts_of("test", labels, predictions, KINDS, 0.6))


@pytest.mark.parametrize("share", [0.5, 0.75])
def test_predictions_no_better_than_guesses_are_told(share):
    doubt = chance_doubt(LABELS, wrong_for(share), NAMES)
    assert "better than chance" in doubt
    assert ("no better" in doubt) == (share == 0.75)
    assert "50.0%" in doubt


def test_guesses_among_three_classes_are_told_by_a_third():
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3
    assert chance_doubt(labels, rng.integers(0, 3, 90), KINDS.names)
    half = np.where(rng.random(90) < 0.6, labels, rng.integers(0, 3, 90))
    assert chance_doubt(labels, half, KINDS.names) is None


def test_a_ranking_upside_down_is_told():
    (doubt,) = doubts_of("test", LABELS, wrong_for(0.1), CLASSES, 0.31)
    assert "0.3100" in doubt


@pytest.mark.parametrize("label", [0, 1])
def test_images_of_one_class_that_are_all_right_raise_no_doubt(label):
    assert doubts_of("site", np.full(9, label), np.full(9, label), CLASSES, None) == []


def test_of_cracked_images_alone_it_is_told_that_none_was_found():
    (doubt,) = doubts_of("site", np.ones(9, int), np.zeros(9, int), CLASSES, None)
    assert "none of 9 cracked images" in doubt


def test_a_temperature_at_the_end_of_its_range_is_told():
    rng = np.random.default_rng(0)
    sure = np.clip(rng.random(200).round(), 1e-6, 1 - 1e-6)
    fitted = fit_temperature((sure < 0.5).astype(int), np.stack([1 - sure, sure], axis=1))
    (doubt,) = calibration_doubt(fitted)
    assert "54.6" in doubt
    assert "smallest" in calibration_doubt(Calibration(scale=float(np.exp(4))))[0]
    assert calibration_doubt(Calibration()) == calibration_doubt(Calibration(scale=0.1)) == []


def test_training_that_moves_nothing_is_told():
    assert "0.5000" in training_doubt(0.5, 0.5)[0]
    assert training_doubt(0.5, 0.75) == training_doubt(None, 0.5) == training_doubt(1.0, 1.0) == []


def test_a_model_that_says_nothing_of_a_site_is_told():
    rng = np.random.default_rng(3)
    crack = rng.uniform(0.01, 0.99, 80)
    said = np.stack([1 - crack, crack], axis=1)
    policy = Policy(True, None, None, 0.95)
    upside_down = fit_to_site(policy, Predictions((crack < 0.5).astype(int), said, 1), CLASSES, Thresholds(), seed=0)
    assert any("ranked above" in doubt for doubt in upside_down.doubts)
    good = fit_to_site(policy, Predictions((crack > 0.5).astype(int), said, 1), CLASSES, Thresholds(), seed=0)
    assert good.doubts == []


def test_a_sweep_names_the_runs_that_are_no_better_than_chance():
    good, bad = trial(errors(200, 10), {"lr": 0.1}), trial(np.arange(200) % 2 == 1, {"lr": 9.0})
    found = compare([good, bad], resamples=200)
    assert found.trials["doubt"].tolist()[0] == ""
    (note,) = (note for note in notes(found) if note.startswith("Do not rely on"))
    assert "lr=9" in note
    assert "all 200 images were predicted to be Negative" in note
    assert "predicted to be Negative" in markdown(comparison_report(found, "x"))


def test_a_sweep_of_many_such_runs_names_five():
    trials = [trial(np.arange(200) % 2 == 1, {"lr": float(number)}) for number in range(8)]
    said = [note for note in notes(compare(trials, resamples=50)) if "rely on" in note or "other runs" in note]
    assert len(said) == 6
    assert "3 other runs" in said[-1]
