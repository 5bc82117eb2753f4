"""Geometric transforms: flip, rotation, zoom and translation."""

import math
from abc import abstractmethod
from typing import Annotated, Any, Literal

import cv2
import numpy as np
from pydantic import Field

from crackexp.config.types import Bounds, SignedShare, ZoomFactor
from crackexp.data.transforms.base import DeviceVersion, Parameters, Transform, around_zero, checked

FLIPS = {"horizontal": 1, "vertical": 0, "horizontal_and_vertical": -1}
AXES = {"horizontal": (2,), "vertical": (1,), "horizontal_and_vertical": (1, 2)}
"""The axes of a batch of images that are flipped."""
BORDERS = {
    "reflect": cv2.BORDER_REFLECT,
    "constant": cv2.BORDER_CONSTANT,
    "wrap": cv2.BORDER_WRAP,
    "nearest": cv2.BORDER_REPLICATE,
}
INTERPOLATIONS = {"bilinear": cv2.INTER_LINEAR, "nearest": cv2.INTER_NEAREST}


class RandomFlip(Transform):
    """Flips every second image on average, like `keras.layers.RandomFlip`.

    Args:
        mode: The axis of the flip: "horizontal" (left to right), "vertical" (top to bottom) or
            "horizontal_and_vertical". As in Keras, the last one flips either both axes or none, which is a half turn;
            name two transforms to flip the axes independently.

    Raises:
        ValueError: There is no such mode.

    Example:

    >>> image = np.arange(12, dtype=np.uint8).reshape(1, 4, 3)
    >>> flipped = RandomFlip("horizontal")(image, np.random.default_rng(2))
    >>> flipped[0, :, 0].tolist()
    [9, 6, 3, 0]
    """

    @checked
    def __init__(
        self, mode: Literal["horizontal", "vertical", "horizontal_and_vertical"] = "horizontal_and_vertical"
    ) -> None:
        self.mode = mode

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return cv2.flip(image, FLIPS[self.mode]) if self._draw(rng) else image

    def device_version(self) -> DeviceVersion:
        from crackexp.data.transforms import device

        def draw(rng: np.random.Generator, height: int, width: int) -> Parameters:
            return {"flipped": np.asarray(self._draw(rng))}

        axes = AXES[self.mode]
        return DeviceVersion(draw, lambda images, drawn: device.flip(images, drawn["flipped"], axes))

    def _draw(self, rng: np.random.Generator) -> bool:
        return rng.random() < 0.5


