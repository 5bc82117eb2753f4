"""Networks that XLA runs fast on CPU: layers that it vectorises.

XLA's CPU backend runs a convolution with a group per channel as a naive loop. A sum of shifted
slices, which it fuses into one vectorised loop over the channels, gives the same numbers 8 to 30
times faster. A 1x1 convolution is a matrix product, and so is a first layer over few pixels, in half
the time. These layers only compute: save and serve the model that they were cloned from.
"""

import math

import jax
import keras
import numpy as np
from keras import ops

from crackexp.models.initializers import start_from
from crackexp.models.receptive import Span

FEW_INPUTS = 32
"""Numbers below a kernel up to which a strided convolution is faster as a matrix product: 3x3 pixels of 3 channels."""


class ShiftedDepthwiseConv2D(keras.layers.DepthwiseConv2D):
    """A `DepthwiseConv2D` as the sum over its taps of a shifted slice times a weight a channel."""

    def call(self, inputs: jax.Array) -> jax.Array:
        kernel = ops.reshape(ops.convert_to_tensor(self.kernel), (-1, inputs.shape[-1]))
        outputs = sum(slice_ * kernel[tap] for tap, slice_ in enumerate(_slices(self, inputs)))
        if self.use_bias:
            outputs = outputs + ops.convert_to_tensor(self.bias)
        return outputs if self.activation is None else self.activation(outputs)


class MatmulConv2D(keras.layers.Conv2D):
    """A `Conv2D` as a matrix product over the channels of all pixels below its kernel."""

    def convolution_op(self, inputs: jax.Array, kernel: jax.Array) -> jax.Array:
        weights = ops.reshape(ops.convert_to_tensor(kernel), (-1, self.filters))
        return ops.matmul(ops.concatenate(_slices(self, inputs), axis=-1), weights)


def _slices(layer: keras.layers.Layer, inputs: jax.Array) -> list[jax.Array]:
    """Returns what each tap of a kernel multiplies, row by row: (B, H', W', c) each."""
    rows, columns = (
        Span(*axis, layer.padding)
        for axis in zip(inputs.shape[1:3], layer.kernel_size, layer.strides, layer.dilation_rate, strict=True)
    )
    if any(rows.pads + columns.pads):
        inputs = ops.pad(inputs, ((0, 0), rows.pads, columns.pads, (0, 0)))
    taps = np.ndindex(*layer.kernel_size)
    return [inputs[:, rows.tap(i), columns.tap(j), :] for i, j in taps]


def for_cpu(model: keras.Model) -> keras.Model:
    """Clones `model` for computing on CPU: the same function, layer names and trainable flags.

    With channels last, depthwise convolutions (depth multiplier 1), 1x1 convolutions, and strided ones of
    `FEW_INPUTS` (both in one group) are swapped, in nested models too; other layers are cloned as they are.
    The weights are copied: `model.set_weights(clone.get_weights())` brings back what the clone has learnt.

    Args:
        model: a functional or sequential model, built.

    Returns:
        The clone, not compiled. Where activations are of the order of 1 it agrees within 1e-5.
    """
    with keras.StatelessScope():
        clone = _clone(model)
        for new, old in zip(clone.weights, model.weights, strict=True):
            start_from(new, np.array(old.value))
    _finish(model, clone)
    return clone


def _clone(model: keras.Model) -> keras.Model:
    if isinstance(model, keras.Sequential):  # its `output` is that of its last call, if any
        inputs, outputs = model.inputs[0], model.outputs[0]
    else:
        inputs, outputs = model.input, model.output
    uncompiled = keras.Model(inputs, outputs, name=model.name)
    return keras.models.clone_model(uncompiled, clone_function=_clone_layer)


def _clone_layer(layer: keras.layers.Layer) -> keras.layers.Layer:
    if isinstance(layer, keras.Model):
        return _clone(layer)
    return _swapped(layer).from_config(layer.get_config())


def _swapped(layer: keras.layers.Layer) -> type[keras.layers.Layer]:
    kind = type(layer)
    if getattr(layer, "data_format", None) != "channels_last":
        return kind
    if kind is keras.layers.DepthwiseConv2D and layer.depth_multiplier == 1:
        return ShiftedDepthwiseConv2D
    if kind is keras.layers.Conv2D and layer.groups == 1 and (layer.kernel_size == (1, 1) or _has_few_inputs(layer)):
        return MatmulConv2D
    return kind


def _has_few_inputs(layer: keras.layers.Conv2D) -> bool:
    return math.prod(layer.kernel.shape[:3]) <= FEW_INPUTS and layer.strides != (1, 1)


def _finish(source: keras.Model, target: keras.Model) -> None:
    """Copies the trainable flags; lets Normalization derive its constants from its weights."""
    target.trainable = source.trainable
    pairs = {layer.name: layer for layer in source.layers}
    for new in target.layers:
        if isinstance(new, keras.layers.InputLayer):
            continue
        old = pairs[new.name]
        if isinstance(old, keras.Model):
            _finish(old, new)
            continue
        new.trainable = old.trainable
        if isinstance(new, keras.layers.Normalization):
            new.finalize_state()
