"""ONNX graphs: the numbers of the Keras model, in the engines that read them."""

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from keras import layers

from crackexp.inference.graph import onnx_model
from crackexp.inference.graph_layers import LAYERS
from crackexp.inference.graph_writer import UnknownLayerError
from crackexp.models.backbone import Application, SmallCNN
from crackexp.models.base import Backbone, Head
from crackexp.models.calibrated import calibrated
from crackexp.models.classifier import headed
from crackexp.models.heads import MultipleInstanceHead, PooledHead

SIZE = 32
RNG = np.random.default_rng(0)
POOLED, MIL = PooledHead(0.2), MultipleInstanceHead(8, 0.2)
BACKBONES = {
    "mobilenet_v2": Application("mobilenet_v2", alpha=0.35),
    "mobilenet_v2, an earlier layer": Application("mobilenet_v2", alpha=0.35, output_layer="block_6_expand_relu"),
    "mobilenet_v3_small": Application("mobilenet_v3_small", alpha=0.75),
    "mobilenet_v3_large": Application("mobilenet_v3_large", alpha=0.75),
    "efficientnet_b0": Application("efficientnet_b0"),
    "resnet50": Application("resnet50"),
    "small_cnn": SmallCNN([4, 8]),
}
SLOW = {"mobilenet_v3_large", "efficientnet_b0", "resnet50"}


def run(model: keras.Model, inputs: np.ndarray) -> list[np.ndarray]:
    """Returns the outputs of ONNX Runtime for the graph of a model."""
    graph = onnx_model(model)
    onnx.checker.check_model(graph, full_check=True)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": inputs})


def with_drawn_statistics(model: keras.Model) -> keras.Model:
    """Makes the numbers of batch norms others than 0 and 1, so that a mistake in them shows."""
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([RNG.uniform(0.8, 1.2, weight.shape).astype(np.float32) for weight in layer.weights])
    return model


@pytest.mark.parametrize("head", [POOLED, MIL], ids=["pooled", "mil"])
@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in BACKBONES])
def test_every_backbone_and_head_has_the_numbers_of_keras(name: str, head: Head) -> None:
    backbone: Backbone = BACKBONES[name]
    network = with_drawn_statistics(backbone.build(SIZE, seed=0))
    embedding = head.embedding(network)
    top = head.build(network.output_shape[1:], 2, [1], seed=0)
    classifier = calibrated(headed(embedding, top), 1.3, -0.2, [1])
    images = RNG.integers(0, 256, (3, SIZE, SIZE, 3), np.uint8)
    for model in (embedding, classifier):
        wanted, (found,) = np.asarray(model(images)), run(model, images)
        assert wanted.std() > 0
        assert np.abs(found - wanted).max() <= 1e-4 * np.abs(wanted).max()


def test_batch_norms_become_part_of_convolutions() -> None:
    graph = onnx_model(Application("mobilenet_v2", alpha=0.35).build(SIZE, seed=0)).graph
    kinds = [node.op_type for node in graph.node]
    assert "BatchNormalization" not in kinds
    assert kinds.count("Conv") == 52
    assert len(kinds) < 110


SINGLE = {
    "conv": layers.Conv2D(6, 3, strides=2, padding="same", activation="relu", bias_initializer="normal"),
    "dilated": layers.Conv2D(6, (3, 2), dilation_rate=2, use_bias=False),
    "grouped": layers.Conv2D(6, 1, groups=3, activation="hard_sigmoid"),
    "depthwise": layers.DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=2, activation="silu"),
    "batch norm": layers.BatchNormalization(center=False, scale=False),
    "relu6": layers.ReLU(6.0),
    "leaky": layers.ReLU(negative_slope=0.1),
    "hard_silu": layers.Activation("hard_silu"),
    "tanh": layers.Activation("tanh"),
    "softmax": layers.Softmax(axis=1),
    "log_softmax": layers.Activation("log_softmax"),
    "padding": layers.ZeroPadding2D(((1, 2), (0, 3))),
    "padding, channels first": layers.ZeroPadding2D(((1, 2), (0, 3)), data_format="channels_first"),
    "cropping": layers.Cropping2D(((1, 2), (0, 3))),
    "cropping, channels first": layers.Cropping2D(((1, 0), (0, 1)), data_format="channels_first"),
    "max": layers.MaxPooling2D(3, strides=2, padding="same"),
    "average": layers.AveragePooling2D(3, strides=2, padding="same"),
    "global": layers.GlobalAveragePooling2D(keepdims=True),
    "global max": layers.GlobalMaxPooling2D(),
    "reshape": layers.Reshape((7, -1)),
    "reshape to maps": layers.Reshape((3, 7, 9)),
    "flatten": layers.Flatten(),
    "permute": layers.Permute((3, 1, 2)),
    "dense": layers.Dense(4, activation="sigmoid"),
    "rescaling": layers.Rescaling([1.0, 2.0, 3.0], [0.5, 0.0, -1.0]),
    "normalization": layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[1.0, 4.0, 0.5]),
    "dropout": layers.Dropout(0.5),
}


