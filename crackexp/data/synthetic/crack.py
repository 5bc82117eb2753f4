"""Draws cracks: branching random paths that are cut into a surface."""

import copy
import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import cv2
import numpy as np

from crackexp.data.synthetic.texture import Surface, blurred, noise, shifted, smoothstep

Cracks = Literal["plain", "thin", "varied"]

_LEVELS = 7
_FINE = 2
_THINNEST = 0.8
_BRANCHES_NARROW = (0.55, 0.23, 0.12, 0.06, 0.04)
_BRANCHES_WIDE = (0.70, 0.22, 0.08)


def draw_crack(surface: Surface, rng: np.random.Generator, cracks: Cracks = "plain") -> np.ndarray:
    """Cuts one to three cracks, with their branches, into `surface`.

    Args:
        surface: The surface, which is changed in place.
        rng: The generator of all random numbers.
        cracks: How cracks look. "plain" are cracks as on patches that were photographed from near, such as those of the
            Mendeley set. "thin" are mostly hairlines, some of which only cross a corner, as on patches that were cut
            from photos of whole walls, such as those of SDNET2018. "varied" are four thin ones for each plain one, and
            a third of them is faint, as where a crack is filled, wet or out of focus.

    Returns:
        The share of each pixel that is open crack, (size, size) float32 in [0, 1].
    """
    style = STYLES[cracks]
    total = np.zeros((surface.size, surface.size), np.float32)
    count = 1 if rng.random() < 0.82 else int(rng.integers(2, 4))
    width = style.width(rng) * surface.scale
    strength = rng.uniform(0.35, 0.9) if style.faint and rng.random() < style.faint else 1.0
    whole = copy.deepcopy(surface) if strength < 1.0 else surface
    for turn in range(count):
        if turn:
            width *= rng.uniform(0.35, 1.0)
        width = max(width, _THINNEST)
        mask = _crack_mask(surface, rng, width, style.seen)
        _engrave(surface, rng, mask, width)
        total = np.maximum(total, mask)
    if strength < 1.0:
        for now, before in ((surface.colour, whole.colour), (surface.height, whole.height)):
            now[:] = before + strength * (now - before)
    return total


def _plain_width(rng: np.random.Generator) -> float:
    """Draws the width of a crack in pixels of a 227 px patch: mostly 4 to 20, some hairlines, some wide."""
    if rng.random() < 0.30:
        return rng.uniform(0.9, 3.0)
    return float(np.clip(8.5 * math.exp(rng.normal(0, 0.65)), 2.0, 45.0))


def _thin_width(rng: np.random.Generator) -> float:
    """Draws the width of a crack in pixels of a 227 px patch: two of three are hairlines, and none is wide."""
    return rng.uniform(0.8, 3.0) if rng.random() < 0.65 else rng.uniform(2.5, 9.0)


def _varied_width(rng: np.random.Generator) -> float:
    """Draws the width of a crack in pixels of a 227 px patch: four of five are as in "thin", one as in "plain"."""
    return _thin_width(rng) if rng.random() < 0.8 else _plain_width(rng)


class _Style(NamedTuple):
    """A style of cracks.

    Attributes:
        width: Draws the width of the widest crack in pixels of a 227 px patch.
        seen: The least length of it that a patch shows, in sides of the patch.
        faint: The share of the patches whose cracks keep only a part of their contrast.
    """

    width: Callable[[np.random.Generator], float]
    seen: float
    faint: float = 0.0


STYLES: dict[Cracks, _Style] = {
    "plain": _Style(_plain_width, 0.35),
    "thin": _Style(_thin_width, 0.15),
    "varied": _Style(_varied_width, 0.15, faint=0.35),
}


def _wander(rng: np.random.Generator, start: np.ndarray, end: np.ndarray, rough: float) -> np.ndarray:
    """Draws a path by midpoint displacement (Fournier, Fussell and Carpenter 1982), (129, 2) float64."""
    points = np.stack([start, end])
    for level in range(_LEVELS):
        step = np.diff(points, axis=0)
        normal = np.stack([-step[:, 1], step[:, 0]], axis=1)
        shift = rng.normal(0, rough * (0.93**level), len(step))[:, None]
        middle = points[:-1] + step * rng.uniform(0.4, 0.6, (len(step), 1)) + normal * shift
        merged = np.empty((2 * len(points) - 1, 2))
        merged[0::2], merged[1::2] = points, middle
        points = merged
    return points


