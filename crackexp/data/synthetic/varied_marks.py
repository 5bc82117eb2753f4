"""Draws marks of many kinds of surfaces: lines, joints, grooves, stones, water marks, plants, chalk and loose bits.

They look like what a model of one set of walls takes for a crack elsewhere. Surfaces with and without cracks get the
same marks, so that no mark tells the class.
"""

import math

import cv2
import numpy as np

from crackexp.data.synthetic.marks import blob_mask
from crackexp.data.synthetic.texture import Surface, along_and_across, base_colour, blurred, noise, shifted, smoothstep


def draw_varied_marks(surface: Surface, rng: np.random.Generator) -> None:
    """Draws a random choice of marks on `surface`."""
    for chance, mark in _MARKS:
        if rng.random() < chance:
            mark(surface, rng)
    np.clip(surface.colour, 0.02, 1.2, out=surface.colour)


def _lines(surface: Surface, rng: np.random.Generator) -> None:
    """Draws one to three straight lines, dark or bright, sharp or soft, whole or worn."""
    size, pixel = surface.size, surface.pixel
    angle = rng.uniform(0, 2 * math.pi)
    for _ in range(int(rng.integers(1, 4))):
        turn = angle if rng.random() < 0.6 else angle + math.pi / 2 + rng.normal(0, 0.05)
        distance, _ = along_and_across(size, turn, rng.uniform(-0.5, 0.5) * size)
        distance = distance + rng.uniform(0, 0.5) * pixel * noise(rng, size, 9 * pixel)
        half_width = 0.32 * 10 ** rng.uniform(0, 1) * pixel
        line = 1.0 - smoothstep(np.abs(distance), half_width, half_width + rng.uniform(0.6, 2.5) * pixel)
        if rng.random() < 0.4:
            line = line * np.clip(0.6 + 0.7 * noise(rng, size, 25 * pixel), 0, 1)
        if rng.random() < 0.65:
            surface.height -= rng.uniform(0, 1.2) * line * pixel
            surface.multiply(1.0 - rng.uniform(0.1, 0.7) * line)
        else:
            surface.blend(rng.uniform(0.1, 0.7) * line, rng.uniform(0.7, 1.0))


def _joints(surface: Surface, rng: np.random.Generator) -> None:
    """Draws the joints between bricks, tiles or blocks, or between the boards of a formwork."""
    size, pixel = surface.size, surface.pixel
    straight = rng.choice([0, math.pi / 2]) + rng.normal(0, 0.03)
    angle = rng.uniform(0, math.pi) if rng.random() < 0.5 else straight
    row_height, brick_width = rng.uniform(25, 110) * pixel, rng.uniform(40, 200) * pixel
    across, along = along_and_across(size, angle, rng.uniform(0, row_height))
    row = np.floor(across / row_height)
    wave = rng.uniform(0, 1) * pixel * noise(rng, size, 12 * pixel)
    to_row = row_height / 2 - np.abs(across - (row + 0.5) * row_height + wave)
    place = along + np.where(row % 2 == 0, 0, brick_width / 2)
    to_end = brick_width / 2 - np.abs(place % brick_width - brick_width / 2 + wave)
    to_joint = np.minimum(to_row, to_end) if rng.random() < 0.6 else to_row
    half_width = rng.uniform(0.3, 3) * pixel
    joint = (1.0 - smoothstep(to_joint, half_width, half_width + rng.uniform(0.8, 2.5) * pixel)).astype(np.float32)
    if rng.random() < 0.6:  # each brick has a tone of its own
        tones = np.sin(row * 12.9898 + np.floor(place / brick_width) * 78.233)
        surface.multiply((1.0 + rng.normal(0, 0.08) * tones).astype(np.float32))
    if rng.random() < 0.6:
        surface.height -= rng.uniform(0.2, 1.5) * joint * pixel
        surface.multiply(1.0 - rng.uniform(0.05, 0.6) * joint)
    else:
        surface.blend(rng.uniform(0.2, 0.9) * joint, base_colour(rng))
        surface.height += rng.uniform(-1, 1) * joint * pixel


