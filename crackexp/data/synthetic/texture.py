"""Draws surfaces of concrete: their colour, their relief, and the noise that both are made of.

Lengths are in pixels of a patch of 227 pixels, and are scaled by ``size / 227``. The ranges of colour, brightness and
contrast at each scale cover those of patches of real walls, decks and pavements, compared by eye and by statistics of
frequency bands.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

BASE_SIZE = 227


@dataclass
class Surface:
    """A piece of concrete before light falls on it; drawing on it changes the arrays in place.

    Attributes:
        colour: The reflectance in red, green and blue, (3, size, size) float32, about [0, 1].
        height: The relief in pixels, (size, size) float32, positive towards the viewer.
        light: The direction that the light comes from, in radians.
        magnification: The size of the details of the surface, where 1 is that of a patch photographed from near.
    """

    colour: np.ndarray
    height: np.ndarray
    light: float
    magnification: float = 1.0

    @property
    def size(self) -> int:
        """The side of the surface in pixels."""
        return self.height.shape[0]

    @property
    def pixel(self) -> float:
        """The number of pixels of this surface for a pixel of a 227 px patch, whatever the magnification is."""
        return self.size / BASE_SIZE

    @property
    def scale(self) -> float:
        """The number of pixels of this surface for a pixel of a 227 px patch of magnification 1."""
        return self.magnification * self.pixel

    def blend(self, mask: np.ndarray, colour: np.ndarray | float) -> None:
        """Blends the surface with `colour`, RGB or gray, by the shares `mask`, (size, size) float32 in [0, 1]."""
        target = np.broadcast_to(np.asarray(colour, np.float32), 3)
        for plane, value in zip(self.colour, target, strict=True):
            plane += mask * (value - plane)

    def multiply(self, factor: np.ndarray) -> None:
        """Multiplies the colour by `factor`, (size, size) float32."""
        self.colour *= factor


def noise(rng: np.random.Generator, size: int, cell: float, stretch: float = 1.0, angle: float = 0.0) -> np.ndarray:
    """Returns smooth noise of about unit deviation whose features are `cell` pixels wide.

    Args:
        rng: The generator of all random numbers.
        size: The side of the result in pixels.
        cell: The width of the features in pixels.
        stretch: How many times longer the features are along `angle` than across it.
        angle: The direction of the features in radians.

    Returns:
        The noise, (size, size) float32.
    """
    if cell < 1.5 and stretch < 1.5:
        return _white(rng, size, size)
    step = int(np.clip(cell / 2, 1, 8))
    coarse = math.ceil(size / step)
    across, along = step / cell, step / (cell * stretch)
    rows, columns = (math.ceil(1.5 * coarse * density) + 4 for density in (across, along))
    grid = _white(rng, rows, columns)
    cosine, sine = math.cos(angle), math.sin(angle)
    middle = coarse / 2
    matrix = np.array(
        [
            [cosine * along, sine * along, columns / 2 - middle * (cosine + sine) * along],
            [-sine * across, cosine * across, rows / 2 - middle * (cosine - sine) * across],
        ]
    )
    flags = (cv2.INTER_LINEAR if cell < 4 else cv2.INTER_CUBIC) | cv2.WARP_INVERSE_MAP
    field = cv2.warpAffine(grid, matrix, (coarse, coarse), flags=flags, borderMode=cv2.BORDER_REFLECT)
    if step == 1:
        return field
    return cv2.resize(field, (size, size), interpolation=cv2.INTER_CUBIC)


def _white(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """Draws independent uniform values with mean 0 and standard deviation 1, (rows, columns) float32."""
    field = rng.random((rows, columns), np.float32)
    field -= 0.5
    field *= math.sqrt(12.0)
    return field


def smoothstep(field: np.ndarray, low: float, high: float) -> np.ndarray:
    """Returns 0 below `low`, 1 above `high`, and a smooth rise between."""
    t = np.clip((field - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def shifted(field: np.ndarray, dx: float, dy: float) -> np.ndarray:
    """Returns `field` shifted by (dx, dy) pixels; its borders are repeated."""
    matrix = np.array([[1.0, 0.0, dx], [0.0, 1.0, dy]])
    return cv2.warpAffine(field, matrix, field.shape[::-1], borderMode=cv2.BORDER_REPLICATE)


def blurred(field: np.ndarray, sigma: float) -> np.ndarray:
    """Returns `field` after a Gaussian blur of `sigma` pixels; it is not changed where `sigma` is below 0.2."""
    if sigma < 0.2:
        return field
    return cv2.GaussianBlur(field, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)


def along_and_across(size: int, angle: float, offset: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns the coordinates of each pixel across and along a straight line.

    Args:
        size: The side of the surface in pixels.
        angle: The direction across the line, in radians.
        offset: The distance of the line from the middle of the surface, in pixels.

    Returns:
        The signed distance to the line and the place along it, both (size, size) float32 in pixels.
    """
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) - np.float32(size / 2)
    across = x * math.cos(angle) + y * math.sin(angle) - offset
    return across, y * math.cos(angle) - x * math.sin(angle)


