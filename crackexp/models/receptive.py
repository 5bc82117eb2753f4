"""The positions of the locations of a feature map: the center of what each location sees, in pixels of the image."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np


class Span:
    """The inputs of a convolution or a pooling along one axis: the zeros at both ends, and a slice for each tap.

    With padding 'same' an odd zero is at the end, as in TensorFlow and Keras.

    Args:
        size: The size of the axis before padding.
        kernel: The number of taps of the kernel.
        stride: The stride.
        dilation: The distance between two taps.
        padding: "same" or "valid".
    """

    def __init__(self, size: int, kernel: int, stride: int, dilation: int, padding: str) -> None:
        reach = (kernel - 1) * dilation + 1
        if padding == "same":
            self.outputs = -(-size // stride)
            zeros = max((self.outputs - 1) * stride + reach - size, 0)
        else:
            self.outputs = (size - reach) // stride + 1
            zeros = 0
        self.pads = (zeros // 2, zeros - zeros // 2)
        self.stride, self.dilation = stride, dilation
        self.first = (reach - 1) / 2 - self.pads[0]

    def tap(self, index: int) -> slice:
        """Returns the slice of the padded axis that the tap `index` multiplies."""
        start = index * self.dilation
        return slice(start, start + (self.outputs - 1) * self.stride + 1, self.stride)


@dataclass(frozen=True)
class Spacing:
    """The positions of the locations of a feature map along one axis.

    Attributes:
        first: The center of what the first location sees, in pixels; 0 is the center of the first pixel.
        step: The distance between two neighbouring locations, in pixels.
    """

    first: float = 0.0
    step: float = 1.0

    def then(self, first: float, step: float) -> "Spacing":
        """Returns the spacing of a map whose location i is centered at location `first` + i `step` of this one."""
        return Spacing(self.first + self.step * first, self.step * step)

    def weights(self, locations: int, pixels: int, length: int) -> np.ndarray:
        """Returns the matrix that interpolates the values of locations linearly along an axis.

        Args:
            locations: The number of locations.
            pixels: The number of pixels of the image along this axis.
            length: The length of the resulting axis, which shows the same extent at another resolution.

        Returns:
            The matrix, (length, locations) float32. Beyond the outer centers, the values of the outer locations go on.
        """
        centers = (np.arange(length) + 0.5) * pixels / length - 0.5
        at = np.clip((centers - self.first) / self.step, 0, locations - 1)
        return np.maximum(0, 1 - np.abs(at[:, None] - np.arange(locations))).astype(np.float32)


Grid = tuple[Spacing, Spacing]
"""The spacing of rows and that of columns."""

_CONVOLUTIONS = keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D
_POOLINGS = keras.layers.MaxPooling2D, keras.layers.AveragePooling2D


def through(layer: Any, grid: Grid, before: Sequence[int], after: Sequence[int]) -> Grid:
    """Returns the grid of the feature map that a layer makes from another one.

    Shifts by convolutions, poolings, paddings and croppings with channels last are taken into account. MobileNetV2, for
    example, pads only below and to the right, so the locations of its last map are half a location lower than an even
    division of the image would be. Other layers that change the size are taken to divide their input evenly.

    Args:
        layer: Any layer.
        grid: The grid of its input.
        before: The height and width of its input.
        after: The height and width of its output.
    """
    if getattr(layer, "data_format", None) == "channels_last":
        if isinstance(layer, (*_CONVOLUTIONS, *_POOLINGS)):
            kernel = layer.kernel_size if isinstance(layer, _CONVOLUTIONS) else layer.pool_size
            dilation = layer.dilation_rate if isinstance(layer, _CONVOLUTIONS) else (1, 1)
            spans = map(Span, before, kernel, layer.strides, dilation, [layer.padding] * 2)
            return _each(spacing.then(span.first, span.stride) for spacing, span in zip(grid, spans, strict=True))
        if isinstance(layer, keras.layers.ZeroPadding2D):
            return _each(spacing.then(-pads[0], 1) for spacing, pads in zip(grid, layer.padding, strict=True))
        if isinstance(layer, keras.layers.Cropping2D):
            return _each(spacing.then(cut[0], 1) for spacing, cut in zip(grid, layer.cropping, strict=True))
    steps = [old / new for old, new in zip(before, after, strict=True)]
    return _each(spacing.then((step - 1) / 2, step) for spacing, step in zip(grid, steps, strict=True))


def _each(spacings: Any) -> Grid:
    rows, columns = spacings
    return rows, columns
