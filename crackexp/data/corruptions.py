"""Corruptions of test images, each at three strengths, which show how robust a model is.

The method is that of Hendrycks and Dietterich (2019, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations", arXiv:1903.12261). The corruptions are those of a building site: focus, sensor noise, compression,
exposure, distance and rotation of the camera, cast shadows, and joints of the formwork.
"""

import math
from collections.abc import Callable, Sequence
from typing import Annotated

import cv2
import numpy as np
from pydantic import Field

from crackexp.config.types import Probability
from crackexp.data.augmentation import Augmentation, View
from crackexp.data.synthetic.camera import shading
from crackexp.data.synthetic.marks import groove
from crackexp.data.synthetic.texture import BASE_SIZE, line_field, smoothstep
from crackexp.data.transforms import GaussianNoise, RandomGaussianBlur, RandomJPEGQuality, RandomRotation, RandomZoom
from crackexp.data.transforms.base import Transform, checked

STRENGTHS = (1, 2, 3)
SEED = 0
"""The seed of all draws. It is not the seed of the run, so that every run is tested on the same images."""
GAMMA = 2.2
LEVELS = np.arange(256, dtype=np.float64)


class Exposure(Transform):
    """Changes the exposure of an image whose pixels have a display gamma of 2.2; bright pixels are clipped at white.

    Args:
        stops: The change of the exposure in stops, in [-8, 8]: -1 halves the light, 1 doubles it.

    Raises:
        ValueError: `stops` is out of range.
    """

    @checked
    def __init__(self, stops: Annotated[float, Field(ge=-8, le=8)]) -> None:
        self.stops = stops

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        table = np.clip(np.rint(LEVELS * 2 ** (self.stops / GAMMA)), 0, 255).astype(np.uint8)
        return cv2.LUT(image, table)


class CastShadow(Transform):
    """Darkens an image on one side of a random straight line, as a cast shadow does.

    Args:
        depth: The share of the brightness that the shadow takes away, in [0, 1].
        edge: The width of the penumbra as a share of the side of the image, in (0, 1].

    Raises:
        ValueError: An argument is out of range.
    """

    @checked
    def __init__(self, depth: Probability, edge: Annotated[float, Field(gt=0, le=1)] = 0.02) -> None:
        self.depth = depth
        self.edge = edge

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        half = self.edge * max(image.shape) / 2
        return _lit(image, 1.0 - self.depth * smoothstep(_line(image, rng), -half, half))


class FormworkJoint(Transform):
    """Draws a joint of the formwork across an image: a straight groove that is dark inside and lit at its rims.

    Args:
        width: The width of the groove in pixels of a patch of 227 pixels, in (0, 50].
        darkness: The share of the brightness that is lost inside the groove, in [0, 1].

    Raises:
        ValueError: An argument is out of range.
    """

    @checked
    def __init__(self, width: Annotated[float, Field(gt=0, le=50)], darkness: Probability) -> None:
        self.width = width
        self.darkness = darkness

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        scale = max(image.shape) / BASE_SIZE
        mask = groove(_line(image, rng), self.width * scale, rim=1.2)
        relief = shading(-1.5 * mask * scale, rng.uniform(0, 2 * math.pi), steepness=self.darkness)
        return _lit(image, relief * (1.0 - self.darkness * mask))


def corruptions(names: Sequence[str], image_size: int) -> dict[str, tuple[View, ...]]:
    """Returns the views of each corruption, from weak to strong.

    What is drawn for an image depends on its content alone and is the same at all strengths, such as a shadow in the
    same place that becomes deeper.

    Args:
        names: Names of corruptions in `SUITE`; a name that is there twice is in the result once.
        image_size: The side in pixels of the images that are corrupted, to which lengths are scaled.

    Example:

    >>> views = corruptions(["blur", "dark"], image_size=160)
    >>> len(views["blur"])
    3
    """
    return {
        name: tuple(View(Augmentation({name: transform}), SEED, 0) for transform in SUITE[name](image_size))
        for name in dict.fromkeys(names)
    }


def _blur(side: int) -> list[Transform]:
    """Returns the blurs, whose sigmas are shares of the side."""
    sigmas = [share * side for share in (0.005, 0.01, 0.02)]
    return [RandomGaussianBlur([1, 1], 2 * math.ceil(3 * sigma) + 1, [sigma, sigma]) for sigma in sigmas]


SUITE: dict[str, Callable[[int], list[Transform]]] = {
    "blur": _blur,
    "noise": lambda side: [GaussianNoise(stddev) for stddev in (0.04, 0.08, 0.16)],
    "jpeg": lambda side: [RandomJPEGQuality(quality) for quality in (30, 15, 7)],
    "dark": lambda side: [Exposure(stops) for stops in (-1, -2, -3)],
    "bright": lambda side: [Exposure(stops) for stops in (0.5, 1, 1.5)],
    "far": lambda side: [RandomZoom([out, out]) for out in (0.25, 0.6, 1.0)],
    "near": lambda side: [RandomZoom([out, out]) for out in (-0.2, -0.4, -0.55)],
    "rotation": lambda side: [RandomRotation([angle / 360, angle / 360]) for angle in (15, 30, 45)],
    "shadow": lambda side: [CastShadow(depth) for depth in (0.3, 0.5, 0.7)],
    "joint": lambda side: [FormworkJoint(*groove) for groove in ((2.5, 0.2), (4.0, 0.35), (6.0, 0.5))],
}
"""The transforms of each corruption by its name, one for each strength, for images of a given side in pixels."""


def _line(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns the signed distance in pixels to a random straight line, (H, W) float32."""
    height, width = image.shape[:2]
    return line_field(max(height, width), rng)[:height, :width]


def _lit(image: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Returns an image whose brightness is multiplied by `light`, (H, W) float32."""
    return np.clip(np.rint(image * light[..., None]), 0, 255).astype(np.uint8)
