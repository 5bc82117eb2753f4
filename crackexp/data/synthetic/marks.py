"""Draws marks of concrete other than cracks: pores, stains, scratches, lines and paint.

Surfaces with and without cracks get the same marks, so that no mark tells the class.
"""

import math

import cv2
import numpy as np

from crackexp.data.synthetic.texture import Surface, base_colour, blurred, line_field, noise, smoothstep


def draw_marks(surface: Surface, rng: np.random.Generator) -> None:
    """Draws a random choice of marks on `surface`."""
    for chance, mark in _MARKS:
        if rng.random() < chance:
            mark(surface, rng)


def blob_mask(
    surface: Surface, rng: np.random.Generator, count: int, radius: tuple[float, float], skew: float
) -> np.ndarray:
    """Draws irregular filled blobs, (size, size) float32 in [0, 1]; a higher `skew` makes them smaller."""
    size, scale = surface.size, surface.scale
    canvas = np.zeros((size, size), np.uint8)
    turns = np.linspace(0, 2 * math.pi, 10, endpoint=False)
    reach = radius[0] * (radius[1] / radius[0]) ** (rng.random((count, 1)) ** skew) * scale
    spokes = reach * np.clip(rng.normal(1, 0.2, (count, 10)), 0.4, 1.7)
    squash, turn = rng.uniform(0.45, 1.0, (count, 1)), rng.uniform(0, math.pi, (count, 1))
    x, y = spokes * np.cos(turns), spokes * np.sin(turns) * squash
    points = np.stack([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)], axis=2)
    points += rng.uniform(0, size, (count, 1, 2))
    for blob in np.round(points * 16).astype(np.int32):
        cv2.fillPoly(canvas, [blob], 255, cv2.LINE_AA, 4)
    return canvas.astype(np.float32) / 255.0


def _pores(surface: Surface, rng: np.random.Generator) -> None:
    count = int(rng.exponential(14)) + 1
    mask = blob_mask(surface, rng, count, (0.6, rng.uniform(1.5, 7.0)), skew=1.8)
    mask = blurred(mask, rng.uniform(0.3, 0.9) * surface.scale)
    surface.height -= rng.uniform(0.3, 2.0) * mask * surface.scale
    surface.multiply(1.0 - rng.uniform(0.15, 0.75) * mask)


def _hole(surface: Surface, rng: np.random.Generator) -> None:
    mask = blob_mask(surface, rng, int(rng.integers(1, 4)), (5.0, 16.0), skew=2.0)
    surface.height -= rng.uniform(1.0, 3.0) * blurred(mask, 1.2 * surface.scale) * surface.scale
    surface.multiply(1.0 - rng.uniform(0.3, 0.8) * blurred(mask, 0.7 * surface.scale))


def _specks(surface: Surface, rng: np.random.Generator) -> None:
    mask = blob_mask(surface, rng, int(rng.exponential(15)) + 1, (0.7, 5.0), skew=1.8)
    tone = rng.uniform(0.75, 1.0) if rng.random() < 0.6 else rng.uniform(0.3, 0.6)
    surface.blend(rng.uniform(0.2, 0.8) * blurred(mask, 0.5), tone)


def _splash(surface: Surface, rng: np.random.Generator) -> None:
    size, scale = surface.size, surface.scale
    field = noise(rng, size, rng.uniform(8, 30) * scale) + 0.4 * noise(rng, size, 4 * scale)
    mask = smoothstep(field, 1.7, 2.2)
    surface.height += 0.6 * mask * scale
    surface.blend(rng.uniform(0.3, 0.9) * mask, rng.uniform(0.75, 0.98))


def _aggregate(surface: Surface, rng: np.random.Generator) -> None:
    size, scale = surface.size, surface.scale
    cell = rng.uniform(2.5, 8) * scale
    field = noise(rng, size, cell, rng.uniform(1, 1.6), rng.uniform(0, math.pi))
    mask = smoothstep(field, rng.uniform(0.2, 1.2), 1.8)
    surface.height += rng.uniform(-0.4, 0.6) * mask * scale
    surface.multiply(1.0 + rng.uniform(-0.22, 0.15) * mask)


def _grime(surface: Surface, rng: np.random.Generator) -> None:
    """Draws a ragged dark spot, such as lichen, soot, tar or a broken place."""
    size, scale = surface.size, surface.scale
    field = noise(rng, size, rng.uniform(25, 90) * scale)
    field += rng.uniform(0.3, 1.0) * noise(rng, size, rng.uniform(3, 8) * scale)
    mask = smoothstep(field, rng.uniform(0.9, 1.6), rng.uniform(1.8, 2.6))
    surface.height -= rng.uniform(-0.3, 1.0) * mask * scale
    surface.multiply(1.0 - rng.uniform(0.2, 0.75) * mask)


_STAIN_COLOURS = ((0.45, 0.34, 0.22), (0.30, 0.29, 0.27), (0.86, 0.85, 0.82), (0.45, 0.48, 0.36),
                  (0.62, 0.38, 0.22))  # fmt: skip


