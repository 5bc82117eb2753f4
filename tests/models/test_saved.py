"""Saved models are read as Keras reads them, without drawing weights and without compiling programs."""

import json
from pathlib import Path

import jax
import keras
import numpy as np
import pytest

from crackexp.models.backbone import Application
from crackexp.models.classifier import build_classifier
from crackexp.models.saved import read_network, start_from


@keras.saving.register_keras_serializable("tests")
class Doubling(keras.layers.Layer):
    """A layer whose variable has a value, not an initializer, which Keras refuses within a stateless scope."""

    def build(self, input_shape: tuple[int, ...]) -> None:
        self.factor = keras.Variable(np.float32(2.0))

    def call(self, inputs: jax.Array) -> jax.Array:
        return inputs * self.factor


def saved(model: keras.Model, folder: Path) -> Path:
    file = folder / "model.keras"
    model.save(file)
    return file


@pytest.fixture(scope="module")
def classifier() -> keras.Model:
    backbone = Application("efficientnet_b0").build(32, seed=0)
    layers = [keras.Input((1280,)), keras.layers.Dropout(0.3), keras.layers.Dense(2, activation="softmax")]
    return build_classifier(backbone, keras.Sequential(layers))


def test_a_network_is_read_bit_by_bit(classifier: keras.Model, tmp_path: Path) -> None:
    read = read_network(saved(classifier, tmp_path))
    assert json.loads(read.to_json()) == json.loads(classifier.to_json())
    for new, old in zip(read.weights, classifier.weights, strict=True):
        assert new.trainable == old.trainable
        np.testing.assert_array_equal(new, old)
    images = np.zeros((2, 32, 32, 3), np.uint8)
    np.testing.assert_array_equal(read(images), classifier(images))


def test_reading_compiles_nothing(classifier: keras.Model, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = saved(classifier, tmp_path)
    with jax.log_compiles(), caplog.at_level("WARNING", "jax"):
        read_network(file)
        assert "Compiling" not in caplog.text
        jax.jit(lambda x: x + 1)(1.0)
        assert "Compiling" in caplog.text  # what is looked for is what JAX says


def test_a_layer_that_cannot_wait_for_its_values_is_read(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((3,)), Doubling(), keras.layers.Dense(2)])
    model.layers[0].factor.assign(3.0)
    read = read_network(saved(model, tmp_path))
    for new, old in zip(read.weights, model.weights, strict=True):
        np.testing.assert_array_equal(new, old)
    assert float(read.layers[0].factor.value) == 3.0


def test_a_damaged_file_is_refused_as_keras_refuses_it(tmp_path: Path) -> None:
    file = tmp_path / "model.keras"
    file.write_bytes(b"no archive")
    with pytest.raises(ValueError, match="accessible"):
        read_network(file)


def test_a_first_value_must_have_the_shape_of_its_variable() -> None:
    with keras.StatelessScope():
        layer = keras.layers.Dense(2)
        layer.build((None, 3))
        with pytest.raises(ValueError, match="Received: shape"):
            start_from(layer.kernel, np.zeros((2, 2)))
        start_from(layer.kernel, np.ones((3, 2), np.float32))
