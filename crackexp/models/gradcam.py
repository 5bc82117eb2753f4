"""Grad-CAM: what in an image speaks for a class, or for one of several, and what against it."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from crackexp.models.backbone import check_layer
from crackexp.models.initializers import start_from
from crackexp.models.receptive import Grid, Spacing, through
from crackexp.utils.errors import ConfigError


class GradCam:
    """Maps of a classifier for one class, or for several as one: Selvaraju et al. 2017 (arXiv:1610.02391).

    The score that is explained is the log-odds of the classes, log p - log(1 - p) of the sum p of their probabilities,
    computed from what goes into the
    softmax: a probability near 1 has no gradient left, and what goes into the softmax for one class says nothing alone,
    since a number added for all classes changes no probability.

    A map is the sum of a layer's channels, each weighed by the sum over the cells of the gradient of the score. It is
    not rectified: what is above 0 is Grad-CAM of the class, what is below 0 the paper's counterfactual, and with two
    classes Grad-CAM of the other one. Where mean pooling and a linear layer follow, it is CAM (Zhou et al. 2016,
    arXiv:1512.04150): a cell's value is the log-odds, less the bias, of an image that looks like this cell all over,
    and the mean over the cells is that of the image.

    Args:
        classifier: a functional or sequential model of images (B, S, S, 3) to probabilities (B, c), whose last layer
            has the activation softmax; backbone and head may be models in it.
        targets: indices of the classes; not all of them.
        layer: name of the layer whose channels are weighed; None: the last one with more than one cell.

    Attributes:
        network: images (B, S, S, 3) to probabilities (B, c) and maps (B, h, w), float32. It runs the classifier once
            forward, and back as far as the layer. Weights are the classifier's own, those of the last layer copied.
        layer: name of the layer.
        grid: where its cells look.

    Raises:
        ConfigError: there is no such layer, it has no cells, or what it ends with is no softmax.
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
        """Returns maps as large as a picture of the whole image: each cell where it looks, linear between them.

        Args:
            maps: (n, h, w) float32.
            height: of the picture.
            width: of the picture.

        Returns:
            (n, height, width) float32.
        """
        rows, columns = (
            spacing.weights(*sizes)
            for spacing, *sizes in zip(self.grid, maps.shape[1:], self._pixels, (height, width), strict=True)
        )
        return rows @ maps @ columns.T

    def _run(self, model: keras.Model, inputs: list[keras.KerasTensor]) -> keras.KerasTensor:
        """Calls the layers of `model`, and those of models within it, on `inputs`: one flat graph."""
        outputs = None

        def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
            nonlocal outputs
            given = keras.tree.flatten(args)
            if isinstance(layer, keras.Model):
                outputs = self._run(layer, given)
            else:
                outputs = _scores(layer, *args) if layer is self._last else layer(*args, **kwargs)
                self._note(layer, given, outputs)
            return outputs

        plain = keras.Model(model.inputs, model.outputs, name=model.name)
        keras.models.clone_model(plain, inputs, clone_function=lambda layer: layer, call_function=call)
        return outputs

    def _note(self, layer: Any, given: list[Any], outputs: Any) -> None:
        """Keeps a feature map and where its cells look."""
        known = next((one for one in given if id(one) in self._grids), None)
        if known is None or not isinstance(outputs, keras.KerasTensor) or len(outputs.shape) != 4:
            return
        self._grids[id(outputs)] = through(layer, self._grids[id(known)], known.shape[1:3], outputs.shape[1:3])
        self._maps[layer.name] = outputs


class _Maps(keras.layers.Layer):
    """Probabilities and maps from images and the feature maps of a layer.

    Args:
        behind: images and feature maps (B, h, w, d) to what goes into the softmax, (B, c).
        targets: indices of the classes.
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
    """Returns what goes into the softmax of `layer`."""
    with keras.StatelessScope():
        twin = type(layer).from_config({**layer.get_config(), "activation": "linear"})
        outputs = twin(inputs)
        for new, old in zip(twin.weights, layer.weights, strict=True):
            start_from(new, np.array(old.value))
    twin.trainable = layer.trainable
    return outputs
