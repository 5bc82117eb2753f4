"""The features beside the probabilities are what the scores are weighted sums of."""

from pathlib import Path

import keras
import numpy as np
import pytest

from crackexp.inference.openvino import OpenVino
from crackexp.inference.xla import Xla
from crackexp.models.backbone import SmallCNN
from crackexp.models.classifier import CALIBRATION, build_classifier
from crackexp.models.features import with_features
from crackexp.models.heads import MultipleInstanceHead, PooledHead
from crackexp.models.saved import read_network
from crackexp.utils.errors import ConfigError

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), np.uint8)


def classifier(head: PooledHead | MultipleInstanceHead) -> keras.Model:
    backbone = SmallCNN([4, 8]).build(32, 0)
    embedding = head.embedding(backbone)
    built = head.build(backbone.output_shape[1:], 2, [1], 0)
    return keras.Model(embedding.input, keras.Function(built.inputs, built.outputs[0]).call([embedding.output]))


def test_a_pooled_head_scores_its_features_by_a_weighted_sum() -> None:
    model = classifier(PooledHead(dropout=0.3))
    probabilities, features = with_features(model).predict(IMAGES, verbose=0)
    kernel, bias = model.get_layer("probabilities").get_weights()
    np.testing.assert_allclose(probabilities, model.predict(IMAGES, verbose=0), atol=1e-6)
    scores = np.exp(features @ kernel + bias)
    np.testing.assert_allclose(scores / scores.sum(axis=1, keepdims=True), probabilities, atol=1e-5)


def test_features_of_places_are_averaged_and_calibration_is_passed_over(tmp_path: Path) -> None:
    model = classifier(MultipleInstanceHead(hidden=6, dropout=0.2))
    assert model.layers[-1].name == CALIBRATION
    model.save(tmp_path / "model.keras")
    read = read_network(tmp_path / "model.keras")
    places = keras.Model(read.input, read.get_layer("place_features").output).predict(IMAGES, verbose=0)
    for network in (model, read):
        probabilities, features = with_features(network).predict(IMAGES, verbose=0)
        np.testing.assert_allclose(features, places.mean(axis=(1, 2)), atol=1e-5)
        np.testing.assert_allclose(probabilities, model.predict(IMAGES, verbose=0), atol=1e-6)


def test_engines_agree_on_both_outputs() -> None:
    network = with_features(classifier(MultipleInstanceHead(hidden=6, dropout=0.2)))
    batches = [IMAGES[:4], np.concatenate([IMAGES[4:], np.zeros((3, 32, 32, 3), np.uint8)])]
    xla, openvino = (list(engine.inference(network, 4).stream(batches)) for engine in (Xla(), OpenVino()))
    for one, other in zip(xla, openvino, strict=True):
        for mine, yours in zip(one, other, strict=True):
            np.testing.assert_allclose(mine, yours, atol=1e-4)


def test_a_head_without_dense_layers_has_its_embedding() -> None:
    backbone = SmallCNN([4, 8]).build(32, 0)
    features = keras.Input((8,))
    head = keras.Model(features, keras.layers.Softmax()(features))
    found = with_features(build_classifier(backbone, head))
    assert found.outputs[1].shape == (None, 8)


def test_a_classifier_without_either_is_refused() -> None:
    image = keras.Input((8, 8, 3))
    with pytest.raises(ConfigError, match="dense layer"):
        with_features(keras.Model(image, keras.layers.Softmax()(keras.layers.GlobalMaxPooling2D()(image))))
