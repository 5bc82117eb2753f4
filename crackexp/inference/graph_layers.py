"""How each layer of Keras is written as nodes of ONNX."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers

from crackexp.inference.graph_writer import UnknownLayerError, Value, Writer
from crackexp.models.receptive import Span


def _identity(writer: Writer, layer: Any, x: Value) -> Value:
    return x


def _rescaling(writer: Writer, layer: layers.Rescaling, x: Value) -> Value:
    y = writer.as_float(x)
    return _scaled(writer, y, np.array(layer.scale, np.float32), np.array(layer.offset, np.float32))


def _normalization(writer: Writer, layer: layers.Normalization, x: Value) -> Value:
    mean, variance = np.array(layer.mean), np.array(layer.variance)
    channels = mean.shape[-1] if mean.ndim else 1
    if layer.invert or mean.size != channels or channels not in (1, x.shape[-1]):
        raise UnknownLayerError("invert, or another axis than the last")
    mean, scale = mean.reshape(-1), 1 / np.maximum(np.sqrt(variance.reshape(-1)), keras.config.epsilon())
    centered = writer.add("Sub", [writer.as_float(x), x.stored(mean)], x.shape)
    return writer.add("Mul", [centered, x.stored(scale)], x.shape)


def _scaled(writer: Writer, x: Value, scale: np.ndarray, offset: np.ndarray) -> Value:
    if np.any(scale != 1):
        x = writer.add("Mul", [x, x.stored(scale)], x.shape)
    return writer.add("Add", [x, x.stored(offset)], x.shape) if np.any(offset != 0) else x


def _convolution(writer: Writer, layer: Any, x: Value) -> Value:
    _require_channels_last(layer)
    kernel = np.array(layer.kernel)
    if isinstance(layer, layers.DepthwiseConv2D):
        groups = x.shape[-1] or 0
        kernel = kernel.transpose(2, 3, 0, 1).reshape(-1, 1, *kernel.shape[:2])
    else:
        groups, kernel = layer.groups, kernel.transpose(3, 2, 0, 1)
    spans = _spans(layer, x, layer.kernel_size, layer.dilation_rate)
    inputs = [writer.as_float(x), kernel, *([np.array(layer.bias)] if layer.use_bias else [])]
    shape = (None, *(span.outputs for span in spans), len(kernel))
    y = writer.add(
        "Conv",
        inputs,
        shape,
        kernel_shape=list(layer.kernel_size),
        strides=list(layer.strides),
        dilations=list(layer.dilation_rate),
        pads=_pads(spans),
        group=groups,
    )
    return _activated(writer, y, layer.activation)


def _pooling(writer: Writer, layer: Any, x: Value) -> Value:
    _require_channels_last(layer)
    spans = _spans(layer, x, layer.pool_size, (1, 1))
    kind = "MaxPool" if isinstance(layer, layers.MaxPooling2D) else "AveragePool"
    shape = (None, *(span.outputs for span in spans), x.shape[-1])
    return writer.add(
        kind,
        [writer.as_float(x)],
        shape,
        kernel_shape=list(layer.pool_size),
        strides=list(layer.strides),
        pads=_pads(spans),
    )


def _global_pooling(writer: Writer, layer: Any, x: Value) -> Value:
    _require_channels_last(layer)
    kept = bool(layer.keepdims)
    shape = (None, 1, 1, x.shape[-1]) if kept else (None, x.shape[-1])
    kind = "ReduceMax" if isinstance(layer, layers.GlobalMaxPooling2D) else "ReduceMean"
    return writer.add(kind, [writer.as_float(x), np.array([2, 3], np.int64)], shape, keepdims=int(kept))


def _batch_norm(writer: Writer, layer: layers.BatchNormalization, x: Value) -> Value:
    if layer.axis not in (-1, len(x.shape) - 1):
        raise UnknownLayerError(f"axis {layer.axis}")
    mean, variance = np.array(layer.moving_mean), np.array(layer.moving_variance)
    gamma = np.array(layer.gamma) if layer.scale else np.ones_like(mean)
    beta = np.array(layer.beta) if layer.center else np.zeros_like(mean)
    x = writer.as_float(x)
    if len(x.shape) == 4:
        return writer.add("BatchNormalization", [x, gamma, beta, mean, variance], x.shape, epsilon=layer.epsilon)
    factor = gamma / np.sqrt(variance + layer.epsilon)
    return _scaled(writer, x, factor, beta - mean * factor)


def _relu(writer: Writer, layer: layers.ReLU, x: Value) -> Value:
    if layer.threshold or (layer.negative_slope and layer.max_value is not None):
        raise UnknownLayerError("a threshold, or a slope and a maximum")
    x = writer.as_float(x)
    if layer.negative_slope:
        return writer.add("LeakyRelu", [x], x.shape, alpha=float(layer.negative_slope))
    if layer.max_value is None:
        return writer.add("Relu", [x], x.shape)
    return _clip(writer, x, float(layer.max_value))


def _clip(writer: Writer, x: Value, most: float) -> Value:
    return writer.add("Clip", [x, np.float32(0), np.float32(most)], x.shape)


def _activated(writer: Writer, x: Value, function: Any) -> Value:
    """Adds a function of `keras.activations`."""
    if function is None or function is keras.activations.linear:
        return x
    write = ACTIVATIONS.get(function)
    if write is None:
        raise UnknownLayerError(f"activation {getattr(function, '__name__', function)}")
    return write(writer, writer.as_float(x))


def _activation(writer: Writer, layer: layers.Activation, x: Value) -> Value:
    return _activated(writer, x, layer.activation)


def _softmax(writer: Writer, layer: layers.Softmax, x: Value, *masks: Value) -> Value:
    if masks or not isinstance(layer.axis, int):
        raise UnknownLayerError("a mask, or several axes")
    return writer.add("Softmax", [writer.as_float(x)], x.shape, axis=x.axis(layer.axis))


def _over_channels(kind: str) -> Callable[[Writer, Value], Value]:
    return lambda writer, x: writer.add(kind, [x], x.shape, axis=x.axis(-1))


def _each(kind: str, **attributes: Any) -> Callable[[Writer, Value], Value]:
    return lambda writer, x: writer.add(kind, [x], x.shape, **attributes)


def _silu(writer: Writer, x: Value) -> Value:
    return writer.add("Mul", [x, writer.add("Sigmoid", [x], x.shape)], x.shape)


def _padding(writer: Writer, layer: Any, x: Value) -> Value:
    pads = _axes(layer, x)
    ends = {x.axis(axis): pads.get(axis, (0, 0)) for axis in range(len(x.shape))}
    shape = [size and size + sum(pads.get(axis, (0, 0))) for axis, size in enumerate(x.shape)]
    amounts = np.array([ends[axis][end] for end in (0, 1) for axis in sorted(ends)], np.int64)
    return writer.add("Pad", [x, amounts, np.zeros((), x.dtype)], shape, x.dtype)


def _cropping(writer: Writer, layer: Any, x: Value) -> Value:
    crops = _axes(layer, x)
    shape = [size and size - sum(crops.get(axis, (0, 0))) for axis, size in enumerate(x.shape)]
    axes = sorted(crops)
    starts = np.array([crops[axis][0] for axis in axes], np.int64)
    ends = np.array([(x.shape[axis] or 0) - crops[axis][1] for axis in axes], np.int64)
    return writer.add("Slice", [x, starts, ends, np.array([x.axis(axis) for axis in axes])], shape, x.dtype)


def _axes(layer: Any, x: Value) -> dict[int, tuple[int, int]]:
    """Returns by axis what a layer adds to or takes from both ends."""
    amounts = layer.padding if hasattr(layer, "padding") else layer.cropping
    if len(x.shape) == 3:
        return {1: tuple(amounts)}
    first = 2 if layer.data_format == "channels_first" else 1
    return {first + number: tuple(ends) for number, ends in enumerate(amounts)}


def _merging(kind: str) -> Callable[..., Value]:
    def write(writer: Writer, layer: Any, *values: Value) -> Value:
        if len({len(value.shape) for value in values}) > 1:
            raise UnknownLayerError("inputs of different ranks")
        total = writer.as_float(values[0])
        for value in values[1:]:
            shape = [None if a is None else max(a, b or 1) for a, b in zip(total.shape, value.shape, strict=True)]
            total = writer.add(kind, [total, writer.as_float(value)], shape)
        return total

    return write


def _concatenate(writer: Writer, layer: layers.Concatenate, *values: Value) -> Value:
    if len({value.dtype for value in values}) > 1:
        values = tuple(writer.as_float(value) for value in values)
    shape, axis = list(values[0].shape), layer.axis % len(values[0].shape)
    shape[axis] = sum(value.shape[axis] or 0 for value in values)
    return writer.add("Concat", values, shape, values[0].dtype, axis=values[0].axis(axis))


def _reshape(writer: Writer, layer: Any, x: Value) -> Value:
    if isinstance(layer, layers.Flatten):
        _require_channels_last(layer)
    return writer.reshape(x, layer.compute_output_shape(x.shape)[1:])


def _permute(writer: Writer, layer: layers.Permute, x: Value) -> Value:
    axes = (0, *layer.dims)
    y = writer.add("Transpose", [writer.plain(x)], [x.shape[axis] for axis in axes], x.dtype, perm=list(axes))
    return writer.entered(y)


def _dense(writer: Writer, layer: layers.Dense, x: Value) -> Value:
    kernel = np.array(layer.kernel)
    shape, x = (*x.shape[:-1], layer.units), writer.as_float(x)
    bias = np.array(layer.bias) if layer.use_bias else np.zeros(layer.units, np.float32)
    if len(x.shape) == 4:  # a dense layer at each location is a 1x1 convolution
        y = writer.add("Conv", [x, kernel.T[:, :, None, None], bias], shape)
    elif len(x.shape) == 2:
        y = writer.add("Gemm", [x, kernel, bias], shape)
    else:
        y = writer.add("Add", [writer.add("MatMul", [x, kernel], shape), bias], shape)
    return _activated(writer, y, layer.activation)


def _require_channels_last(layer: Any) -> None:
    if layer.data_format != "channels_last":
        raise UnknownLayerError(f"data_format {layer.data_format}")


def _spans(layer: Any, x: Value, kernel: Sequence[int], dilation: Sequence[int]) -> list[Span]:
    sizes = [size or 0 for size in x.shape[1:3]]
    if not all(sizes):
        raise UnknownLayerError("inputs of any size")
    return [Span(*axis, layer.padding) for axis in zip(sizes, kernel, layer.strides, dilation, strict=True)]


def _pads(spans: Sequence[Span]) -> list[int]:
    return [*(span.pads[0] for span in spans), *(span.pads[1] for span in spans)]


ACTIVATIONS: dict[Any, Callable[[Writer, Value], Value]] = {
    keras.activations.relu: _each("Relu"),
    keras.activations.relu6: lambda writer, x: _clip(writer, x, 6.0),
    keras.activations.sigmoid: _each("Sigmoid"),
    keras.activations.hard_sigmoid: _each("HardSigmoid", alpha=1 / 6, beta=0.5),
    keras.activations.hard_silu: _each("HardSwish"),
    keras.activations.silu: _silu,
    keras.activations.tanh: _each("Tanh"),
    keras.activations.elu: _each("Elu"),
    keras.activations.softplus: _each("Softplus"),
    keras.activations.softmax: _over_channels("Softmax"),
    keras.activations.log_softmax: _over_channels("LogSoftmax"),
}
"""How each function of Keras is written."""

LAYERS: dict[type, Callable[..., Value]] = {
    **dict.fromkeys(
        (
            layers.Identity,
            layers.Dropout,
            layers.SpatialDropout2D,
            layers.GaussianDropout,
            layers.GaussianNoise,
            layers.ActivityRegularization,
        ),
        _identity,
    ),
    **dict.fromkeys((layers.Conv2D, layers.DepthwiseConv2D), _convolution),
    **dict.fromkeys((layers.MaxPooling2D, layers.AveragePooling2D), _pooling),
    **dict.fromkeys((layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D), _global_pooling),
    **dict.fromkeys((layers.ZeroPadding1D, layers.ZeroPadding2D), _padding),
    **dict.fromkeys((layers.Cropping1D, layers.Cropping2D), _cropping),
    **dict.fromkeys((layers.Reshape, layers.Flatten), _reshape),
    layers.Add: _merging("Add"),
    layers.Multiply: _merging("Mul"),
    layers.Concatenate: _concatenate,
    layers.Rescaling: _rescaling,
    layers.Normalization: _normalization,
    layers.BatchNormalization: _batch_norm,
    layers.ReLU: _relu,
    layers.Activation: _activation,
    layers.Softmax: _softmax,
    layers.Permute: _permute,
    layers.Dense: _dense,
}
"""How each layer of Keras is written, which is known at inference to compute the same in ONNX."""
