"""The backbones of crackexp: they map uint8 images to feature maps, with their preprocessing inside."""

import re
from collections import Counter
from collections.abc import Callable
from difflib import get_close_matches
from typing import Annotated, Any, Literal

import keras
import numpy as np
from keras import layers
from pydantic import Field

from crackexp.config.types import Text
from crackexp.models.base import Backbone
from crackexp.models.initializers import start_random
from crackexp.models.saved import start_from
from crackexp.models.weight_files import bundled_weights, weights_file
from crackexp.models.weights import download, load_weights
from crackexp.utils.errors import ConfigError
from crackexp.utils.seeds import keras_seed

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)

APPLICATIONS: dict[str, Callable[..., keras.Model]] = {
    "mobilenet_v2": keras.applications.MobileNetV2,
    "mobilenet_v3_small": keras.applications.MobileNetV3Small,
    "mobilenet_v3_large": keras.applications.MobileNetV3Large,
    "efficientnet_b0": keras.applications.EfficientNetB0,
    "resnet50": keras.applications.ResNet50,
}
ALPHAS: dict[str, tuple[float, ...]] = {
    "mobilenet_v2": (0.35, 0.5, 0.75, 1.0, 1.3, 1.4),
    "mobilenet_v3_small": (0.75, 1.0),
    "mobilenet_v3_large": (0.75, 1.0),
}
"""The widths for which Keras has ImageNet weights, of each architecture that comes in several widths."""


