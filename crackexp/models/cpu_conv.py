"""Layers that XLA vectorises on CPU, so that networks run fast there.

XLA's CPU backend runs a depthwise convolution as a naive loop. A sum of shifted slices, which XLA fuses into one
vectorised loop over the channels, gives the same numbers 8 to 30 times faster. A 1x1 convolution, or a first layer over
few pixels, takes half the time as a matrix product. These layers are for computing only: the model from which they were
cloned is the one to save and to serve.
"""

import math

import jax
import keras
import numpy as np
from keras import ops

from crackexp.models.receptive import Span
from crackexp.models.saved import start_from

FEW_INPUTS = 32
"""The largest number of inputs of a kernel with which a strided convolution is faster as a matrix product.

It allows for 3x3 pixels with 3 channels.
"""


class ShiftedDepthwiseConv2D(keras.layers.DepthwiseConv2D):
    """A `DepthwiseConv2D` that adds up a shifted slice for each tap of the kernel, times a weight for each channel."""

    def call(self, inputs: jax.Array) -> jax.Array:
        kernel = ops.reshape(ops.convert_to_tensor(self.kernel), (-1, inputs.shape[-1]))
        outputs = sum(slice_ * kernel[tap] for tap, slice_ in enumerate(_slices(self, inputs)))
        if self.use_bias:
            outputs = outputs + ops.convert_to_tensor(self.bias)
        return outputs if self.activation is None else self.activation(outputs)


class MatmulConv2D(keras.layers.Conv2D):
    """A `Conv2D` that is a matrix product over the channels of all pixels under its kernel."""

    def convolution_op(self, inputs: jax.Array, kernel: jax.Array) -> jax.Array:
        weights = ops.reshape(ops.convert_to_tensor(kernel), (-1, self.filters))
        return ops.matmul(ops.concatenate(_slices(self, inputs), axis=-1), weights)


def _slices(layer: keras.layers.Layer, inputs: jax.Array) -> list[jax.Array]:
    """Returns the slice that each tap of a kernel multiplies, (B, H', W', c), row by row."""
    rows, columns = (
        Span(*axis, layer.padding)
        for axis in zip(inputs.shape[1:3], layer.kernel_size, layer.strides, layer.dilation_rate, strict=True)
    )
    if any(rows.pads + columns.pads):
        inputs = ops.pad(inputs, ((0, 0), rows.pads, columns.pads, (0, 0)))
    taps = np.ndindex(*layer.kernel_size)
    return [inputs[:, rows.tap(i), columns.tap(j), :] for i, j in taps]


def for_cpu(model: keras.Model) -> keras.Model:
    """Clones `model` for computing on CPU, with the same function, layer names and trainable flags.

    Replaced are, with channels last, depthwise convolutions with a depth multiplier of 1, and, in one group, 1x1
    convolutions and strided ones with at most `FEW_INPUTS` inputs. Layers of nested models are replaced too, and other
    layers are cloned. Weights are copied, and `model.set_weights(clone.get_weights())` copies trained ones back.

    Args:
        model: A functional or sequential model that has been built.

    Returns:
        The clone, which is not compiled. Its outputs agree within 1e-5 where activations are of the order of 1.
    """
    with keras.StatelessScope():
        clone = _clone(model)
        for new, old in zip(clone.weights, model.weights, strict=True):
            start_from(new, np.array(old.value))
    _finish(model, clone)
    return clone


def _clone(model: keras.Model) -> keras.Model:
    if isinstance(model, keras.Sequential):  # its `output` would be that of its last call
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
    """Copies the trainable flags, and lets `Normalization` layers derive their constants from their weights."""
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
