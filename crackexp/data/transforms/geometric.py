"""Transforms that move pixels: flip, rotation, zoom and translation."""

import math
from abc import abstractmethod
from typing import Any

import cv2
import numpy as np

from crackexp.data.transforms.base import Transform, around_zero, choice, number

FLIPS = {"horizontal": 1, "vertical": 0, "horizontal_and_vertical": -1}
BORDERS = {
    "reflect": cv2.BORDER_REFLECT,
    "constant": cv2.BORDER_CONSTANT,
    "wrap": cv2.BORDER_WRAP,
    "nearest": cv2.BORDER_REPLICATE,
}
INTERPOLATIONS = {"bilinear": cv2.INTER_LINEAR, "nearest": cv2.INTER_NEAREST}


class RandomFlip(Transform):
    """Mirrors every second image on average, as `keras.layers.RandomFlip`.

    Args:
        mode: "horizontal" (left-right), "vertical" (top-bottom) or "horizontal_and_vertical".
            As in Keras, the last is one coin for both axes, a half turn; name two transforms for
            two independent coins.
    """

    def __init__(self, mode: str = "horizontal_and_vertical") -> None:
        self.mode = choice("mode", mode, tuple(FLIPS))

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return cv2.flip(image, FLIPS[self.mode]) if rng.random() < 0.5 else image


class Warp(Transform):
    """An affine map of the plane, resampled.

    Args:
        fill_mode: what lies outside the image: "reflect" (d c b a | a b c d | d c b a),
            "constant" (k k k k | a b c d | k k k k), "wrap" (a b c d | a b c d | a b c d) or
            "nearest" (a a a a | a b c d | d d d d).
        interpolation: "bilinear" or "nearest".
        fill_value: the grey level k of fill_mode="constant", in [0, 255].
    """

    def __init__(self, fill_mode: str, interpolation: str, fill_value: float) -> None:
        self.fill_mode = choice("fill_mode", fill_mode, tuple(BORDERS))
        self.interpolation = choice("interpolation", interpolation, tuple(INTERPOLATIONS))
        self.fill_value = number("fill_value", fill_value, 0, 255)

    @abstractmethod
    def matrix(self, rng: np.random.Generator, height: int, width: int) -> np.ndarray:
        """Returns the drawn map from output (x, y, 1) to input (x, y): (2, 3) float64.

        Pixel centres stand at whole numbers, so the middle of the image is
        ((width - 1) / 2, (height - 1) / 2).
        """

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        height, width = image.shape[:2]
        return cv2.warpAffine(
            image,
            self.matrix(rng, height, width),
            (width, height),
            flags=INTERPOLATIONS[self.interpolation] | cv2.WARP_INVERSE_MAP,
            borderMode=BORDERS[self.fill_mode],
            borderValue=(self.fill_value,) * 3,
        )


class RandomRotation(Warp):
    """Turns about the middle by a uniform angle, as `keras.layers.RandomRotation`.

    Args:
        factor: fraction of a full turn: a number f draws from [-f, f], a pair from
            [lower, upper]; both in [-1, 1]. Positive turns counter-clockwise.
        fill_mode: see `Warp`.
        interpolation: see `Warp`.
        fill_value: see `Warp`.

    Raises:
        ConfigError: an argument is out of range.
    """

    def __init__(
        self,
        factor: Any,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        fill_value: float = 0.0,
    ) -> None:
        self.factor = around_zero("factor", factor, -1, 1)
        super().__init__(fill_mode, interpolation, fill_value)

    def matrix(self, rng: np.random.Generator, height: int, width: int) -> np.ndarray:
        angle = 2 * math.pi * rng.uniform(*self.factor)
        cos, sin = math.cos(angle), math.sin(angle)
        x, y = (width - 1) / 2, (height - 1) / 2
        return np.array([[cos, -sin, x - cos * x + sin * y], [sin, cos, y - sin * x - cos * y]])


class RandomZoom(Warp):
    """Zooms about the middle, as `keras.layers.RandomZoom`.

    Args:
        height_factor: a number f draws from [-f, f], a pair from [lower, upper]; both in (-1, 1].
            Positive zooms out: at 0.2 the output shows 1.2 times the input's height.
        width_factor: the same for the width, drawn on its own; None takes the draw of the height,
            which keeps the aspect ratio.
        fill_mode: see `Warp`.
        interpolation: see `Warp`.
        fill_value: see `Warp`.

    Raises:
        ConfigError: an argument is out of range.
    """

    def __init__(
        self,
        height_factor: Any,
        width_factor: Any = None,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        fill_value: float = 0.0,
    ) -> None:
        self.height_factor = around_zero("height_factor", height_factor, -1, 1, open_low=True)
        self.width_factor = (
            None if width_factor is None else around_zero("width_factor", width_factor, -1, 1, open_low=True)
        )
        super().__init__(fill_mode, interpolation, fill_value)

    def matrix(self, rng: np.random.Generator, height: int, width: int) -> np.ndarray:
        zoom_y = 1 + rng.uniform(*self.height_factor)
        zoom_x = zoom_y if self.width_factor is None else 1 + rng.uniform(*self.width_factor)
        x, y = (width - 1) / 2, (height - 1) / 2
        return np.array([[zoom_x, 0, x * (1 - zoom_x)], [0, zoom_y, y * (1 - zoom_y)]])


class RandomTranslation(Warp):
    """Shifts the image, as `keras.layers.RandomTranslation`.

    Args:
        height_factor: fraction of the height: a number f draws from [-f, f], a pair from
            [lower, upper]; both in [-1, 1]. Positive shifts down.
        width_factor: fraction of the width, likewise. Positive shifts right.
        fill_mode: see `Warp`.
        interpolation: see `Warp`.
        fill_value: see `Warp`.

    Raises:
        ConfigError: an argument is out of range.
    """

    def __init__(
        self,
        height_factor: Any,
        width_factor: Any,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        fill_value: float = 0.0,
    ) -> None:
        self.height_factor = around_zero("height_factor", height_factor, -1, 1)
        self.width_factor = around_zero("width_factor", width_factor, -1, 1)
        super().__init__(fill_mode, interpolation, fill_value)

    def matrix(self, rng: np.random.Generator, height: int, width: int) -> np.ndarray:
        down = rng.uniform(*self.height_factor) * height
        right = rng.uniform(*self.width_factor) * width
        return np.array([[1, 0, -right], [0, 1, -down]])