def _on_border(rng: np.random.Generator, side: int, size: int) -> np.ndarray:
    """Draws a point (x, y) just outside of one of the four sides of a patch."""
    along, out = rng.uniform(0.0, 1.0) * size, 0.06 * size
    return np.array([(along, -out), (size + out, along), (along, size + out), (-out, along)][side])


def _main_path(rng: np.random.Generator, size: int, roughest: float, least: float) -> tuple[np.ndarray, bool]:
    """Draws the path of a crack of which the patch shows `least` sides, and returns whether it ends in the patch."""
    while True:
        side = int(rng.integers(4))
        start = _on_border(rng, side, size)
        inside = rng.random() < 0.12
        if inside:
            end = rng.uniform(0.25, 0.75, 2) * size
        else:
            end = _on_border(rng, (side + (2 if rng.random() < 0.6 else 1)) % 4, size)
        path = _wander(rng, start, end, rng.uniform(0.03, roughest))
        margin = 0.03 * size
        seen = np.all((path > margin) & (path < size - margin), axis=1)
        steps = np.hypot(*np.diff(path, axis=0).T)
        if steps[seen[1:]].sum() > least * size:
            return path, inside


def _widths(rng: np.random.Generator, width: float, ragged: float, taper: bool) -> np.ndarray:
    """Draws the half widths to the left and right along a path in pixels, (129, 2) float64."""
    count = 2**_LEVELS + 1
    place = np.linspace(0, 1, count)
    swing = np.interp(place, np.linspace(0, 1, 7), rng.normal(0, 0.35, 7))
    sides = np.repeat(width / 2 * np.exp(swing)[:, None], 2, axis=1)
    fine = 0.35 / max(1.0, width / 6)
    bias = ragged * rng.uniform(0.3, 1.0, 2)
    for knots, share in ((count, fine), (count // 3, 0.45), (count // 9, 0.35)):
        grid = np.linspace(0, 1, knots)
        for side in range(2):
            sides[:, side] *= np.exp(bias[side] * share * np.interp(place, grid, rng.normal(0, 1, knots)))
    if taper:
        sides *= np.sqrt(1.0 - place)[:, None]
    return np.maximum(sides, 0.12)


def _fill(canvas: np.ndarray, points: np.ndarray, sides: np.ndarray) -> None:
    """Fills the ribbon around a path on a canvas that is `_FINE` times finer."""
    heading = np.gradient(points, axis=0)
    heading /= np.maximum(np.hypot(heading[:, 0], heading[:, 1]), 1e-9)[:, None]
    normal = np.stack([-heading[:, 1], heading[:, 0]], axis=1)
    left, right = points + normal * sides[:, :1], points - normal * sides[:, 1:]
    quads = np.stack([left[:-1], left[1:], right[1:], right[:-1]], axis=1)
    for quad in np.round(quads * (16 * _FINE)).astype(np.int32):
        cv2.fillConvexPoly(canvas, quad, 255, cv2.LINE_AA, 4)


def _crack_mask(surface: Surface, rng: np.random.Generator, width: float, least: float) -> np.ndarray:
    """Draws a crack with its branches, and returns the share of each pixel that is open, (size, size) float32."""
    size = surface.size
    canvas = np.zeros((size * _FINE, size * _FINE), np.uint8)
    wide = width > 6 * surface.scale
    points, inside = _main_path(rng, size, 0.15 if wide else 0.22, least)
    ragged = rng.uniform(0.2, 0.9)
    _fill(canvas, points, _widths(rng, width, ragged, inside))
    chances = _BRANCHES_WIDE if wide else _BRANCHES_NARROW
    for _ in range(int(rng.choice(len(chances), p=chances))):
        at = int(rng.integers(12, len(points) - 12))
        heading = math.atan2(*(points[at + 8] - points[at - 8])[::-1])
        heading += rng.choice((-1, 1)) * rng.uniform(0.3, 1.4)
        reach = rng.uniform(0.15, 0.8) * size
        end = points[at] + reach * np.array([math.cos(heading), math.sin(heading)])
        branch = _wander(rng, points[at], end, rng.uniform(0.08, 0.26))
        thin = max(width * rng.uniform(0.15, 0.7), _THINNEST)
        _fill(canvas, branch, _widths(rng, thin, ragged, True))
    shrunk = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA)
    mask = shrunk.astype(np.float32) / 255.0
    if width > 4 * surface.scale:
        grid_y, grid_x = np.mgrid[0:size, 0:size].astype(np.float32)
        jitter = rng.uniform(0.2, 0.9) * surface.scale
        grid_x += jitter * noise(rng, size, 3 * surface.scale)
        grid_y += jitter * noise(rng, size, 3 * surface.scale)
        return np.asarray(cv2.remap(mask, grid_x, grid_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))
    return mask


def _engrave(surface: Surface, rng: np.random.Generator, mask: np.ndarray, width: float) -> None:
    """Darkens and deepens the surface where the crack `mask` of a `width` in pixels is open."""
    size, scale = surface.size, surface.scale
    if rng.random() < 0.40:
        _spall(surface, rng, mask, width)
    if rng.random() < 0.5:
        _rounding(surface, rng, mask, width)
    grain = 1.0 + rng.uniform(0.05, 0.35) * noise(rng, size, rng.uniform(2, 6) * scale)
    thin = width < 3 * scale
    inner = grain * (rng.uniform(0.12, 0.6) if thin else _depths(surface, rng, mask, width))
    opening = mask
    if rng.random() < 0.25:
        filling = smoothstep(noise(rng, size, rng.uniform(8, 40) * scale), 0.4, 1.2)
        opening = mask * (1.0 - rng.uniform(0.3, 0.9) * filling)
    for plane, tint in zip(surface.colour, (rng.uniform(0.95, 1.2), 1.0, rng.uniform(0.75, 1.05)), strict=True):
        plane *= 1.0 + opening * (inner * tint - 1.0)
    if rng.random() < 0.45:
        _bright_rim(surface, rng, mask)
    depth = rng.uniform(0.3, 2.5) * min(1.0, 0.4 + width / (6 * scale))
    surface.height -= depth * blurred(mask, rng.uniform(0.6, 1.4) * scale) * scale


def _depths(surface: Surface, rng: np.random.Generator, mask: np.ndarray, width: float) -> np.ndarray:
    """Returns the brightness inside a wide crack as a share of the surface's: a lit wall, and the dark beside it."""
    reach = rng.uniform(0.0, 0.6) * width
    deep = shifted(mask, -reach * math.cos(surface.light), -reach * math.sin(surface.light))
    deep = blurred(deep, rng.uniform(0.1, 0.35) * width)
    wall, dark = rng.uniform(0.25, 0.95), rng.beta(1.2, 3.5) * 0.6
    return wall + deep * (dark - wall)


def _bright_rim(surface: Surface, rng: np.random.Generator, mask: np.ndarray) -> None:
    """Brightens the broken edge of the crack on the side that faces the light."""
    reach = rng.uniform(1.0, 6.0) * surface.scale
    turn = surface.light + rng.normal(0, 0.4)
    beside = shifted(mask, -reach * math.cos(turn), -reach * math.sin(turn))
    rim = blurred(np.clip(beside - mask, 0, 1), 0.5 * surface.scale)
    rim *= np.clip(0.5 + 0.7 * noise(rng, surface.size, 9 * surface.scale), 0, 1)
    surface.blend(rng.uniform(0.2, 0.9) * rim, rng.uniform(0.75, 1.0))


def _rounding(surface: Surface, rng: np.random.Generator, mask: np.ndarray, width: float) -> None:
    """Darkens or brightens the surface near the crack, more on one side than on the other."""
    reach = rng.uniform(1.5, 4) * surface.scale + rng.uniform(0.2, 0.6) * width
    turn = rng.uniform(0, 2 * math.pi)
    lean = rng.uniform(0, 1.3) * reach
    halo = shifted(blurred(mask, reach), lean * math.cos(turn), lean * math.sin(turn))
    surface.multiply(1.0 + rng.uniform(-0.5, 0.15) * halo)


def _spall(surface: Surface, rng: np.random.Generator, mask: np.ndarray, width: float) -> None:
    """Breaks flakes off beside the crack, where the surface becomes paler, rougher and lower."""
    size, scale = surface.size, surface.scale
    near = blurred(mask, 2.0 * scale + rng.uniform(0.5, 1.2) * width)
    near /= max(float(near.max()), 1e-3)
    side = rng.uniform(-0.5, 0.5, 2) * (width + 4 * scale)
    near = shifted(near, *side)
    field = near + 0.28 * noise(rng, size, rng.uniform(8, 22) * scale)
    flake = smoothstep(field, rng.uniform(0.6, 1.0), 1.1)
    surface.height -= rng.uniform(0.5, 2.5) * flake * scale
    surface.height += flake * rng.uniform(0.1, 0.4) * noise(rng, size, 3 * scale) * scale
    tone = rng.uniform(-0.3, 0.25)
    warmth = rng.uniform(-0.02, 0.12)
    for plane, tint in zip(surface.colour, (warmth, 0.0, -warmth), strict=True):
        plane *= 1.0 + flake * (tone + tint)