def line_field(size: int, rng: np.random.Generator, bend: float = 0.0) -> np.ndarray:
    """Draws a slightly bent line, and returns the signed distance to it in pixels, (size, size) float32."""
    angle = rng.uniform(0, 2 * math.pi)
    across, along = along_and_across(size, angle, rng.uniform(-0.45, 0.45) * size)
    return across + bend * along * along / size


def draw_surface(rng: np.random.Generator, size: int, varied: bool = False) -> Surface:
    """Draws bare concrete: its colour and its relief, without marks or cracks.

    Args:
        rng: The generator of all random numbers.
        size: The side of the surface in pixels.
        varied: Whether the concrete may be darker or brighter than walls of the Mendeley set are, and be seen from
            another distance.
    """
    surface = Surface(
        colour=np.empty((3, size, size), np.float32),
        height=np.zeros((size, size), np.float32),
        light=rng.uniform(0, 2 * math.pi),
        magnification=0.4 * 4 ** rng.random() if varied else 1.0,
    )
    colour = base_colour(rng)
    if varied:
        colour = np.clip(colour * math.exp(rng.normal(-0.1, 0.25)), 0.08, 1.0)
    surface.colour[:] = colour[:, None, None]
    _mottle(surface, rng)
    _relief(surface, rng)
    return surface


def base_colour(rng: np.random.Generator) -> np.ndarray:
    """Draws a colour of concrete, (3,) float32 of RGB: mostly gray to beige, sometimes bluish or brown."""
    green = np.clip(rng.normal(0.70, 0.10), 0.30, 0.90)
    kind = rng.random()
    if kind < 0.72:
        red = rng.normal(1.026, 0.02)
        blue = 0.955 - 0.9 * (red - 1.026) + rng.normal(0, 0.02)
    elif kind < 0.86:
        red, blue = rng.normal(0.94, 0.025), rng.normal(1.04, 0.015)
    else:
        red = rng.normal(1.09, 0.03)
        blue = 1.0 - 1.5 * (red - 1.0) + rng.normal(0, 0.02)
    return np.array([green * red, green, green * blue], np.float32)


def _mottle(surface: Surface, rng: np.random.Generator) -> None:
    """Varies the brightness of a surface at several scales, and its tint."""
    size, scale = surface.size, surface.scale
    level = 0.012 * math.exp(rng.normal(0, 0.5))
    tone = np.zeros((size, size), np.float32)
    for cell in (1.0, 2.5, 6.0, 15.0, 40.0, 120.0):
        tone += level * math.exp(rng.normal(0, 0.5)) * noise(rng, size, cell * scale, angle=rng.uniform(0, 2 * math.pi))
    surface.multiply(1.0 + tone)
    for channel in (0, 2):
        cast = 0.005 * math.exp(rng.normal(0, 0.5)) * noise(rng, size, 50 * scale)
        surface.colour[channel] *= 1.0 + cast


def _relief(surface: Surface, rng: np.random.Generator) -> None:
    """Draws the relief of a surface: smooth, grainy or rough, sometimes with a direction, sometimes with pits."""
    size, scale = surface.size, surface.scale
    cells: tuple[float, ...]
    kind = rng.random()
    if kind < 0.30:
        depth, cells = rng.uniform(0.0, 0.04), (2.0, 6.0)
    elif kind < 0.70:
        depth, cells = rng.uniform(0.03, 0.12), (2.0, 5.0, 14.0)
    else:
        depth, cells = rng.uniform(0.10, 0.35), (2.0, 3.5, 7.0, 16.0)
    stretch = rng.uniform(2, 7) if rng.random() < 0.2 else rng.uniform(1, 1.4)
    angle = rng.uniform(0, math.pi)
    for cell in cells:
        amount = depth * math.exp(rng.normal(0, 0.4)) * (cell / 3.0) ** 0.6
        surface.height += amount * noise(rng, size, cell * scale, stretch, angle) * scale
    if rng.random() < 0.25:
        pits = smoothstep(noise(rng, size, rng.uniform(2, 5) * scale), 1.0, 2.2)
        surface.height -= rng.uniform(0.2, 1.0) * pits * scale
        surface.multiply(1.0 - rng.uniform(0.05, 0.35) * pits)