def _grooves(surface: Surface, rng: np.random.Generator) -> None:
    """Draws the parallel grooves of a broom or a rake."""
    size, pixel = surface.size, surface.pixel
    across, _ = along_and_across(size, rng.uniform(0, math.pi), 0.0)
    across = across + rng.uniform(0, 2.5) * pixel * noise(rng, size, rng.uniform(20, 70) * pixel)
    spacing = rng.uniform(3, 22) * pixel
    groove = (0.5 + 0.5 * np.cos(2 * math.pi * across / spacing)) ** rng.uniform(1, 8)
    groove = (groove * np.clip(0.6 + rng.uniform(0, 0.6) * noise(rng, size, 30 * pixel), 0, 1)).astype(np.float32)
    surface.height -= rng.uniform(0.1, 1.0) * groove * pixel
    surface.multiply(1.0 - rng.uniform(0, 0.3) * groove)


def _stones(surface: Surface, rng: np.random.Generator) -> None:
    """Draws coarse aggregate: stones around random centres, each with its own colour."""
    size, margin = surface.size, 10
    count = int(rng.integers(40, 900))
    seeds = np.full((size + 2 * margin, size + 2 * margin), 255, np.uint8)
    column, row = rng.integers(0, len(seeds), (2, count))
    seeds[row, column] = 0
    distance, stone = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    distance, stone = distance[margin:-margin, margin:-margin], stone[margin:-margin, margin:-margin]
    kinds = count + 1
    reach = size / math.sqrt(count)
    radius = (reach * rng.uniform(0.25, 0.6) * np.exp(rng.normal(0, 0.3, kinds)))[stone]
    ragged = distance + rng.uniform(0, 0.15) * reach * noise(rng, size, max(2.0, reach / 4))
    shown = (rng.random(kinds) < rng.uniform(0.2, 1))[stone]
    inside = (shown * (1.0 - _rise(ragged, 0.7 * radius, radius))).astype(np.float32)
    tone = np.clip(1 + rng.uniform(0.03, 0.3) * rng.normal(0, 1, kinds), 0.3, 1.5)[stone].astype(np.float32)
    tint = (rng.uniform(0, 0.06) * rng.normal(0, 1, kinds))[stone].astype(np.float32)
    for plane, sign in zip(surface.colour, (1, 0, -1), strict=True):
        plane *= 1.0 + inside * (tone * (1.0 + sign * tint) - 1.0)
    surface.height += rng.uniform(-0.5, 1.5) * inside * surface.pixel
    surface.multiply(1.0 - rng.uniform(0, 0.35) * 4 * inside * (1.0 - inside))


