"""Backbones: what maps uint8 images to feature maps, with its own preprocessing inside."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers

from crackexp.errors import ConfigError
from crackexp.models.initial import start_from, start_random
from crackexp.models.weights import bundled_weights, download, load_weights, weights_file
from crackexp.seeds import keras_seed

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
"""The widths that have ImageNet weights; the others have none to choose."""


class Application:
    """An architecture of `keras.applications` without its classification layers.

    Args:
        name: a key of `APPLICATIONS`.
        alpha: width of the MobileNets as a multiple of the paper's; 1.0 for the others.
        weights: "bundled" (ImageNet, no download, mobilenet_v2 with alpha 1.0), "imagenet" (Keras' download), a file
            that `load_weights` reads, or None (random).
        finetune_from: the layer that a trainer which trains the backbone too starts at, by default; must exist.

    Attributes:
        min_size: smallest image size in pixels.
    """

    min_size = 32

    def __init__(
        self,
        name: str,
        alpha: float = 1.0,
        weights: str | None = "imagenet",
        finetune_from: str | None = None,
    ) -> None:
        if name not in APPLICATIONS:
            raise ConfigError(
                f"There is no such backbone; choose from {', '.join(APPLICATIONS)}. Received: backbone.name={name}"
            )
        if alpha != 1.0 and name not in ALPHAS:
            raise ConfigError(
                f"Only the MobileNets have a width; type backbone.alpha=1.0. Received: {name}, backbone.alpha={alpha}"
            )
        if weights == "bundled" and (name, alpha) != ("mobilenet_v2", 1.0):
            raise ConfigError(
                "The bundled weights are those of mobilenet_v2 with alpha 1.0. Type backbone.weights=imagenet "
                f"(download), a file or null (random). Received: backbone={name}, backbone.alpha={alpha}, "
                "backbone.weights=bundled"
            )
        if weights == "imagenet" and alpha not in ALPHAS.get(name, (1.0,)):
            raise ConfigError(
                f"There are ImageNet weights of {name} for alpha {', '.join(map(str, ALPHAS[name]))}. Choose one, or "
                f"type backbone.weights=null. Received: backbone.alpha={alpha}"
            )
        self.name, self.alpha, self.weights, self.finetune_from = (
            name,
            alpha,
            weights,
            finetune_from,
        )

    def build(self, image_size: int, seed: int) -> keras.Model:
        """Builds the backbone with its weights.

        Args:
            image_size: S, in pixels, at least `min_size`.
            seed: of random weights and of the backbone's own dropout; equal seeds give equal bits.

        Returns:
            A flat functional model of Keras' own layers, (B, S, S, 3) uint8 RGB to (B, h, w, C) features.

        Raises:
            ConfigError: S is too small, or `finetune_from` is no layer.
            DataError: the weights cannot be had or do not fit.
        """
        _check_size(image_size, self.min_size, self.name)
        with keras.StatelessScope():
            image = keras.Input((image_size, image_size, 3), dtype="uint8", name="image")
            template = self._application(
                input_tensor=_preprocessed(self.name, image),
                input_shape=(image_size, image_size, 3),
            )
            for weight in template.weights:
                start_from(weight, np.zeros(weight.shape, weight.dtype))
            model = keras.models.clone_model(template, clone_function=_Adapt(seed))
            start_random(model, seed, "backbone")
        check_layer(model, self.finetune_from, "backbone.finetune_from")
        self._load(model)
        return model

    def _application(self, **kwargs: Any) -> keras.Model:
        width = {"alpha": self.alpha} if self.name in ALPHAS else {}
        return APPLICATIONS[self.name](**{"include_top": False, "weights": None, **width, **kwargs})

    def _load(self, model: keras.Model) -> None:
        if self.weights is None:
            return
        if self.weights == "imagenet":
            # Those for 224 px at every image size, so that a sweep over sizes does not mix two sets of weights.
            source = download(
                lambda: self._application(weights="imagenet", input_shape=(224, 224, 3))
            )
            for layer in model.layers:
                if layer.weights:
                    for new, old in zip(
                        layer.weights, source.get_layer(layer.name).weights, strict=True
                    ):
                        new.assign(np.array(old.value))
            return
        load_weights(
            model, bundled_weights() if self.weights == "bundled" else weights_file(self.weights)
        )


class SmallCNN:
    """A small convolutional network to train from nothing: 3x3 convolution, batch norm, ReLU and pooling a block.

    Args:
        widths: channels of each block; between two blocks the map is halved by max pooling.
        finetune_from: None; all of it is trained.

    Attributes:
        min_size: smallest image size in pixels: 2 to the number of blocks.
    """

    name = "small_cnn"
    weights = None

    def __init__(
        self, widths: Sequence[int] = (32, 64, 128, 256), finetune_from: None = None
    ) -> None:
        if not widths or min(widths) < 1:
            raise ConfigError(
                f"small_cnn takes at least one width, each at least 1. Received: backbone.widths={list(widths)}"
            )
        self.widths, self.finetune_from = tuple(widths), finetune_from
        self.min_size = 2 ** len(self.widths)

    def build(self, image_size: int, seed: int) -> keras.Model:
        """Builds the network with random weights; arguments and result as of `Application.build`."""
        _check_size(image_size, self.min_size, self.name)
        with keras.StatelessScope():
            image = keras.Input((image_size, image_size, 3), dtype="uint8", name="image")
            x = _rescaling(1 / 127.5, -1.0, "rescaling")(image)
            for number, width in enumerate(self.widths, start=1):
                if number > 1:
                    x = layers.MaxPooling2D(name=f"block_{number - 1}_pool")(x)
                x = layers.Conv2D(
                    width, 3, padding="same", use_bias=False, name=f"block_{number}_conv"
                )(x)
                x = layers.BatchNormalization(momentum=0.9, name=f"block_{number}_bn")(x)
                x = layers.ReLU(name=f"block_{number}_relu")(x)
            model = keras.Model(image, x, name=self.name)
            start_random(model, seed, "backbone")
        return model


def check_layer(model: keras.Model, name: str | None, key: str) -> None:
    """Raises ConfigError, with close names, where `name` is not None and no layer of `model`; `key` is what to mend."""
    from difflib import get_close_matches

    names = [layer.name for layer in model.layers]
    if name is not None and name not in names:
        close = get_close_matches(name, names, n=3, cutoff=0.4) or names[-3:]
        raise ConfigError(
            f"{model.name} has no such layer. Did you mean {' or '.join(close)}? Received: {key}={name}"
        )


class _Adapt:
    """Clones the layers of an application: deterministic names and dropout seeds, preprocessing in float32.

    EfficientNet's Normalization is swapped for the standardisation that it stands for with ImageNet weights; Keras
    stores its numbers as weights and adds a second Rescaling only where it loads the weights itself
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
        """Returns the layer's name; one that Keras numbered over the whole process is numbered within the model."""
        stem = re.sub(r"_\d+$", "", layer.name)
        if stem.replace("_", "") != type(layer).__name__.lower():
            return str(layer.name)
        self.counts[stem] += 1
        return stem if self.counts[stem] == 1 else f"{stem}_{self.counts[stem] - 1}"


def _preprocessed(name: str, image: keras.KerasTensor) -> keras.KerasTensor:
    """Returns what the application expects: float32 (B, S, S, 3), or the image where it preprocesses by itself."""
    if name == "mobilenet_v2":
        return _rescaling(1 / 127.5, -1.0, "preprocess")(image)
    if name == "resnet50":
        return _caffe(image)
    return image


def _caffe(image: keras.KerasTensor) -> keras.KerasTensor:
    """Returns BGR minus ImageNet's mean.

    The channels are cut out as columns of a "channels first" image, because an op that flips them cannot be read
    back from `.h5`.
    """
    channels = [
        layers.Cropping2D(
            ((0, 0), (i, 2 - i)), data_format="channels_first", name=f"preprocess_{color}"
        )(image)
        for i, color in enumerate(("red", "green", "blue"))
    ]
    bgr = layers.Concatenate(name="preprocess_bgr")(channels[::-1])
    return _rescaling(1.0, [-mean for mean in CAFFE_MEAN_BGR], "preprocess")(bgr)


def _rescaling(
    scale: float | list[float], offset: float | list[float], name: str
) -> layers.Rescaling:
    return layers.Rescaling(scale, offset, dtype="float32", name=name)


def _check_size(image_size: int, min_size: int, name: str) -> None:
    if image_size < min_size:
        raise ConfigError(
            f"{name} needs images of at least {min_size} pixels. Received: image_size={image_size}"
        )
