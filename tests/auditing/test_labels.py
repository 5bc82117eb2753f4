"""Wrong labels and strangers among features whose truth is known."""

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from crackexp.auditing.labels import distances, far_out, favoured, out_of_fold, suspects, unrecognised


def two_clouds(each: int, width: int, distance: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns two clouds of `each` rows, whose middles are `distance` apart, and their labels."""
    labels = np.repeat([0, 1], each)
    rows = np.random.default_rng(0).normal(size=(2 * each, width))
    rows[:, 0] += distance * labels
    return rows.astype(np.float32), labels


@pytest.fixture
def clouds() -> tuple[np.ndarray, np.ndarray]:
    """Two clouds of 500 rows that overlap a little, and their labels."""
    rows, labels = two_clouds(500, 40, 5)
    return rows + 1, labels


@pytest.mark.parametrize("share", [0.01, 0.03, 0.1])
def test_most_of_the_list_is_wrong_and_most_wrong_labels_are_on_it(
    clouds: tuple[np.ndarray, np.ndarray], share: float
) -> None:
    rows, truth = clouds
    for seed in range(3):
        flipped = np.random.default_rng(seed).choice(1000, round(1000 * share), replace=False)
        labels = truth.copy()
        labels[flipped] = 1 - labels[flipped]
        probabilities = out_of_fold(rows, labels, np.arange(1000), seed)
        assert probabilities is not None
        found = np.isin(suspects(labels, probabilities), flipped)
        assert found.mean() >= 0.5
        assert found.sum() >= 0.5 * len(flipped)


def test_hard_images_of_a_clean_set_are_not_suspected() -> None:
    """The clouds overlap, so another class is predicted for some images, but with less than the usual confidence."""
    rows, labels = two_clouds(500, 40, 4.5)
    probabilities = out_of_fold(rows, labels, np.arange(1000), seed=0)
    assert probabilities is not None
    assert np.sum(probabilities.argmax(axis=1) != labels) > 0
    assert len(suspects(labels, probabilities)) == 0


def test_a_class_that_cannot_be_told_from_another_is_not_recognised() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [400, 100])
    rows = rng.normal(size=(500, 40)).astype(np.float32)
    probabilities = out_of_fold(rows, labels, np.arange(500), seed=0)
    assert probabilities is not None
    assert unrecognised(labels, probabilities).tolist() == [1]
    rows[:, 0] += 5 * labels
    probabilities = out_of_fold(rows, labels, np.arange(500), seed=0)
    assert probabilities is not None
    assert unrecognised(labels, probabilities).tolist() == []


def test_the_surest_suspect_comes_first() -> None:
    labels = np.repeat([0, 1], 10)
    crack = np.where(labels == 1, 0.9, 0.1)
    crack[[3, 15]] = 0.95, 0.01
    found = suspects(labels, np.stack([1 - crack, crack], axis=1))
    assert found.tolist() == [15, 3]


def test_copies_with_one_wrong_label_do_not_vouch_for_each_other(clouds: tuple[np.ndarray, np.ndarray]) -> None:
    """A row far out, five times with the label that its place contradicts."""
    rows, labels = (part.copy() for part in clouds)
    rows[:5] = rows[0]
    rows[:5, 1:4], rows[:5, 0] = 6, 6
    together = np.arange(1000)
    together[:5] = 0
    judged, fooled = (out_of_fold(rows, labels, groups, seed=0) for groups in (together, np.arange(1000)))
    assert judged is not None
    assert fooled is not None
    assert judged[:5, 0].mean() < fooled[:5, 0].mean()
    assert set(range(5)) <= set(suspects(labels, judged).tolist())


def test_labels_of_one_group_are_not_judged(clouds: tuple[np.ndarray, np.ndarray]) -> None:
    rows, labels = clouds
    assert out_of_fold(rows, labels, labels, seed=0) is None


def test_distances_are_those_of_scikit_learn(clouds: tuple[np.ndarray, np.ndarray]) -> None:
    rows, _ = clouds
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    expected, _ = NearestNeighbors(n_neighbors=10).fit(unit).kneighbors()
    np.testing.assert_allclose(distances(rows, np.arange(1000)), expected.mean(axis=1), rtol=1e-3)


def test_a_stranger_and_its_copies_are_strangers(clouds: tuple[np.ndarray, np.ndarray]) -> None:
    rows, _ = clouds
    rows = rows.copy()
    rows[7:10] = -rows[7]
    groups = np.arange(1000)
    groups[7:10] = 7
    distance = distances(rows, groups)
    assert set(np.flatnonzero(far_out(distance)).tolist()) >= {7, 8, 9}
    assert np.sum(far_out(distance)) < 10
    assert distances(rows, np.zeros(1000, int)).tolist() == [0] * 1000


def test_the_label_of_most_copies_is_favoured_and_of_equally_many_the_more_probable_one() -> None:
    groups = np.array([0, 0, 0, 3, 3, 5, 6, 6])
    labels = np.array([1, 0, 1, 0, 2, 1, 1, 1])
    probabilities = np.full((8, 3), 1 / 3)
    probabilities[3:5] = [[0.1, 0.8, 0.1], [0.1, 0.3, 0.6]]  # no copy has label 1
    assert favoured(labels, groups, probabilities) == {0: (1, "2 of 3 copies"), 3: (2, "probability 0.35")}
    assert favoured(labels, groups, None) == {0: (1, "2 of 3 copies")}


def test_few_images_are_not_learned_by_heart() -> None:
    """A hundred images a class, whose embeddings hold much that tells nothing about the class."""
    rows, labels = two_clouds(100, 1280, 10)
    probabilities = out_of_fold(rows, labels, np.arange(200), seed=0)
    assert probabilities is not None
    assert probabilities[np.arange(200), labels].mean() > 0.8  # 0.73 with a component for each image