def _rise(field: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Returns `smoothstep` with limits of each pixel."""
    return smoothstep((field - low) / (high - low), 0.0, 1.0)


def _water_marks(surface: Surface, rng: np.random.Generator) -> None:
    """Draws runs of water, or a tide line with a darker or brighter rim."""
    stretch, angle = rng.uniform(1, 6), rng.choice([0, math.pi / 2])
    field = noise(rng, surface.size, rng.uniform(20, 90) * surface.pixel, stretch, angle)
    level = rng.uniform(-0.3, 1.2)
    wet = smoothstep(field, level, level + rng.uniform(0.03, 0.5))
    surface.multiply(1.0 + rng.uniform(-0.35, 0.12) * wet)
    rim = np.exp(-(((field - level) / rng.uniform(0.03, 0.12)) ** 2))
    surface.multiply(1.0 + rng.uniform(-0.3, 0.25) * rim)


def _plants(surface: Surface, rng: np.random.Generator) -> None:
    """Draws moss, or blades of grass and thin roots with their shadows."""
    size, pixel = surface.size, surface.pixel
    green = np.array([rng.uniform(0.15, 0.5), rng.uniform(0.2, 0.55), rng.uniform(0.05, 0.3)], np.float32)
    if rng.random() < 0.5:
        field = noise(rng, size, rng.uniform(15, 70) * pixel)
        field = field + rng.uniform(0.3, 1) * noise(rng, size, rng.uniform(2, 7) * pixel)
        moss = smoothstep(field, rng.uniform(0.7, 1.5), rng.uniform(1.5, 2.2))
        surface.blend(rng.uniform(0.3, 0.95) * moss, green)
        surface.height += 0.7 * moss * noise(rng, size, 2.5 * pixel) * pixel
        return
    root = rng.uniform(0, size, 2)
    blades = []
    for _ in range(int(rng.integers(3, 30))):
        angle, length = rng.uniform(0, 2 * math.pi), rng.uniform(10, 90) * pixel
        steps = np.linspace(0, 1, 9)[:, None]
        ahead, aside = np.array([math.cos(angle), math.sin(angle)]), np.array([-math.sin(angle), math.cos(angle)])
        bend = rng.normal(0, 0.4) * length * steps**2
        points = root + rng.normal(0, 30, 2) * pixel + steps * length * ahead + bend * aside
        blades.append((points, int(rng.integers(120, 255)), _thickness(rng, 5, pixel)))
    grass = blurred(_strokes(size, blades), rng.uniform(0.3, 1) * pixel)
    shadow = blurred(shifted(grass, 2 * pixel, 2 * pixel), 1.5 * pixel)
    surface.multiply(1.0 - rng.uniform(0, 0.4) * shadow)
    surface.blend(rng.uniform(0.6, 1) * grass, green * rng.uniform(0.8, 1.8))


def _loose_bits(surface: Surface, rng: np.random.Generator) -> None:
    """Draws gravel, leaves or dirt that lie on the surface, with their shadows."""
    bits = blob_mask(surface, rng, int(rng.integers(1, 40)), (1.0, rng.uniform(3, 20)), skew=1.5)
    shadow = shifted(bits, *(rng.integers(-3, 4, 2) * surface.pixel))
    surface.multiply(1.0 - rng.uniform(0.1, 0.6) * np.clip(blurred(shadow, 0.8) - bits, 0, 1))
    surface.blend(rng.uniform(0.4, 1) * blurred(bits, 0.4), base_colour(rng) * rng.uniform(0.3, 1.3))


def _chalk(surface: Surface, rng: np.random.Generator) -> None:
    """Draws a stroke of chalk or spray along a Bezier curve."""
    size, pixel = surface.size, surface.pixel
    control = rng.uniform(0.1, 0.9, (4, 2)) * size
    steps = np.linspace(0, 1, 30)[:, None]
    weights = ((1 - steps) ** 3, 3 * steps * (1 - steps) ** 2, 3 * steps**2 * (1 - steps), steps**3)
    points = sum(weight * point for weight, point in zip(weights, control, strict=True))
    stroke = blurred(_strokes(size, [(points, 255, _thickness(rng, 9, pixel))]), rng.uniform(0.4, 1.5) * pixel)
    stroke = stroke * np.clip(0.6 + 0.6 * noise(rng, size, 4 * pixel), 0, 1)
    bright = rng.random() < 0.6
    surface.blend(rng.uniform(0.3, 1) * stroke, rng.uniform(0.6 if bright else 0.1, 1.0, 3))


def _strokes(size: int, strokes: list[tuple[np.ndarray, int, int]]) -> np.ndarray:
    """Draws lines through points with a tone and a thickness in pixels, (size, size) float32 in [0, 1]."""
    canvas = np.zeros((size, size), np.uint8)
    for points, tone, thickness in strokes:
        cv2.polylines(canvas, [np.round(points * 16).astype(np.int32)], False, tone, thickness, cv2.LINE_AA, 4)
    return canvas.astype(np.float32) / 255.0


def _thickness(rng: np.random.Generator, most: int, pixel: float) -> int:
    """Draws the thickness of a line in whole pixels, below `most` pixels of a 227 px patch."""
    return max(1, round(int(rng.integers(1, most)) * pixel))


def _mottle(surface: Surface, rng: np.random.Generator) -> None:
    """Varies brightness and relief more than bare concrete does, at one to three scales."""
    for _ in range(int(rng.integers(1, 4))):
        cell = 2 * 60 ** rng.random() * surface.pixel
        field = noise(rng, surface.size, cell, rng.uniform(1, 4), rng.uniform(0, math.pi))
        surface.multiply(np.clip(1.0 + rng.uniform(0.02, 0.14) * field, 0.2, 1.6))
        relief = noise(rng, surface.size, 2 * surface.pixel + cell / 3)
        surface.height += rng.uniform(-0.4, 0.4) * relief * surface.pixel


_MARKS = (
    (0.22, _lines), (0.10, _joints), (0.10, _grooves), (0.16, _stones), (0.18, _water_marks),
    (0.10, _plants), (0.15, _loose_bits), (0.07, _chalk), (0.45, _mottle),
)  # fmt: skip
