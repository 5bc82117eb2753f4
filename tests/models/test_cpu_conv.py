"""The swapped layers against Keras' own, layer by layer and for whole backbones."""

from itertools import product

import jax
import keras
import numpy as np
import pytest
from keras import layers

from crackexp.models.backbone import APPLICATIONS, Application
from crackexp.models.cpu_conv import (
    BLOCK,
    MatmulConv2D,
    ShiftedDepthwiseConv2D,
    blockwise,
    for_cpu,
)

RNG = np.random.default_rng(0)


def maps(height: int = 9, width: int = 8, channels: int = 6) -> np.ndarray:
    return RNG.normal(size=(2, height, width, channels)).astype(np.float32)


def one_layer(layer: layers.Layer, x: np.ndarray) -> keras.Model:
    inputs = keras.Input(x.shape[1:])
    model = keras.Model(inputs, layer(inputs))
    for weight in model.weights:
        weight.assign(RNG.normal(size=weight.shape))
    return model


def swapped(model: keras.Model) -> list[str]:
    kinds = (ShiftedDepthwiseConv2D, MatmulConv2D)
    return [layer.name for layer in model.layers if isinstance(layer, kinds)]


def values(model: keras.Model) -> list[np.ndarray]:
    return [np.asarray(weight.value) for weight in model.weights]


DEPTHWISE = [
    (kernel, strides, dilation, padding)
    for kernel, (strides, dilation), padding in product(
        (3, 5, (3, 5)), ((1, 1), (2, 1), (3, 1), (1, 2)), ("same", "valid")
    )
]


@pytest.mark.parametrize(("kernel", "strides", "dilation", "padding"), DEPTHWISE)
def test_depthwise_layer_equals_keras(kernel, strides, dilation, padding):
    x = maps(9, 10) if dilation == 2 else maps()
    layer = layers.DepthwiseConv2D(
        kernel, strides, padding, dilation_rate=dilation, activation="relu", name="dw"
    )
    model = one_layer(layer, x)
    clone = for_cpu(model)
    assert swapped(clone) == ["dw"]
    np.testing.assert_allclose(clone(x), model(x), atol=1e-5)


@pytest.mark.parametrize(("strides", "padding"), [*product((1, 2, 3), ("same", "valid"))])
def test_pointwise_layer_equals_keras(strides, padding):
    x = maps()
    model = one_layer(layers.Conv2D(7, 1, strides, padding, activation="tanh", name="pw"), x)
    clone = for_cpu(model)
    assert swapped(clone) == ["pw"]
    np.testing.assert_allclose(clone(x), model(x), atol=1e-5)


@pytest.mark.parametrize(
    "layer",
    [
        layers.DepthwiseConv2D(3, depth_multiplier=2),
        layers.Conv2D(6, 1, groups=2),
        layers.Conv2D(6, 3),
        layers.DepthwiseConv2D(3, data_format="channels_first"),
        layers.SeparableConv2D(6, 3),
    ],
)
def test_layers_out_of_scope_stay(layer):
    clone = for_cpu(one_layer(layer, maps()))
    assert not swapped(clone)
    assert type(clone.layers[1]) is type(layer)


@pytest.mark.parametrize("name", APPLICATIONS)
def test_whole_backbone_equals_keras(name):
    model = Application(name, alpha=0.35 if name == "mobilenet_v2" else 1.0).build(32, seed=0)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.gamma.assign(np.full(layer.gamma.shape, 2.0))  # or random features vanish
    clone = for_cpu(model)
    assert len(swapped(clone)) > 30
    assert [layer.name for layer in clone.layers] == [layer.name for layer in model.layers]
    images = RNG.integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    expected = model.predict_on_batch(images)
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(
        clone.predict_on_batch(images), expected, atol=1e-5 * np.abs(expected).max()
    )


def test_nested_and_sequential_models_keep_weights_flags_and_normalization():
    inner = keras.Sequential(
        [layers.Input((8, 8, 3)), layers.Conv2D(4, 1, name="pw"), layers.BatchNormalization()],
        name="inner",
    )
    normalization = layers.Normalization(name="normalization")
    inputs = keras.Input((8, 8, 3))
    outputs = layers.DepthwiseConv2D(3, name="dw")(inner(normalization(inputs)))
    model = keras.Model(inputs, outputs)
    normalization.adapt(RNG.normal(5, 2, (4, 8, 8, 3)).astype(np.float32))
    inner.layers[-1].trainable = False
    inner.layers[0].trainable = False
    model.compile("sgd", "mse")
    clone = for_cpu(model)

    assert swapped(clone) == ["dw"]
    assert swapped(clone.get_layer("inner")) == ["pw"]
    assert [w.path for w in clone.weights] == [w.path for w in model.weights]
    assert [w.path for w in clone.trainable_weights] == [w.path for w in model.trainable_weights]
    assert len(model.trainable_weights) == 2
    for new, old in zip(values(clone), values(model), strict=True):
        np.testing.assert_array_equal(new, old)
    x = maps(8, 8, 3)
    np.testing.assert_allclose(clone(x), model(x), atol=1e-5)


def test_weights_are_copies_and_move_back():
    x = maps()
    model = one_layer(layers.DepthwiseConv2D(3), x)
    before = values(model)
    clone = for_cpu(model)
    clone.compile(keras.optimizers.SGD(1.0), "mse", jit_compile=False)
    clone.fit(x, np.zeros((2, 7, 6, 6), np.float32), verbose=0)
    np.testing.assert_array_equal(values(model)[0], before[0])
    assert not np.array_equal(values(clone)[0], before[0])
    model.set_weights(values(clone))
    np.testing.assert_allclose(model(x), clone(x), atol=1e-5)


def test_gradients_equal_keras():
    x = maps()
    inputs = keras.Input(x.shape[1:])
    y = layers.Conv2D(5, 1, 2, activation="tanh")(inputs)
    model = keras.Model(inputs, layers.DepthwiseConv2D(3, padding="same")(y))

    def gradients(model: keras.Model) -> list[jax.Array]:
        def loss(trainable: list[jax.Array]) -> jax.Array:
            return (model.stateless_call(trainable, [], x)[0] ** 2).sum()

        return jax.grad(loss)([weight.value for weight in model.trainable_weights])

    pairs = zip(gradients(for_cpu(model)), gradients(model), strict=True)
    for new, old in pairs:
        np.testing.assert_allclose(new, old, rtol=1e-4, atol=1e-4)


def test_mixed_precision_computes_in_bfloat16():
    x = maps()
    model = one_layer(layers.DepthwiseConv2D(3, dtype="mixed_bfloat16"), x)
    clone = for_cpu(model)
    assert clone(x).dtype == "bfloat16"
    assert clone.weights[0].dtype == "float32"
    np.testing.assert_allclose(
        np.asarray(clone(x), np.float32), np.asarray(model(x), np.float32), atol=0.3
    )


@pytest.mark.parametrize("count", [1, 6, 2 * BLOCK])
def test_blockwise_equals_the_whole_batch(count):
    x = RNG.normal(size=(count, 3, 5)).astype(np.float32)
    w = RNG.normal(size=(5, 4)).astype(np.float32)

    def forward(weights: jax.Array, rows: jax.Array) -> jax.Array:
        return (rows @ weights).max(axis=1)

    result = jax.jit(blockwise(forward))(w, x)
    np.testing.assert_allclose(result, (x @ w).max(axis=1), atol=1e-5)
