"""Grad-CAM: maps of the parts of an image that speak for or against a class, or a group of classes."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from crackexp.models.backbone import check_layer
from crackexp.models.receptive import Grid, Spacing, through
from crackexp.models.saved import start_from
from crackexp.utils.errors import ConfigError


class GradCam:
    """Maps of a classifier for one class, or for several classes as one (Selvaraju et al. 2017, arXiv:1610.02391).

    The explained score is the log-odds of the classes, log p - log(1 - p), where p is the sum of their probabilities.
    It is computed from the inputs of the softmax. A probability near 1 has no gradient left, and the input of the
    softmax for a single class says nothing alone, since a number added for all classes changes no probability.

    A map is the sum of the channels of a layer, each weighted by the gradient of the score summed over the locations.
    It is not rectified: values above 0 are Grad-CAM of the class, and values below 0 are the counterfactual of the
    paper, which for two classes is Grad-CAM of the other class. Where mean pooling and a linear layer follow, the map
    is CAM (Zhou et al. 2016, arXiv:1512.04150): the value of a location is the log-odds, less the bias, of an image
    that looks like this location everywhere, and the mean over the locations is the value of the image.

    Args:
        classifier: A functional or sequential model that maps images (B, S, S, 3) to probabilities (B, c) and whose
            last layer has the activation softmax. Backbone and head may be models within it.
        targets: The indices of the classes. They must not be all classes.
        layer: The name of the layer whose channels are weighted; None for the last layer with more than one location.

    Attributes:
        network: A model that maps images (B, S, S, 3) to probabilities (B, c) and maps (B, h, w), float32. It runs the
            classifier once forward, and back to the layer. It shares the weights of the classifier but for those of the
            last layer, which are copied.
        layer: The name of the layer.
        grid: The positions of the locations of the maps in the image.

    Raises:
        ConfigError: There is no such layer, it has no height and width, or the classifier does not end with a softmax.
    """

    def __init__(self, classifier: keras.Model, targets: Sequence[int], layer: str | None = None) -> None:
        self._last = _last(classifier)
        self._maps: dict[str, keras.KerasTensor] = {}
        self._grids: dict[int, Grid] = {}
        (image,) = classifier.inputs
        self._grids[id(image)] = Spacing(), Spacing()
        self._pixels = image.shape[1:3]
        scores = self._run(classifier, [image])
        if layer:
            check_layer(keras.Model(image, scores, name=classifier.name), layer, "layer")
        large = [name for name, features in self._maps.items() if max(features.shape[1:3]) > 1]
        self.layer = layer or [image.name, *self._maps, *large][-1]
        features = self._maps.get(self.layer)
        if features is None:
            names = ", ".join(list(self._maps)[-3:])
            raise ConfigError(f"A map needs a layer with height and width, as {names}. Received: layer={self.layer}")
        self.grid = self._grids[id(features)]
        behind = keras.Model([image, features], scores)
        self.network = keras.Model(image, _Maps(behind, targets)([image, features]), name="explained")

    def enlarge(self, maps: np.ndarray, height: int, width: int) -> np.ndarray:
        """Enlarges maps to the size of a picture of the whole image.

        Each value is placed at the center of what its location sees, and values between the centers are interpolated
        linearly.

        Args:
            maps: The maps, (n, h, w) float32.
            height: The height of the picture in pixels.
            width: The width of the picture in pixels.

        Returns:
            The enlarged maps, (n, height, width) float32.
        """
        rows, columns = (
            spacing.weights(*sizes)
            for spacing, *sizes in zip(self.grid, maps.shape[1:], self._pixels, (height, width), strict=True)
        )
        return rows @ maps @ columns.T

    def _run(self, model: keras.Model, inputs: list[keras.KerasTensor]) -> keras.KerasTensor:
        """Calls the layers of `model` and of the models within it on `inputs`, so that they form one flat graph."""
        outputs = None

        def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
            nonlocal outputs
            tensors = keras.tree.flatten(args)
            if isinstance(layer, keras.Model):
                outputs = self._run(layer, tensors)
            else:
                outputs = _scores(layer, *args) if layer is self._last else layer(*args, **kwargs)
                self._record(layer, tensors, outputs)
            return outputs

        plain = keras.Model(model.inputs, model.outputs, name=model.name)
        keras.models.clone_model(plain, inputs, clone_function=lambda layer: layer, call_function=call)
        return outputs

    def _record(self, layer: Any, inputs: list[Any], outputs: Any) -> None:
        """Records a feature map and the positions of its locations in the image."""
        known = next((tensor for tensor in inputs if id(tensor) in self._grids), None)
        if known is None or not isinstance(outputs, keras.KerasTensor) or len(outputs.shape) != 4:
            return
        self._grids[id(outputs)] = through(layer, self._grids[id(known)], known.shape[1:3], outputs.shape[1:3])
        self._maps[layer.name] = outputs


class _Maps(keras.layers.Layer):
    """Computes probabilities and maps from images and the feature maps of a layer.

    Args:
        behind: A model that maps images and feature maps (B, h, w, d) to the inputs of the softmax, (B, c).
        targets: The indices of the classes.
    """

    def __init__(self, behind: keras.Model, targets: Sequence[int]) -> None:
        super().__init__(name="maps", dtype="float32", autocast=False)
        self.behind = behind
        self.mine = np.isin(np.arange(behind.output_shape[-1]), targets)

    def call(self, inputs: list[jax.Array]) -> tuple[jax.Array, jax.Array]:
        image, features = inputs
        scores, back = jax.vjp(lambda maps: self.behind([image, maps]), features)
        mine = jax.nn.softmax(jnp.where(self.mine, scores, -jnp.inf))
        others = jax.nn.softmax(jnp.where(self.mine, -jnp.inf, scores))
        (gradients,) = back(mine - others)
        weights = jnp.sum(gradients, axis=(1, 2), dtype="float32")
        maps = jnp.einsum("bhwd,bd->bhw", features.astype("float32"), weights)
        return jax.nn.softmax(scores), maps


def _last(model: keras.Model) -> keras.layers.Layer:
    last = model
    while isinstance(last, keras.Model):
        last = last.layers[-1]
    if getattr(last, "activation", None) is not keras.activations.softmax:
        raise ConfigError(f"A map needs a classifier that ends with a softmax. Received: layer {last.name}")
    return last


def _scores(layer: keras.layers.Layer, inputs: keras.KerasTensor) -> keras.KerasTensor:
    """Returns the inputs of the softmax of `layer`."""
    with keras.StatelessScope():
        twin = type(layer).from_config({**layer.get_config(), "activation": "linear"})
        outputs = twin(inputs)
        for new, old in zip(twin.weights, layer.weights, strict=True):
            start_from(new, np.array(old.value))
    twin.trainable = layer.trainable
    return outputs
