"""Which patches are chosen: unsure ones, unlike each other, from many photos, and the same for the same seed."""

import numpy as np
import pytest

from crackexp.reviewing.choice import choose, draw, quota


@pytest.fixture
def patches() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities, features and photos of 300 patches of 6 photos; the model is sure of most."""
    rng = np.random.default_rng(0)
    return rng.beta(0.2, 0.8, 300), rng.random((300, 8)), np.repeat(np.arange(6), 50)


def unsure(probabilities: np.ndarray) -> float:
    return float(np.minimum(probabilities, 1 - probabilities).mean())


def test_a_seed_has_its_choice(patches: tuple[np.ndarray, ...]) -> None:
    first, again, other = (choose(*patches, count=20, seed=seed).tolist() for seed in (3, 3, 4))
    assert first == again
    assert first != other
    assert len(set(first)) == 20


def test_the_model_is_less_sure_of_what_is_chosen_than_of_what_is_drawn(patches: tuple[np.ndarray, ...]) -> None:
    probabilities, features, photos = patches
    for seed in range(5):
        chosen = choose(probabilities, features, photos, count=30, seed=seed)
        drawn = draw(photos, count=30, seed=seed)
        assert unsure(probabilities[chosen]) > 2 * unsure(probabilities[drawn])


def test_no_photo_gives_more_than_twice_its_share(patches: tuple[np.ndarray, ...]) -> None:
    probabilities, features, photos = patches
    probabilities = np.where(photos == 0, 0.5, probabilities / 100)
    chosen = choose(probabilities, features, photos, count=30, seed=0)
    assert np.bincount(photos[chosen], minlength=6).max() == 10
    assert (choose(probabilities, features, photos, count=30, seed=0, spread=np.inf) < 50).sum() > 20


def test_of_equal_patches_one_is_chosen() -> None:
    features = np.repeat(np.eye(3), 10, axis=0)
    chosen = choose(np.full(30, 0.5), features, np.arange(30), count=3, seed=0)
    assert sorted(chosen // 10) == [0, 1, 2]


def test_where_the_model_is_sure_of_all_patches_are_drawn() -> None:
    chosen = choose(np.zeros(40), np.ones((40, 2)), np.repeat(np.arange(4), 10), count=8, seed=0)
    assert len(set(chosen.tolist())) == 8
    assert np.bincount(chosen // 10, minlength=4).max() <= 4


@pytest.mark.parametrize("count", [5, 6, 1000])
def test_fewer_patches_than_asked_for_are_all_chosen(count: int) -> None:
    photos = np.array([0, 0, 0, 0, 1])
    chosen = choose(np.linspace(0, 1, 5), np.ones((5, 2)), photos, count, seed=0)
    assert sorted(chosen) == [0, 1, 2, 3, 4]
    assert sorted(draw(photos, count, seed=0)) == [0, 1, 2, 3, 4]


def test_one_photo_may_give_all() -> None:
    rng = np.random.default_rng(0)
    assert len(set(choose(rng.random(20), rng.random((20, 3)), np.zeros(20), count=15, seed=0).tolist())) == 15


def test_a_quota_grows_where_small_photos_cannot_give_their_share() -> None:
    sizes = np.array([1, 2, 100])
    for count in (3, 50, 103):
        assert np.minimum(sizes, quota(sizes, count, 2)).sum() >= count
    assert quota(sizes, 50, 2) == 47
