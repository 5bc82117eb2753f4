"""The heads: against the closed form, through files, and in the whole network."""

from pathlib import Path

import keras
import numpy as np
import pytest
from scipy.special import logsumexp, softmax

from crackexp.models.backbone import Application, SmallCNN
from crackexp.models.classifier import build_classifier, embedding_model, unfreeze
from crackexp.models.cpu_conv import for_cpu
from crackexp.models.heads import STANDARDISE, MultipleInstanceHead, PooledHead, fit_statistics

MAPS = (3, 4, 5)


def features(n: int = 6) -> np.ndarray:
    return np.random.default_rng(0).normal(2, 3, (n, 60)).astype(np.float32)


@pytest.mark.parametrize(("classes", "positive", "negative"), [(2, 1, 0), (2, 0, 1), (4, 2, 0)])
def test_an_image_has_the_log_mean_exp_of_the_log_odds_of_its_places(
    classes: int, positive: int, negative: int
) -> None:
    head = MultipleInstanceHead(7, 0.0).build(MAPS, classes, [positive], seed=0)
    fit_statistics(head, [features()])
    maps = features().reshape(-1, 12, 5)
    standard = (maps - maps.reshape(-1, 5).mean(axis=0)) / np.sqrt(maps.reshape(-1, 5).var(axis=0) + 1e-6)
    first, second = (head.get_layer(f"place_{name}").get_weights() for name in ("features", "scores"))
    scores = np.maximum(standard @ first[0] + first[1], 0) @ second[0] + second[1]
    scores[..., negative] = 0
    expected = softmax(logsumexp(scores, axis=1) - np.log(12), axis=1)
    np.testing.assert_allclose(head.predict(features(), verbose=0), expected, atol=1e-5)


def test_statistics_are_those_of_all_parts_together() -> None:
    head = MultipleInstanceHead(7, 0.0).build(MAPS, 2, [1], seed=0)
    whole = features(50)
    fit_statistics(head, [whole[:7], whole[7:8], whole[8:]])
    mean, variance = head.get_layer(STANDARDISE).get_weights()
    np.testing.assert_allclose(mean, whole.reshape(-1, 5).mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(variance, whole.reshape(-1, 5).var(axis=0), rtol=1e-6)
    assert not head.get_layer(STANDARDISE).trainable_weights


def test_a_head_without_statistics_asks_for_no_embeddings() -> None:
    def never():
        raise AssertionError
        yield

    fit_statistics(PooledHead(0.3).build(MAPS, 2, [1], seed=0), never())


@pytest.mark.parametrize("head", [PooledHead(0.3), MultipleInstanceHead(7, 0.3)])
def test_the_whole_network_is_saved_read_and_computed_alike(
    head: PooledHead | MultipleInstanceHead, tmp_path: Path
) -> None:
    backbone = SmallCNN([4, 8]).build(32, 0)
    part = head.build(backbone.output_shape[1:], 2, [1], seed=0)
    images = np.random.default_rng(1).integers(0, 256, (5, 32, 32, 3)).astype(np.uint8)
    embedding = head.embedding(backbone)
    embedded = embedding.predict(images, verbose=0)
    fit_statistics(part, [embedded])
    whole = build_classifier(embedding, part)
    expected = whole.predict(images, verbose=0)
    np.testing.assert_allclose(part.predict(embedded, verbose=0), expected, atol=1e-6)
    np.testing.assert_allclose(embedding_model(whole).predict(images, verbose=0), embedded, atol=1e-6)
    np.testing.assert_allclose(for_cpu(whole).predict(images, verbose=0), expected, atol=1e-5)
    np.testing.assert_allclose(expected.sum(axis=1), 1, atol=1e-6)
    whole.save(tmp_path / "model.keras")
    whole.save(tmp_path / "model.h5")
    for name in ("model.keras", "model.h5"):
        again = keras.saving.load_model(tmp_path / name, compile=False)
        np.testing.assert_allclose(again.predict(images, verbose=0), expected, atol=1e-6)


def test_feature_maps_of_a_layer_are_taken_with_the_weights_of_the_whole() -> None:
    whole = Application("mobilenet_v2", alpha=0.35).build(32, 0)
    cut = Application("mobilenet_v2", alpha=0.35, output_layer="block_12_add").build(32, 0)
    assert cut.layers[-1].name == "block_12_add"
    assert cut.output_shape == (None, 2, 2, 32)
    for layer in cut.layers:
        for mine, its in zip(layer.get_weights(), whole.get_layer(layer.name).get_weights(), strict=True):
            np.testing.assert_array_equal(mine, its)


def test_training_leaves_the_last_layer_of_places_as_it_is() -> None:
    backbone = SmallCNN([4, 8]).build(32, 0)
    head = MultipleInstanceHead(7, 0.0)
    whole = build_classifier(head.embedding(backbone), head.build(backbone.output_shape[1:], 2, [1], seed=0))
    for first in (None, "pool"):
        unfreeze(whole, first)
        assert "place_scores/kernel" in [weight.path for weight in whole.trainable_weights]
        assert not whole.layers[-1].trainable_weights
    np.testing.assert_array_equal(whole.layers[-1].get_weights()[0], np.eye(2))


def test_parts_say_what_they_can() -> None:
    assert Application.pretrained
    assert not SmallCNN.pretrained
    assert MultipleInstanceHead.needs_pretrained
    assert not PooledHead.needs_pretrained
