"""The swapped layers against Keras' own, layer by layer and for whole backbones."""

from itertools import product

import jax
import keras
import numpy as np
import pytest
from keras import layers

from crackexp.models.backbone import Application
from crackexp.models.cpu_conv import (
    MatmulConv2D,
    ShiftedDepthwiseConv2D,
    for_cpu,
)
from crackexp.models.saved import start_from

RNG = np.random.default_rng(0)


def maps(height: int = 9, width: int = 10, channels: int = 6) -> np.ndarray:
    return RNG.normal(size=(2, height, width, channels)).astype(np.float32)


def around(*kinds: layers.Layer, shape: tuple[int, ...] = (9, 10, 6)) -> keras.Model:
    """A model with an output for each layer, and random weights."""
    with keras.StatelessScope():
        inputs = keras.Input(shape)
        model = keras.Model(inputs, [layer(inputs) for layer in kinds])
        for weight in model.weights:
            start_from(weight, RNG.normal(size=weight.shape).astype(np.float32))
    return model


def assert_equal_outputs(model: keras.Model, clone: keras.Model) -> None:
    x = RNG.normal(size=(2, *model.input_shape[1:])).astype(np.float32)
    names = [layer.name for layer in model.layers[1:]]
    outputs = zip(names, clone.predict_on_batch(x), model.predict_on_batch(x), strict=True)
    for name, new, old in outputs:
        np.testing.assert_allclose(new, old, atol=1e-5, err_msg=name)


def swapped(model: keras.Model) -> list[str]:
    kinds = (ShiftedDepthwiseConv2D, MatmulConv2D)
    return [layer.name for layer in model.layers if isinstance(layer, kinds)]


def values(model: keras.Model) -> list[np.ndarray]:
    return [np.asarray(weight.value) for weight in model.weights]


def test_depthwise_layers_equal_keras():
    """3x3, 5x5 and 3x5; strided, dilated; with bias and activation and without."""
    settings = product((3, 5, (3, 5)), ((1, 1), (2, 1), (3, 1), (1, 2)), ("same", "valid"))
    model = around(
        *(
            layers.DepthwiseConv2D(
                kernel,
                strides,
                padding,
                dilation_rate=dilation,
                use_bias=number % 2 == 0,
                activation="relu" if number % 3 == 0 else None,
                name=f"dw_{number}_{strides}_{dilation}_{padding}",
            )
            for number, (kernel, (strides, dilation), padding) in enumerate(settings)
        )
    )
    clone = for_cpu(model)
    assert len(swapped(clone)) == 24
    assert_equal_outputs(model, clone)


def test_pointwise_layers_equal_keras():
    model = around(
        *(
            layers.Conv2D(
                7,
                1,
                strides,
                padding,
                use_bias=strides != 2,
                activation="tanh" if strides == 3 else None,
                name=f"pw_{strides}_{padding}",
            )
            for strides, padding in product((1, 2, 3), ("same", "valid"))
        )
    )
    clone = for_cpu(model)
    assert len(swapped(clone)) == 6
    assert_equal_outputs(model, clone)


def test_first_layers_equal_keras():
    kinds = [
        layers.Conv2D(7, 3, strides, padding, use_bias=strides == 2, activation="relu", name=f"{strides}_{padding}")
        for strides, padding in product((2, 3), ("same", "valid"))
    ]
    model = around(*kinds, shape=(9, 10, 3))
    clone = for_cpu(model)
    assert len(swapped(clone)) == 4
    assert_equal_outputs(model, clone)


def test_layers_out_of_scope_stay():
    model = around(
        layers.DepthwiseConv2D(3, depth_multiplier=2),
        layers.Conv2D(6, 1, groups=2),
        layers.Conv2D(6, 3),
        layers.Conv2D(6, 3, 2),
        layers.SeparableConv2D(6, 3),
        layers.DepthwiseConv2D(3, data_format="channels_first"),
    )
    clone = for_cpu(model)
    assert [type(layer) for layer in clone.layers] == [type(layer) for layer in model.layers]


@pytest.mark.parametrize(
    "name",
    [
        "mobilenet_v2",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("efficientnet_b0", "mobilenet_v3_small", "mobilenet_v3_large", "resnet50")
        ),
    ],
)
def test_whole_backbone_equals_keras(name):
    pretrained = name == "mobilenet_v2"
    model = Application(name, weights="bundled" if pretrained else None).build(32, seed=0)
    clone = for_cpu(model)
    assert len(swapped(clone)) > 30
    assert [layer.name for layer in clone.layers] == [layer.name for layer in model.layers]
    images = RNG.integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    expected = model.predict_on_batch(images)
    scale = np.abs(expected).max()
    assert scale > 0
    np.testing.assert_allclose(clone.predict_on_batch(images), expected, atol=1e-5 * scale)


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
    assert [w.name for w in clone.weights] == [w.name for w in model.weights]
    assert [w.name for w in clone.trainable_weights] == ["kernel", "bias"]
    for new, old in zip(values(clone), values(model), strict=True):
        np.testing.assert_array_equal(new, old)
    x = maps(8, 8, 3)
    np.testing.assert_allclose(clone(x), model(x), atol=1e-5)


def test_weights_are_copies_and_move_back():
    model, x = around(layers.DepthwiseConv2D(3)), maps()
    before = values(model)
    clone = for_cpu(model)
    clone.weights[0].assign(np.ones(before[0].shape))
    np.testing.assert_array_equal(values(model)[0], before[0])
    model.set_weights(values(clone))
    np.testing.assert_allclose(model(x)[0], clone(x)[0], atol=1e-5)


def test_gradients_equal_keras():
    x = maps()
    inputs = keras.Input(x.shape[1:])
    y = layers.Conv2D(5, 1, 2, activation="tanh")(inputs)
    model = keras.Model(inputs, layers.DepthwiseConv2D(3, padding="same")(y))

    def gradients(model: keras.Model) -> list[jax.Array]:
        def loss(trainable: list[jax.Array]) -> jax.Array:
            return (model.stateless_call(trainable, [], x)[0] ** 2).sum()

        return jax.jit(jax.grad(loss))([weight.value for weight in model.trainable_weights])

    for new, old in zip(gradients(for_cpu(model)), gradients(model), strict=True):
        np.testing.assert_allclose(new, old, rtol=1e-4, atol=1e-4)


def test_mixed_precision_computes_in_bfloat16():
    model, x = around(layers.DepthwiseConv2D(3, dtype="mixed_bfloat16")), maps()
    clone = for_cpu(model)
    new, old = clone(x)[0], model(x)[0]
    assert new.dtype == old.dtype == "bfloat16"
    assert clone.weights[0].dtype == "float32"
    np.testing.assert_allclose(new.astype("float32"), old.astype("float32"), rtol=0.1, atol=0.1)
