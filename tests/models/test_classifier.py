"""Head, pooling and classifier; files that load without this package; frozen and unfrozen layers."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers

from crackexp.models.backbone import Application, SmallCNN
from crackexp.models.classifier import build_classifier, embedding_model, unfreeze
from crackexp.models.heads import build_head
from crackexp.models.weights import weights_digest
from crackexp.utils.errors import ConfigError

CLASSIFIERS = {
    "mobilenet_v2": lambda: Application("mobilenet_v2", alpha=0.35),
    "mobilenet_v3_small": lambda: Application("mobilenet_v3_small"),
    "efficientnet_b0": lambda: Application("efficientnet_b0"),
    "resnet50": lambda: Application("resnet50"),
    "small_cnn": lambda: SmallCNN((8, 8)),
}
LOAD = """
import sys
import keras, numpy as np
images = np.load("images.npy")
for path in sys.argv[1:]:
    model = keras.models.load_model(path, compile=False)
    np.save(path + ".npy", model.predict_on_batch(images))
assert "crackexp" not in sys.modules
"""


def classifier(name: str = "small_cnn", seed: int = 0) -> tuple[keras.Model, keras.Model]:
    """Returns a head and the classifier that it is part of."""
    backbone = CLASSIFIERS[name]().build(32, seed)
    head = build_head(backbone.output_shape[-1], 2, 0.3, seed)
    return head, build_classifier(backbone, head)


def images(count: int = 4) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


def values(model: keras.Model) -> dict[str, np.ndarray]:
    return {f"{layer.name}/{weight.name}": np.array(weight.value) for layer in model.layers for weight in layer.weights}


def test_head_of_the_embedding_is_the_classifier():
    head, whole = classifier()
    x = images()
    embedding = embedding_model(whole)
    features = embedding(x)
    assert features.shape == (4, 8)
    assert features.dtype == "float32"
    np.testing.assert_allclose(head(features), whole(x), atol=1e-6)
    np.testing.assert_allclose(np.sum(whole(x), axis=1), 1, atol=1e-6)


def test_embedding_is_the_mean_of_the_feature_map():
    backbone = SmallCNN((8, 8)).build(32, 0)
    x = images()
    expected = np.asarray(backbone(x)).mean(axis=(1, 2))
    np.testing.assert_allclose(embedding_model(backbone)(x), expected, rtol=1e-5)


def test_weights_are_shared_with_head_and_embedding():
    head, whole = classifier()
    x = images()
    kernel = head.get_layer("probabilities").kernel
    kernel.assign(np.ones(kernel.shape) * [3, -3])
    np.testing.assert_allclose(head(embedding_model(whole)(x)), whole(x), atol=1e-6)
    digest = weights_digest(embedding_model(whole))
    weight = whole.get_layer("block_1_conv").kernel
    weight.assign(np.asarray(weight.value) * 2)
    assert weights_digest(embedding_model(whole)) != digest


def test_every_layer_is_reachable_and_has_one_output():
    """As Grad-CAM needs it."""
    _, whole = classifier("mobilenet_v2")
    inner = keras.Model(whole.input, [whole.get_layer("out_relu").output, whole.output])
    assert inner.get_layer("block_13_expand") is whole.get_layer("block_13_expand")


def test_head_depends_on_its_seed_alone():
    keras.utils.set_random_seed(1)
    first = build_head(16, 2, 0.3, seed=0)
    keras.utils.set_random_seed(2)
    second = build_head(16, 2, 0.3, seed=0)
    assert weights_digest(first) == weights_digest(second)
    assert first.get_config() == second.get_config()
    x = np.ones((8, 16), np.float32)
    np.testing.assert_array_equal(first(x, training=True), second(x, training=True))
    other = build_head(16, 2, 0.3, seed=1)
    assert weights_digest(other) != weights_digest(first)
    assert other.get_layer("dropout").seed != first.get_layer("dropout").seed


def test_dropout_drops_its_share_in_training_only():
    head = build_head(20_000, 2, 0.3, seed=0)
    dropout = head.get_layer("dropout")
    ones = np.ones((1, 20_000), np.float32)
    kept = np.asarray(dropout(ones, training=True))
    assert abs((kept == 0).mean() - 0.3) < 0.02
    np.testing.assert_allclose(kept[kept > 0], 1 / 0.7, rtol=1e-6)
    np.testing.assert_array_equal(dropout(ones, training=False), ones)


def test_mixed_precision_pools_and_classifies_in_float32():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        head, whole = classifier()
    finally:
        keras.config.set_dtype_policy(policy)
    features = embedding_model(whole)(images())
    assert features.dtype == whole(images()).dtype == "float32"
    np.testing.assert_allclose(head(features), whole(images()), atol=1e-6)


def branched() -> keras.Model:
    embedding = keras.Input((8,))
    branches = [layers.Dense(4, activation)(embedding) for activation in ("relu", "tanh")]
    return keras.Model(embedding, layers.Dense(2, "softmax")(layers.Concatenate()(branches)))


def sequential() -> keras.Model:
    return keras.Sequential([keras.Input((8,)), layers.Dense(4, "relu"), layers.Dense(2, "softmax")])


@pytest.mark.parametrize("build", [branched, sequential])
def test_a_head_is_any_model(build, tmp_path):
    head = build()
    whole = build_classifier(CLASSIFIERS["small_cnn"]().build(32, 0), head)
    layers_of_head = {layer for layer in head.layers if not isinstance(layer, layers.InputLayer)}
    assert layers_of_head <= set(whole.layers)
    np.testing.assert_allclose(head(embedding_model(whole)(images())), whole(images()), atol=1e-6)
    whole.save(tmp_path / "whole.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "whole.keras")(images()), whole(images()))


@pytest.mark.slow
def test_saved_files_load_without_this_package(tmp_path):
    """Both formats, in one clean process; its predictions are ours."""
    np.save(tmp_path / "images.npy", images(2))
    expected = {}
    for name in CLASSIFIERS:
        _, model = classifier(name)
        predictions = model.predict_on_batch(images(2))
        for suffix in ("keras", "h5"):
            model.save(tmp_path / f"{name}.{suffix}")
            expected[f"{name}.{suffix}"] = predictions
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    subprocess.run(
        [sys.executable, "-c", LOAD, *expected],
        cwd=tmp_path,
        env={**environment, "KERAS_BACKEND": "jax"},
        check=True,
        timeout=300,
    )
    for name, ours in expected.items():
        np.testing.assert_allclose(np.load(tmp_path / f"{name}.npy"), ours, atol=1e-6)


def fit(model: keras.Model) -> None:
    model.compile(keras.optimizers.SGD(0.5), "sparse_categorical_crossentropy")
    model.fit(images(8), np.arange(8) % 2, batch_size=4, epochs=2, verbose=0)


def changed(before: dict[str, np.ndarray], model: keras.Model) -> set[str]:
    after = values(model)
    return {name for name, value in before.items() if not np.array_equal(value, after[name])}


def test_unfrozen_layers_change_and_the_rest_keeps_its_bits():
    _, whole = classifier()
    before = values(whole)
    count = unfreeze(whole, "block_2_conv")
    fit(whole)
    trained = {"block_2_conv/kernel", "probabilities/kernel", "probabilities/bias"}
    assert changed(before, whole) == trained
    assert count == sum(before[name].size for name in trained)


def test_batch_norm_trains_only_where_it_is_asked_to():
    _, whole = classifier()
    before = values(whole)
    count = unfreeze(whole, None, freeze_batch_norm=False)
    fit(whole)
    assert changed(before, whole) == set(before)
    assert count == sum(value.size for name, value in before.items() if "moving" not in name)


def test_head_alone_and_back():
    _, whole = classifier("mobilenet_v2")
    assert unfreeze(whole, "pool") == 1280 * 2 + 2
    some = unfreeze(whole, "block_13_expand")
    everything = unfreeze(whole, None)
    norms = sum(2 * layer.gamma.shape[0] for layer in whole.layers if isinstance(layer, layers.BatchNormalization))
    moving = norms
    assert some < everything == whole.count_params() - norms - moving
    position = [layer.name for layer in whole.layers].index("block_13_expand")
    unfreeze(whole, "block_13_expand")
    assert not any(layer.trainable for layer in whole.layers[:position])


def test_an_unknown_layer_is_refused_with_what_is_near():
    _, whole = classifier()
    with pytest.raises(ConfigError, match=r"Did you mean block_2_conv.*trainer.unfreeze_from=block_2_cnv"):
        unfreeze(whole, "block_2_cnv")
