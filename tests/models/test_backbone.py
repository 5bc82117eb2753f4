"""What a backbone computes: preprocessing against Keras' functions, weights, names, refusals."""

import re
from collections.abc import Callable

import keras
import numpy as np
import pytest
from keras import layers

from crackexp.models.backbone import APPLICATIONS, Application, SmallCNN
from crackexp.models.saved import start_from
from crackexp.models.weight_files import bundled_weights
from crackexp.models.weights import weights_digest
from crackexp.utils.errors import ConfigError, DataError

PREPROCESSING = {
    "mobilenet_v2": ("Conv1", keras.applications.mobilenet_v2.preprocess_input),
    "mobilenet_v3_small": ("conv", lambda x: x / 127.5 - 1),
    "mobilenet_v3_large": ("conv", lambda x: x / 127.5 - 1),
    "efficientnet_b0": (
        "stem_conv_pad",
        lambda x: keras.applications.imagenet_utils.preprocess_input(x, mode="torch"),
    ),
    "resnet50": ("conv1_pad", keras.applications.resnet50.preprocess_input),
}
WEIGHTED = ("Conv2D", "DepthwiseConv2D", "BatchNormalization")


def unset(build: Callable[[], keras.Model]) -> keras.Model:
    """Builds a stock network with zeros for weights, in a tenth of the time."""
    with keras.StatelessScope():
        model = build()
        for weight in model.weights:
            start_from(weight, np.zeros(weight.shape, weight.dtype))
    return model


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)


@pytest.fixture(scope="module", params=APPLICATIONS)
def application(request) -> tuple[str, keras.Model]:
    return request.param, Application(request.param).build(32, seed=3)


def test_preprocessing_equals_keras(application, images):
    name, model = application
    first, preprocess = PREPROCESSING[name]
    inside = keras.Model(model.input, model.get_layer(first).input)
    expected = preprocess(images.astype(np.float32))
    np.testing.assert_allclose(inside(images), expected, rtol=1e-5, atol=2e-5)


def test_network_behind_the_preprocessing_is_the_stock_one(application):
    """Same weighted layers in the same order, with the same settings."""
    name, model = application
    stock = unset(lambda: APPLICATIONS[name](include_top=False, weights=None, input_shape=(32, 32, 3)))

    def settings(network: keras.Model) -> list[dict]:
        kept = [layer for layer in network.layers if type(layer).__name__ in WEIGHTED]
        configs = [{**layer.get_config(), "dtype": None} for layer in kept]
        return [
            {**config, "shapes": [tuple(w.shape) for w in layer.weights]}
            for layer, config in zip(kept, configs, strict=True)
        ]

    assert settings(model) == settings(stock)
    assert model.output_shape == stock.output_shape
    assert all(not isinstance(layer, keras.Model) for layer in model.layers)
    assert {type(layer).__module__.split(".")[0] for layer in model.layers} == {"keras"}


def test_input_is_uint8_pixels(application):
    _, model = application
    assert model.input_shape == (None, 32, 32, 3)
    assert model.input.dtype == "uint8"
    assert len(model.output_shape) == 4


def test_equal_seeds_give_equal_names_and_bits(application):
    name, model = application
    again = Application(name).build(32, seed=3)
    assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]
    assert again.get_config() == model.get_config()
    assert weights_digest(again) == weights_digest(model)
    assert weights_digest(Application(name).build(32, seed=4)) != weights_digest(model)


def test_dropout_of_efficientnet_is_seeded():
    def seeds(seed: int) -> list[int]:
        model = Application("efficientnet_b0").build(32, seed)
        return [layer.seed for layer in model.layers if isinstance(layer, layers.Dropout)]

    first, second = seeds(0), seeds(1)
    assert len({*first, *second}) == 2 * len(first) > 10


def test_global_random_state_is_left_alone():
    keras.utils.set_random_seed(5)
    expected = np.random.random()  # noqa: NPY002 - the global state is what is tested
    keras.utils.set_random_seed(5)
    SmallCNN((4,)).build(32, seed=0)
    Application("mobilenet_v2", alpha=0.35).build(32, seed=0)
    assert np.random.random() == expected  # noqa: NPY002 - the global state is what is tested