class Application(Backbone):
    """An architecture of `keras.applications` without its classification layers, with its preprocessing inside.

    Args:
        name: The architecture.
        alpha: The width of a MobileNet relative to the one of its paper; it is 1.0 for the other architectures.
        weights: "bundled" for ImageNet weights without a download (only mobilenet_v2 with alpha 1.0), "imagenet" for
            those that Keras downloads, the path of a weights file, or null for random weights.
        finetune_from: The name of the first layer that trainer=finetune trains; null trains all layers.
        output_layer: The name of the layer whose feature maps the head takes; null takes the last layer.

    Raises:
        ConfigError: The arguments do not fit each other, or there is no such weights file.

    Example:

    >>> backbone = Application("mobilenet_v2", alpha=0.35, output_layer="block_3_expand_relu")
    >>> backbone.build(image_size=32, seed=0).output_shape
    (None, 8, 8, 48)
    """

    min_size = 32

    def __init__(
        self,
        name: Literal["mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "efficientnet_b0", "resnet50"],
        alpha: Annotated[float, Field(gt=0, le=2)] = 1.0,
        weights: Text | None = None,
        finetune_from: Text | None = None,
        output_layer: Text | None = None,
    ) -> None:
        if alpha != 1.0 and name not in ALPHAS:
            raise ConfigError(
                "Only the MobileNets come in several widths; type backbone.alpha=1.0. "
                f"Received: backbone.name={name}, backbone.alpha={alpha}"
            )
        if weights == "bundled" and (name, alpha) != ("mobilenet_v2", 1.0):
            raise ConfigError(
                "The bundled weights are those of mobilenet_v2 with alpha 1.0; type "
                "backbone.weights=imagenet (download), a file, or null (random). Received: "
                f"backbone.name={name}, backbone.alpha={alpha}, backbone.weights=bundled"
            )
        if weights == "imagenet" and alpha not in ALPHAS.get(name, (1.0,)):
            raise ConfigError(
                f"Keras has ImageNet weights of {name} for the widths {ALPHAS[name]}; choose one "
                f"of them, or type backbone.weights=null. Received: backbone.alpha={alpha}"
            )
        if weights not in (None, "bundled", "imagenet"):
            weights_file(weights)
        self.name, self.alpha, self.weights = name, alpha, weights
        self.finetune_from, self.output_layer = finetune_from, output_layer

    def build(self, image_size: int, seed: int) -> keras.Model:
        """Builds the network with its weights; see `Backbone.build`. It is flat and made of Keras' own layers.

        Raises:
            ConfigError: The images are too small, or `finetune_from` or `output_layer` is no layer.
            DataError: The weights cannot be downloaded or read, or do not fit the architecture.
        """
        _check_size(image_size, self.min_size, self.name)
        shape = (image_size, image_size, 3)
        with keras.StatelessScope():
            image = keras.Input(shape, dtype="uint8", name="image")
            stock = self._application(weights=None, input_tensor=_preprocessed(self.name, image), input_shape=shape)
            _start_from_zeros(stock)
            clone = keras.models.clone_model(stock, clone_function=_Adapt(seed), call_function=_call)
            # The application takes a list of one image batch; this takes the batch.
            model = keras.Model(clone.inputs[0], clone.outputs[0], name=self.name)
            if self.weights is None:
                start_random(model, seed, "backbone")
            else:  # every weight is loaded below
                _start_from_zeros(model)
        check_layer(model, self.finetune_from, "backbone.finetune_from")
        check_layer(model, self.output_layer, "backbone.output_layer")
        if self.weights == "imagenet":
            self._download(model)
        elif self.weights is not None:
            bundled = self.weights == "bundled"
            load_weights(model, bundled_weights() if bundled else weights_file(self.weights))
        if self.output_layer is not None:
            model = keras.Model(model.input, model.get_layer(self.output_layer).output, name=self.name)
        return model

    def _application(self, **kwargs: Any) -> keras.Model:
        width = {"alpha": self.alpha} if self.name in ALPHAS else {}
        return APPLICATIONS[self.name](include_top=False, **width, **kwargs)

    def _download(self, model: keras.Model) -> None:
        """Sets the weights for 224 px at every image size, so that a sweep over sizes does not mix two sets of them."""
        source = download(
            lambda: self._application(weights="imagenet", input_shape=(224, 224, 3)), self.name, self.alpha
        )
        for layer in model.layers:
            if layer.weights:
                weights = source.get_layer(layer.name).weights
                layer.set_weights([np.array(weight.value) for weight in weights])


class SmallCNN(Backbone):
    """A small network that is trained from nothing. Each block is a 3x3 convolution, batch normalization and ReLU.

    Max pooling halves the feature maps between two blocks.

    Args:
        widths: The number of channels of each block.
        finetune_from: It is null, since all layers are trained.

    Example:

    >>> SmallCNN([4, 8]).build(image_size=32, seed=0).output_shape
    (None, 16, 16, 8)
    """

    name = "small_cnn"
    pretrained = False

    def __init__(
        self,
        widths: Annotated[list[Annotated[int, Field(gt=0, le=8192)]], Field(min_length=1, max_length=5)],
        finetune_from: Literal[None] = None,
    ) -> None:
        self.widths, self.finetune_from = tuple(widths), finetune_from
        self.min_size = 2 ** len(self.widths)

    def build(self, image_size: int, seed: int) -> keras.Model:
        """Builds the network with random weights; see `Backbone.build`."""
        _check_size(image_size, self.min_size, self.name)
        with keras.StatelessScope():
            image = keras.Input((image_size, image_size, 3), dtype="uint8", name="image")
            x = _rescaling(1 / 127.5, -1.0, "preprocess")(image)
            for number, width in enumerate(self.widths, start=1):
                block = f"block_{number}"
                if number > 1:
                    x = layers.MaxPooling2D(name=f"{block}_pool")(x)
                x = layers.Conv2D(width, 3, padding="same", use_bias=False, name=f"{block}_conv")(x)
                x = layers.BatchNormalization(momentum=0.9, name=f"{block}_bn")(x)
                x = layers.ReLU(name=f"{block}_relu")(x)
            model = keras.Model(image, x, name=self.name)
            start_random(model, seed, "backbone")
        return model


def check_layer(model: keras.Model, name: str | None, key: str) -> None:
    """Checks that `model` has a layer of a name; None passes.

    Args:
        model: The network.
        name: The name of the layer, or None.
        key: The key of the config that holds the name.

    Raises:
        ConfigError: There is no such layer; the message proposes similar names.
    """
    names = [layer.name for layer in model.layers]
    if name is None or name in names:
        return
    close = get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(close)}?" if close else f"Its last is {names[-1]}."
    raise ConfigError(f"{model.name} has no such layer. {hint} Received: {key}={name}")


