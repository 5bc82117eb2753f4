"""Patches judged relative to what is usual in their photo."""

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.metrics import roc_auc_score

from crackexp.evaluation.photo_baseline import MOST_RAISED, USUAL, baseline_of, relative_to_photo


def both(log_odds: np.ndarray) -> np.ndarray:
    """The probabilities of two classes, the second of which is a crack."""
    crack = expit(np.asarray(log_odds, float))
    return np.stack([1 - crack, crack], axis=1)


def test_the_usual_patch_of_a_large_photo_gets_the_usual_probability() -> None:
    rng = np.random.default_rng(0)
    said = rng.normal(3, 1, 2000)  # of a texture that the model takes for cracks
    found = relative_to_photo(both(said), np.full(2000, "wall"), [1])[:, 1]
    assert np.quantile(found, 0.25) == pytest.approx(USUAL, rel=0.05)
    np.testing.assert_array_equal(np.argsort(found, kind="stable"), np.argsort(both(said)[:, 1], kind="stable"))


def test_photos_that_differ_by_an_offset_become_comparable() -> None:
    rng = np.random.default_rng(1)
    photos, cracked = np.repeat(np.arange(20), 100), rng.random(2000) < 0.15
    said = rng.normal(0, 1, 2000) + 2.5 * cracked + rng.uniform(0, 9, 20)[photos]
    within = np.mean([roc_auc_score(cracked[photos == photo], said[photos == photo]) for photo in range(20)])
    after = relative_to_photo(both(said - 4), photos.astype(str), [1])[:, 1]
    assert roc_auc_score(cracked, said) < 0.8
    assert roc_auc_score(cracked, after) == pytest.approx(within, abs=0.03)


def test_few_patches_are_shifted_by_less_and_a_photo_is_raised_by_no_more_than_the_limit() -> None:
    for count, share in ((1, 1 / 11), (10, 1 / 2), (90, 9 / 10)):
        shift = baseline_of(both(np.full(count, 1.0)), [1]).shift.shift
        assert shift == pytest.approx(share * (logit(USUAL) - 1))
    assert baseline_of(both(np.full(1000, -12.0)), [1]).shift.shift == MOST_RAISED


def test_a_photo_that_is_cracked_in_two_of_three_patches_is_judged_by_its_sound_ones() -> None:
    said = np.concatenate([np.full(100, -4.0), np.full(200, 4.0)])
    found = relative_to_photo(both(said), np.full(300, "wall"), [1])[:, 1]
    assert (found >= 0.5).tolist() == (said > 0).tolist()


def test_damage_all_over_is_noticed_and_a_close_up_is_not_taken_for_it() -> None:
    assert baseline_of(both(np.full(50, 3.0)), [1]).seems_damaged(0.5)
    assert not baseline_of(both(np.full(5, 3.0)), [1]).seems_damaged(0.5)
    assert not baseline_of(both(np.full(50, -3.0)), [1]).seems_damaged(0.5)


def test_all_damage_classes_are_shifted_and_the_others_keep_their_proportions() -> None:
    rng = np.random.default_rng(2)
    said = rng.dirichlet([1, 2, 3, 4], 200)
    found = relative_to_photo(said, np.full(200, "wall"), [1, 3])
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(found[:, 0] / found[:, 2], said[:, 0] / said[:, 2], rtol=1e-4)
    np.testing.assert_allclose(found[:, 1] / found[:, 3], said[:, 1] / said[:, 3], rtol=1e-4)
    before, after = (logit(each[:, [1, 3]].sum(axis=1)) for each in (said, found.astype(float)))
    np.testing.assert_allclose(after - before, baseline_of(said, [1, 3]).shift.shift, atol=1e-3)
