"""The last layer of a classifier refitted to a few images: against scikit-learn, and its pull to the old weights."""

import keras
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from crackexp.adapting.adaptation import ADAPTED, AS_IT_IS, adapt_to_site
from crackexp.adapting.refit import LastLayerRefit
from crackexp.data.classes.decisions import Classes, Thresholds
from crackexp.evaluation.policy import Policy
from crackexp.metrics import Predictions
from crackexp.models.classifier import headed
from crackexp.models.heads import MultipleInstanceHead, PooledHead
from crackexp.models.last_layer import LastLayer, split_at_last_layer

CLASSES = Classes(("sound", "crack"), ("crack",))
POLICY = Policy(True, None, None, 0.95)
SIZE, MAPS = 8, (4, 4, 6)


def classifier(head: PooledHead | MultipleInstanceHead) -> keras.Model:
    """A network of pixels whose backbone is one frozen convolution."""
    keras.utils.set_random_seed(0)
    pixels = keras.Input((SIZE, SIZE, 3), dtype="uint8")
    maps = keras.layers.Conv2D(MAPS[-1], 2, strides=2, trainable=False)(
        keras.layers.Rescaling(1 / 255, dtype="float32")(pixels)
    )
    network = head.embedding(keras.Model(pixels, maps))
    return headed(network, head.build(MAPS, 2, [1], seed=0))


def split(pooled: bool) -> LastLayer:
    return split_at_last_layer(classifier(PooledHead(0.0) if pooled else MultipleInstanceHead(5, 0.0)))


def site(last: LastLayer, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images that are cracked where they are dark on the left, and their features."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    images = rng.integers(100, 256, (count, SIZE, SIZE, 3))
    images[labels == 1, :, : SIZE // 2] //= 3
    return last.features.predict(images.astype(np.uint8), verbose=0), labels


@pytest.mark.parametrize(("pooled", "layer"), [(True, "probabilities"), (False, "place_scores")])
def test_the_two_parts_compute_what_the_whole_does(pooled: bool, layer: str) -> None:
    last = split(pooled)
    assert last.layer.name == layer
    images = np.random.default_rng(0).integers(0, 256, (5, SIZE, SIZE, 3)).astype(np.uint8)
    whole = last.classifier.predict(images, verbose=0)
    parts = last.tail.predict(last.features.predict(images, verbose=0), verbose=0)
    np.testing.assert_allclose(parts, whole, rtol=1e-5)
    others = [weights + 1 for weights in last.layer.get_weights()]
    changed = last.replaced(others)
    assert not np.allclose(changed.predict(images, verbose=0), whole) or pooled, "equal shifts of both classes cancel"
    np.testing.assert_array_equal(changed.get_layer(layer).get_weights()[0], others[0])
    np.testing.assert_allclose(last.classifier.predict(images, verbose=0), whole, rtol=1e-6)
    assert [each.name for each in changed.layers][1:] == [each.name for each in last.classifier.layers][1:]


def test_from_no_weights_it_is_the_logistic_regression_of_scikit_learn() -> None:
    last = split(pooled=True)
    last.layer.set_weights([np.zeros_like(weights) for weights in last.layer.get_weights()])
    features, labels = site(last, 60, seed=1)
    rows = np.arange(50)
    refit = LastLayerRefit(last)
    found = refit.probabilities(refit.fit(features[rows], labels[rows], strength=0.1), features)
    unit = np.mean(np.sum(features[rows] ** 2, axis=1))
    # A half of the pull acts on each of two columns, so half of it acts on their difference.
    peer = LogisticRegression(C=2 / (0.1 * unit), fit_intercept=False, tol=1e-8, max_iter=10_000)
    constant = np.ones((60, 1))
    peer.fit(np.hstack([features, constant])[rows], labels[rows])
    np.testing.assert_allclose(found, peer.predict_proba(np.hstack([features, constant])), atol=2e-3)


@pytest.mark.parametrize("pooled", [True, False])
def test_a_strong_pull_keeps_the_old_weights_and_a_weak_one_fits_the_images(pooled: bool) -> None:
    last = split(pooled)
    features, labels = site(last, 40, seed=2)
    refit = LastLayerRefit(last)
    old = last.layer.get_weights()
    for new, before in zip(refit.fit(features, labels, 1e9), old, strict=True):
        np.testing.assert_allclose(new, before, atol=1e-4)
    distances = [
        sum(np.sum((new - before) ** 2) for new, before in zip(refit.fit(features, labels, strength), old, strict=True))
        for strength in (1.0, 0.1, 0.01)
    ]
    assert distances == sorted(distances)
    fitted = refit.probabilities(refit.fit(features, labels, 1e-4), features)
    before = refit.probabilities(old, features)
    chosen = np.arange(40), labels
    assert np.log(fitted[chosen]).mean() > np.log(before[chosen]).mean()


def test_images_are_never_predicted_by_a_fit_to_themselves() -> None:
    """Labels that mean nothing cannot be known by cross-validation, however weak the pull is."""
    last = split(pooled=True)
    features, _ = site(last, 60, seed=3)
    labels = np.random.default_rng(0).permutation(np.arange(60) % 2)
    refit = LastLayerRefit(last)
    folds = [(np.setdiff1d(np.arange(60), test), test) for test in np.arange(60).reshape(5, 12)]
    held_out = refit.cross_validated(features, labels, folds, 1e-4)
    assert np.mean(held_out.argmax(axis=1) == labels) < 0.7
    np.testing.assert_allclose(held_out.sum(axis=1), 1, rtol=1e-5)


def test_the_best_of_three_is_the_one_with_the_lowest_loss_on_images_that_it_does_not_know() -> None:
    last = split(pooled=False)
    features, labels = site(last, 60, seed=4)
    refit = LastLayerRefit(last)
    said = refit.probabilities(last.layer.get_weights(), features)
    found = adapt_to_site(POLICY, Predictions(labels, said, 1), features, refit, CLASSES, Thresholds(), seed=0)
    assert found.best == ADAPTED
    before, calibrated, adapted = found.scores["log_loss"]
    assert adapted < calibrated
    assert adapted < before
    assert found.strength == min(found.log_losses, key=lambda strength: found.log_losses[strength])
    assert found.metrics()["site/roc_auc_adapted"] == pytest.approx(found.scores["roc_auc"][2])

    right = np.where(labels[:, None] == np.arange(2), 0.9999, 0.0001)
    kept = adapt_to_site(POLICY, Predictions(labels, right, 1), features, refit, CLASSES, Thresholds(), seed=0)
    assert kept.best == AS_IT_IS
    assert kept.site is kept.calibrated