def _stain(surface: Surface, rng: np.random.Generator) -> None:
    size, scale = surface.size, surface.scale
    stretch = rng.uniform(1, 5)
    angle = rng.uniform(0, math.pi)
    field = noise(rng, size, rng.uniform(15, 80) * scale, stretch, angle)
    field += rng.uniform(0.1, 0.5) * noise(rng, size, 6 * scale)
    edge = rng.uniform(0.3, 1.5)
    mask = smoothstep(field, rng.uniform(-0.3, 0.8), 0.8 + edge)
    colour = np.array(_STAIN_COLOURS[rng.integers(len(_STAIN_COLOURS))], np.float32)
    surface.blend(rng.uniform(0.06, 0.45) * mask, colour)


def _scratches(surface: Surface, rng: np.random.Generator) -> None:
    size, scale = surface.size, surface.scale
    canvas = np.zeros((size, size), np.uint8)
    heading = rng.uniform(0, math.pi)
    for _ in range(int(rng.integers(1, 9))):
        angle = heading + rng.normal(0, 0.35)
        length = rng.uniform(0.08, 0.7) * size
        start = rng.uniform(0, size, 2)
        steps = np.linspace(0, 1, 8)[:, None]
        bow = rng.normal(0, 0.06) * length * steps * (1 - steps) * 4
        points = start + steps * length * np.array([math.cos(angle), math.sin(angle)])
        points = points + bow * np.array([-math.sin(angle), math.cos(angle)])
        points = np.round(points * 16).astype(np.int32)
        cv2.polylines(canvas, [points], False, int(rng.integers(90, 255)), 1, cv2.LINE_AA, 4)
    mask = blurred(canvas.astype(np.float32) / 255.0, rng.uniform(0.3, 1.0) * scale)
    mask *= np.clip(0.7 + 0.6 * noise(rng, size, 12 * scale), 0, 1)
    surface.height -= rng.uniform(-0.5, 0.8) * mask * scale
    surface.multiply(1.0 + rng.uniform(-0.14, 0.3) * mask)


def _form_line(surface: Surface, rng: np.random.Generator) -> None:
    scale = surface.scale
    distance = line_field(surface.size, rng, rng.normal(0, 0.02))
    distance += rng.uniform(0, 0.8) * noise(rng, surface.size, 9 * scale) * scale
    width = rng.uniform(0.8, 3.0) * scale
    ridge = np.exp(-((distance / width) ** 2))
    surface.height += rng.uniform(-0.8, 1.5) * ridge * scale
    surface.multiply(1.0 + rng.uniform(-0.12, 0.15) * ridge)
    step = smoothstep(distance, -width, width)
    surface.multiply(1.0 + rng.normal(0, 0.04) * step)


def _joint(surface: Surface, rng: np.random.Generator) -> None:
    scale = surface.scale
    distance = line_field(surface.size, rng)
    width = rng.uniform(2.0, 9.0) * scale
    mask = groove(distance, width, rng.uniform(0.9, 1.6))
    surface.height -= rng.uniform(0.3, 1.5) * mask * scale
    surface.multiply(1.0 - rng.uniform(0.1, 0.45) * mask)


def groove(distance: np.ndarray, width: float, rim: float) -> np.ndarray:
    """Returns 1 within 0.6 `width` of a line, 0 beyond `rim` times `width`, and a smooth slope between."""
    return 1.0 - smoothstep(np.abs(distance), width * 0.6, width * rim)


def _paint(surface: Surface, rng: np.random.Generator) -> None:
    """Draws a painted stroke of any colour with a worn border."""
    distance = line_field(surface.size, rng, rng.normal(0, 0.3))
    distance += rng.uniform(1, 5) * noise(rng, surface.size, 6 * surface.scale) * surface.scale
    width = rng.uniform(2, 25) * surface.scale
    stroke = 1.0 - smoothstep(np.abs(distance), width, width + rng.uniform(1, 4))
    surface.blend(rng.uniform(0.3, 0.9) * stroke, rng.uniform(0.15, 0.9, 3))


def _edge(surface: Surface, rng: np.random.Generator) -> None:
    """Draws another material or level beyond a straight edge."""
    distance = line_field(surface.size, rng, rng.normal(0, 0.03))
    offset = rng.uniform(0.15, 0.4) * surface.size
    beyond = smoothstep(distance - offset, -1.0, rng.uniform(0.5, 4.0))
    surface.blend(rng.uniform(0.3, 1.0) * beyond, base_colour(rng))
    surface.height -= rng.uniform(-2.0, 2.0) * beyond * surface.scale


_MARKS = (
    (0.75, _pores), (0.10, _hole), (0.30, _specks), (0.12, _splash), (0.25, _aggregate),
    (0.40, _stain), (0.20, _stain), (0.12, _grime), (0.20, _scratches), (0.08, _form_line),
    (0.02, _joint), (0.02, _edge), (0.02, _paint),
)  # fmt: skip