@pytest.mark.parametrize("name", SINGLE)
def test_layer_has_the_numbers_of_keras(name: str) -> None:
    image = keras.Input((9, 7, 3), dtype="float32")
    model = with_drawn_statistics(keras.Model(image, SINGLE[name](image)))
    inputs = RNG.normal(0, 3, (2, 9, 7, 3)).astype(np.float32)
    (found,) = run(model, inputs)
    np.testing.assert_allclose(found, model(inputs), rtol=1e-4, atol=1e-5)


def test_models_within_a_model_and_several_outputs_are_written() -> None:
    block = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3, padding="same"), layers.ReLU()])
    image = keras.Input((8, 8, 3), dtype="uint8")
    scaled = layers.Rescaling(1 / 255)(image)
    maps = layers.Concatenate()([layers.Add()([block(scaled), block(scaled)]), scaled])
    gate = layers.Activation("sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(maps))
    model = keras.Model(image, [maps, layers.Dense(2)(layers.Flatten()(layers.Multiply()([maps, gate])))])
    images = RNG.integers(0, 256, (2, 8, 8, 3), np.uint8)
    for found, wanted in zip(run(model, images), model(images), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


class Doubled(layers.Layer):
    """A layer of a user's own."""

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        return 2 * inputs


@pytest.mark.parametrize(
    ("layer", "told"),
    [
        (Doubled(name="mine"), r"layer mine \(Doubled\)"),
        (layers.ReLU(threshold=1.0, name="odd"), r"layer odd \(ReLU\), a threshold"),
        (layers.Activation("mish", name="new"), r"layer new \(Activation\), activation mish"),
        (layers.ReLU(dtype="mixed_bfloat16", name="rounded"), r"layer rounded \(ReLU\) computes in mixed_bfloat16"),
        (layers.Softmax(axis=[1, 2], name="places"), r"layer places \(Softmax\), a mask, or several axes"),
        (layers.Flatten(data_format="channels_first", name="flat"), r"layer flat \(Flatten\), data_format"),
        (layers.Normalization(axis=1, name="rows"), r"layer rows \(Normalization\), invert, or another axis"),
        (layers.Rescaling([[[1.0, 2.0, 3.0]]], name="scaled"), r"layer scaled \(Rescaling\), numbers for more"),
    ],
    ids=["own layer", "argument", "activation", "precision", "axes", "order", "rows", "numbers"],
)
def test_what_is_not_known_is_named(layer: layers.Layer, told: str) -> None:
    image = keras.Input((8, 8, 8 if layer.name == "rows" else 3))
    with pytest.raises(UnknownLayerError, match=told):
        onnx_model(keras.Model(image, layer(image)))


def test_inputs_with_names_are_refused() -> None:
    x = keras.Input((4,))
    mask = keras.ops.greater(x, 0)
    for outputs in (layers.Dense(2)(inputs=x), layers.Softmax()(x, mask=mask)):
        with pytest.raises(UnknownLayerError):
            onnx_model(keras.Model(x, outputs))


def test_pixels_may_enter_any_layer() -> None:
    image = keras.Input((8, 8, 3), dtype="uint8")
    images = RNG.integers(0, 256, (2, 8, 8, 3), np.uint8)
    model = keras.Model(image, layers.ReLU(200.0, dtype="float32")(image))
    np.testing.assert_array_equal(run(model, images)[0], np.minimum(images, 200).astype(np.float32))


def test_a_subclass_of_a_known_layer_is_not_taken_for_it() -> None:
    assert all(kind.__module__.startswith("keras.") for kind in LAYERS)
    own = type("Own", (layers.ReLU,), {"call": lambda self, x: -x})
    image = keras.Input((8, 8, 3))
    with pytest.raises(UnknownLayerError, match=r"\(Own\)"):
        onnx_model(keras.Model(image, own()(image)))


def test_weights_are_those_of_the_moment() -> None:
    image = keras.Input((4,))
    dense = layers.Dense(2)
    model = keras.Model(image, dense(image))
    dense.set_weights([np.ones((4, 2), np.float32), np.zeros(2, np.float32)])
    (found,) = run(model, np.ones((1, 4), np.float32))
    assert found.tolist() == [[4.0, 4.0]]