def test_bundled_weights_give_the_features_of_keras(images):
    """Against the stock network with its head, which Keras itself loads the file into."""
    model = Application("mobilenet_v2", weights="bundled").build(32, seed=0)
    stock = unset(lambda: APPLICATIONS["mobilenet_v2"](input_shape=(32, 32, 3), weights=None))
    stock.load_weights(bundled_weights())
    features = keras.Model(stock.input, stock.get_layer("out_relu").output)
    x = keras.applications.mobilenet_v2.preprocess_input(images.astype(np.float32))
    expected = features.predict_on_batch(x)
    assert expected.max() > 1
    np.testing.assert_allclose(model.predict_on_batch(images), expected, atol=1e-4)


@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0"])
def test_downloaded_weights_are_those_for_224_pixels(name, monkeypatch):
    stock = APPLICATIONS[name]
    asked = []

    def downloads(**kwargs):
        if kwargs["weights"] is None:
            return stock(**kwargs)
        asked.append((kwargs["weights"], kwargs["input_shape"]))
        with keras.StatelessScope():
            source = stock(**{**kwargs, "weights": None})
            for number, weight in enumerate(source.weights):
                start_from(weight, np.full(weight.shape, number, weight.dtype))
        return source

    monkeypatch.setitem(APPLICATIONS, name, downloads)
    model = Application(name, weights="imagenet").build(64, seed=0)
    assert asked == [("imagenet", (224, 224, 3))]
    found = [float(np.asarray(weight.value).flat[0]) for weight in model.weights]
    offset = found[0]
    assert offset == (3.0 if name == "efficientnet_b0" else 0.0)  # its Normalization has 3 weights
    np.testing.assert_array_equal(found, np.arange(len(found)) + offset)


def test_a_weights_file_is_read(tmp_path):
    source = Application("mobilenet_v2", alpha=0.35).build(32, seed=1)
    source.save(tmp_path / "model.keras")
    path = str(tmp_path / "model.keras")
    model = Application("mobilenet_v2", alpha=0.35, weights=path).build(64, seed=2)
    assert weights_digest(model) == weights_digest(source)
    with pytest.raises(DataError, match=r"layer Conv1 .*backbone\.alpha"):
        Application("mobilenet_v2", alpha=1.3, weights=path).build(64, seed=2)


def test_small_cnn(images):
    model = SmallCNN((32, 64, 128, 256)).build(32, seed=0)
    assert model.output_shape == (None, 4, 4, 256)
    assert 300_000 < model.count_params() < 500_000
    features = model.predict_on_batch(images)
    assert features.min() == 0
    assert np.isfinite(features).all()
    assert features.std() > 0.01
    assert weights_digest(SmallCNN((32, 64, 128, 256)).build(32, 0)) == weights_digest(model)
    inside = keras.Model(model.input, model.get_layer("block_1_conv").input)
    np.testing.assert_allclose(inside(images), images / 127.5 - 1, atol=1e-6)


def test_mixed_precision_keeps_preprocessing_and_weights_in_float32():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = Application("mobilenet_v3_small").build(32, seed=0)
    finally:
        keras.config.set_dtype_policy(policy)
    assert model.get_layer("rescaling").compute_dtype == "float32"
    assert model.get_layer("conv").compute_dtype == "bfloat16"
    assert {weight.dtype for weight in model.weights} == {"float32"}


def refusal(message: str):
    return pytest.raises(ConfigError, match=f"{message}.*Received: ")


def test_refusals():
    with refusal("Only the MobileNets"):
        Application("resnet50", alpha=0.5)
    with refusal("bundled weights are those of mobilenet_v2"):
        Application("mobilenet_v2", alpha=0.5, weights="bundled")
    with refusal("bundled weights are those of mobilenet_v2"):
        Application("resnet50", weights="bundled")
    with refusal(re.escape("the widths (0.75, 1.0)")):
        Application("mobilenet_v3_small", alpha=0.5, weights="imagenet")
    with refusal("at least 32 pixels"):
        Application("mobilenet_v2", alpha=0.35).build(31, seed=0)
    with refusal("at least 16 pixels"):
        SmallCNN((4, 4, 4, 4)).build(15, seed=0)
    with refusal("Did you mean block_13_expand"):
        Application("mobilenet_v2", 0.35, finetune_from="block_13_expnd").build(32, seed=0)
