"""Where the cells of a feature map look: the middle of what each of them sees, in pixels of the image."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np


class Span:
    """Where a convolution or a pooling reads along one axis: zeros at both ends, and a slice for each tap.

    For 'same' the odd zero goes to the end, as in TensorFlow and Keras.
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
        """Returns the slice of the padded axis that tap `index` multiplies."""
        start = index * self.dilation
        return slice(start, start + (self.outputs - 1) * self.stride + 1, self.stride)


@dataclass(frozen=True)
class Spacing:
    """Where the cells along one axis look.

    Attributes:
        first: middle of what the first one sees, in pixels; 0 is the middle of the first pixel.
        step: pixels from one to the next.
    """

    first: float = 0.0
    step: float = 1.0

    def then(self, first: float, step: float) -> "Spacing":
        """Returns where cells look of which cell i sees around cell `first` + i `step` of these."""
        return Spacing(self.first + self.step * first, self.step * step)

    def weights(self, cells: int, pixels: int, length: int) -> np.ndarray:
        """Returns what spreads the values of `cells` along an axis, linearly between their middles.

        Args:
            cells: how many.
            pixels: of the image along this axis.
            length: of the axis to spread over, which shows the same as the pixels, finer or coarser.

        Returns:
            (length, cells) float32; beyond the outer middles the outer cells go on.
        """
        places = (np.arange(length) + 0.5) * pixels / length - 0.5
        at = np.clip((places - self.first) / self.step, 0, cells - 1)
        return np.maximum(0, 1 - np.abs(at[:, None] - np.arange(cells))).astype(np.float32)


Grid = tuple[Spacing, Spacing]
"""Rows and columns."""

_CONVOLUTIONS = keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D
_POOLINGS = keras.layers.MaxPooling2D, keras.layers.AveragePooling2D


def through(layer: Any, grid: Grid, before: Sequence[int], after: Sequence[int]) -> Grid:
    """Returns where the cells of what a layer makes of a feature map look.

    What convolutions, poolings, paddings and croppings with channels last shift them by is counted: MobileNetV2 pads
    below and to the right alone, and cells of its last map look half a cell lower than if they divided the image
    evenly. Other layers that change the number of cells are taken to divide what they are given evenly.

    Args:
        layer: any.
        grid: of what goes into it.
        before: height and width of that, in cells.
        after: height and width of what comes out.
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