class _Adapt:
    """Clones the layers of an application, with names and dropout seeds of the model's own and float32 preprocessing.

    EfficientNet's Normalization becomes the standardisation that it is with ImageNet weights. Keras keeps its numbers
    as weights, and adds a second Rescaling only where it loads the weights itself
    (https://github.com/tensorflow/tensorflow/issues/49930).
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.counts: Counter[str] = Counter()

    def __call__(self, layer: layers.Layer) -> layers.Layer:
        if isinstance(layer, layers.Normalization):
            scale = [1 / std for std in IMAGENET_STD]
            offset = [-mean / std for mean, std in zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)]
            return _rescaling(scale, offset, "standardization")
        config = layer.get_config()
        config["name"] = self._name(layer)
        if isinstance(layer, layers.Rescaling):
            config["dtype"] = "float32"
        if "seed" in config:
            config["seed"] = keras_seed(self.seed, "backbone", config["name"])
        return type(layer).from_config(config)

    def _name(self, layer: layers.Layer) -> str:
        """Returns the name of a layer, with the number that Keras counts over the process counted over the model."""
        stem = re.sub(r"_\d+$", "", layer.name)
        if stem.replace("_", "") != type(layer).__name__.lower():
            return str(layer.name)
        self.counts[stem] += 1
        return stem if self.counts[stem] == 1 else f"{stem}_{self.counts[stem] - 1}"


def _call(layer: Any, *args: Any, **kwargs: Any) -> Any:
    """Calls a cloned layer, or turns MobileNetV3's bare operations `x + 3` and `x / 6` into layers.

    Keras cannot read a `.h5` file back that holds such operations.
    """
    if isinstance(layer, layers.Layer):
        return layer(*args, **kwargs)
    x, number = args
    scale, offset = {"Add": (1.0, number), "Multiply": (number, 0.0)}[type(layer).__name__]
    return layers.Rescaling(scale, offset, name=layer.name)(x)


def _preprocessed(name: str, image: keras.KerasTensor) -> keras.KerasTensor:
    """Preprocesses the images of the applications that do not preprocess them themselves."""
    if name == "mobilenet_v2":
        return _rescaling(1 / 127.5, -1.0, "preprocess")(image)
    if name == "resnet50":
        return _caffe(image)
    return image


def _caffe(image: keras.KerasTensor) -> keras.KerasTensor:
    """Returns images in BGR minus the mean of ImageNet.

    A channel is cut out as a column of a "channels first" image, since Keras cannot read a `.h5` file back that holds
    an operation which flips the channels.
    """
    red, green, blue = (
        layers.Cropping2D(((0, 0), (i, 2 - i)), data_format="channels_first", name=f"preprocess_{color}")(image)
        for i, color in enumerate(("red", "green", "blue"))
    )
    bgr = layers.Concatenate(name="preprocess_bgr")([blue, green, red])
    return _rescaling(1.0, [-mean for mean in CAFFE_MEAN_BGR], "preprocess")(bgr)


def _rescaling(scale: float | list[float], offset: float | list[float], name: str) -> layers.Rescaling:
    return layers.Rescaling(scale, offset, dtype="float32", name=name)


def _start_from_zeros(model: keras.Model) -> None:
    """Makes zeros the first values of `model`, created in the open `keras.StatelessScope`, to be replaced later."""
    for weight in model.weights:
        start_from(weight, np.zeros(weight.shape, weight.dtype))


def _check_size(image_size: int, min_size: int, name: str) -> None:
    if image_size < min_size:
        raise ConfigError(f"{name} needs images of at least {min_size} pixels. Received: image_size={image_size}")
