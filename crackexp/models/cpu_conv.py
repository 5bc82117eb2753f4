"""Convolutions that XLA runs fast on CPU.

XLA's CPU backend runs a grouped convolution with one channel a group as a naive loop. The same numbers come 8 to 30
times faster from a sum of shifted slices, which XLA fuses into one vectorised loop over the channels; a 1x1
convolution is a matrix product. The layers here only compute: save and serve the model that they were cloned from.
"""

import keras
import numpy as np
from keras import ops

from crackexp.models.initial import start_from


class ShiftedDepthwiseConv2D(keras.layers.DepthwiseConv2D):
    """A `DepthwiseConv2D` computed as the sum of its taps: shifted strided slices times a weight per channel."""

    def call(self, inputs):  # type: ignore[no-untyped-def]
        kernel = ops.convert_to_tensor(self.kernel)
        spans = [
            _Span(size, kernel_size, stride, dilation, self.padding)
            for size, kernel_size, stride, dilation in zip(
                inputs.shape[1:3], self.kernel_size, self.strides, self.dilation_rate, strict=True
            )
        ]
        rows, columns = spans
        if rows.pads != (0, 0) or columns.pads != (0, 0):
            inputs = ops.pad(inputs, ((0, 0), rows.pads, columns.pads, (0, 0)))
        outputs = None
        for i in range(self.kernel_size[0]):
            for j in range(self.kernel_size[1]):
                tap = inputs[:, rows.taps(i), columns.taps(j), :] * kernel[i, j, :, 0]
                outputs = tap if outputs is None else outputs + tap
        if self.use_bias:
            outputs = outputs + ops.convert_to_tensor(self.bias)
        return outputs if self.activation is None else self.activation(outputs)


class MatmulConv2D(keras.layers.Conv2D):
    """A 1x1 `Conv2D` computed as a matrix product over the channels."""

    def convolution_op(self, inputs, kernel):  # type: ignore[no-untyped-def]
        if self.strides != (1, 1):
            inputs = inputs[:, :: self.strides[0], :: self.strides[1], :]
        return ops.matmul(inputs, ops.convert_to_tensor(kernel)[0, 0])


class _Span:
    """Where a one-dimensional convolution reads: zero padding at both ends and the slice under each tap.

    'same' pads as TensorFlow and Keras do: the odd pixel goes to the end.
    """

    def __init__(self, size: int, kernel: int, stride: int, dilation: int, padding: str) -> None:
        reach = (kernel - 1) * dilation + 1
        if padding == "same":
            self.outputs = -(-size // stride)
            total = max((self.outputs - 1) * stride + reach - size, 0)
        else:
            self.outputs = (size - reach) // stride + 1
            total = 0
        self.pads = (total // 2, total - total // 2)
        self.stride, self.dilation = stride, dilation

    def taps(self, index: int) -> slice:
        """Returns the slice of the padded axis that tap `index` multiplies."""
        start = index * self.dilation
        return slice(start, start + (self.outputs - 1) * self.stride + 1, self.stride)


def for_cpu(model: keras.Model) -> keras.Model:
    """Clones `model` for computing on CPU: same function, layer names, weights, weight order and trainable flags.

    Depthwise convolutions (depth multiplier 1) and 1x1 convolutions (one group) with channels last are swapped for
    `ShiftedDepthwiseConv2D` and `MatmulConv2D`, in nested models too; other layers are cloned as they are.
    Weights are copied by value: `clone.set_weights(model.get_weights())` and the reverse move them later.

    Args:
        model: a functional or sequential model, built; compiled or not.

    Returns:
        The clone. It equals `model` within 1e-5 for activations of the order of 1.
    """
    with keras.StatelessScope():
        clone = keras.models.clone_model(model, clone_function=_clone_layer, recursive=True)
        for new, old in zip(clone.weights, model.weights, strict=True):
            start_from(new, np.array(old.value))
    _finish(model, clone)
    return clone


def _clone_layer(layer: keras.layers.Layer) -> keras.layers.Layer:
    return _target_class(layer).from_config(layer.get_config())


def _target_class(layer: keras.layers.Layer) -> type[keras.layers.Layer]:
    if getattr(layer, "data_format", None) != "channels_last":
        return type(layer)
    if type(layer) is keras.layers.DepthwiseConv2D and layer.depth_multiplier == 1:
        return ShiftedDepthwiseConv2D
    if type(layer) is keras.layers.Conv2D and layer.kernel_size == (1, 1) and layer.groups == 1:
        return MatmulConv2D
    return type(layer)


def _finish(source: keras.Model, target: keras.Model) -> None:
    """Copies the trainable flags; Normalization derives constants from its weights once they have values."""
    target.trainable = source.trainable
    for old, new in zip(source.layers, target.layers, strict=True):
        if isinstance(old, keras.Model):
            _finish(old, new)
            continue
        new.trainable = old.trainable
        if isinstance(new, keras.layers.Normalization):
            new.finalize_state()