class Warp(Transform):
    """The base class of transforms that resample an image by a random affine map.

    Args:
        fill_mode: What fills the points outside of the image: "reflect" (d c b a | a b c d | d c b a), "constant"
            (k k k k | a b c d | k k k k), "wrap" (a b c d | a b c d | a b c d) or "nearest" (a a a a | a b c d |
            d d d d).
        interpolation: The interpolation between pixels: "bilinear" or "nearest".
        fill_value: The gray level k of `fill_mode="constant"`, in [0, 255].

    Raises:
        ValueError: An argument is out of range.
    """

    @checked
    def __init__(
        self,
        *,
        fill_mode: Literal["reflect", "constant", "wrap", "nearest"] = "reflect",
        interpolation: Literal["bilinear", "nearest"] = "bilinear",
        fill_value: Annotated[float, Field(ge=0, le=255)] = 0.0,
    ) -> None:
        self.fill_mode = fill_mode
        self.interpolation = interpolation
        self.fill_value = fill_value

    @abstractmethod
    def matrix(self, rng: np.random.Generator, height: int, width: int) -> np.ndarray:
        """Draws a map from the points (x, y, 1) of the output to the points (x, y) of the input, (2, 3) float64.

        The centres of pixels are at whole numbers, so the middle of the image is ((width - 1) / 2, (height - 1) / 2).
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

    def device_version(self) -> DeviceVersion | None:
        """Returns the device version; None for `interpolation="nearest"`.

        Which of two pixels is nearest to a point half-way between them depends on the rounding of the host.
        """
        if self.interpolation == "nearest":
            return None
        from crackexp.data.transforms import device

        def draw(rng: np.random.Generator, height: int, width: int) -> Parameters:
            return {"matrix": self.matrix(rng, height, width).astype(np.float32)}

        fill = self.fill_mode, self.fill_value
        return DeviceVersion(draw, lambda images, drawn: device.warp(images, drawn["matrix"], *fill))


class RandomRotation(Warp):
    """Rotates an image about its middle by a uniformly drawn angle, like `keras.layers.RandomRotation`.

    Args:
        factor: The angle as a fraction of a full turn: a number f is drawn from [-f, f], a pair from [lower, upper],
            both in [-1, 1]. Positive angles rotate counter-clockwise.
        kwargs: What fills the corners, see `Warp`.

    Raises:
        ValueError: An argument is out of range.

    Example:

    >>> rotate = RandomRotation([0.25, 0.25])  # always a quarter turn
    >>> image = np.zeros((3, 3, 3), np.uint8)
    >>> image[0, 1] = 255
    >>> rotate(image, np.random.default_rng(0))[:, :, 0].tolist()
    [[0, 0, 0], [255, 0, 0], [0, 0, 0]]
    """

    @checked
    def __init__(self, factor: SignedShare | Bounds[SignedShare], **kwargs: Any) -> None:
        self.factor = around_zero(factor)
        super().__init__(**kwargs)

    def matrix(self, rng: np.random.Generator, height: int, width: int) -> np.ndarray:
        angle = 2 * math.pi * rng.uniform(*self.factor)
        cos, sin = math.cos(angle), math.sin(angle)
        x, y = (width - 1) / 2, (height - 1) / 2
        return np.array([[cos, -sin, x - cos * x + sin * y], [sin, cos, y - sin * x - cos * y]])


class RandomZoom(Warp):
    """Zooms an image about its middle, like `keras.layers.RandomZoom`.

    Args:
        height_factor: The change of the height that is shown: a number f in (-1, 1) is drawn from [-f, f], a pair in
            (-1, 1] from [lower, upper]. Positive numbers zoom out: at 0.2 the output shows 1.2 times the height of
            the input.
        width_factor: The same for the width, drawn separately; null to use what was drawn for the height, which keeps
            the aspect ratio.
        kwargs: What fills the borders, see `Warp`.

    Raises:
        ValueError: An argument is out of range.

    Example:

    >>> zoom = RandomZoom([1.0, 1.0], fill_mode="constant")  # always out, by a factor of 2
    >>> image = np.full((8, 8, 3), 255, np.uint8)
    >>> int((zoom(image, np.random.default_rng(0))[4, :, 0] > 0).sum())
    4
    """

    @checked
    def __init__(self, height_factor: ZoomFactor, width_factor: ZoomFactor | None = None, **kwargs: Any) -> None:
        self.height_factor = around_zero(height_factor)
        self.width_factor = None if width_factor is None else around_zero(width_factor)
        super().__init__(**kwargs)

    def matrix(self, rng: np.random.Generator, height: int, width: int) -> np.ndarray:
        zoom_y = 1 + rng.uniform(*self.height_factor)
        zoom_x = zoom_y if self.width_factor is None else 1 + rng.uniform(*self.width_factor)
        x, y = (width - 1) / 2, (height - 1) / 2
        return np.array([[zoom_x, 0, x * (1 - zoom_x)], [0, zoom_y, y * (1 - zoom_y)]])


class RandomTranslation(Warp):
    """Shifts an image, like `keras.layers.RandomTranslation`.

    Args:
        height_factor: The shift as a fraction of the height: a number f is drawn from [-f, f], a pair from
            [lower, upper], both in [-1, 1]. Positive numbers shift down.
        width_factor: The shift as a fraction of the width, likewise. Positive numbers shift to the right.
        kwargs: What fills the borders, see `Warp`.

    Raises:
        ValueError: An argument is out of range.

    Example:

    >>> shift = RandomTranslation(0.0, [0.5, 0.5], fill_mode="constant")  # always by half of the width
    >>> image = np.full((1, 4, 3), 255, np.uint8)
    >>> shift(image, np.random.default_rng(0))[0, :, 0].tolist()
    [0, 0, 255, 255]
    """

    @checked
    def __init__(
        self,
        height_factor: SignedShare | Bounds[SignedShare],
        width_factor: SignedShare | Bounds[SignedShare],
        **kwargs: Any,
    ) -> None:
        self.height_factor = around_zero(height_factor)
        self.width_factor = around_zero(width_factor)
        super().__init__(**kwargs)

    def matrix(self, rng: np.random.Generator, height: int, width: int) -> np.ndarray:
        down = rng.uniform(*self.height_factor) * height
        right = rng.uniform(*self.width_factor) * width
        return np.array([[1, 0, -right], [0, 1, -down]])
