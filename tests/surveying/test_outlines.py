"""Outlines with fewer corners are near the old ones, valid, and keep their holes and pieces."""

import itertools
import json

import numpy as np
import pytest

from crackexp.surveying.outlines import simplified
from crackexp.surveying.regions import Region
from tests.surveying.drawn import drawn_crack, line, surveyed


def distance(points: np.ndarray, ring: np.ndarray) -> np.ndarray:
    """Returns the distance of each point from a ring."""
    start, along = ring[:-1], np.diff(ring, axis=0)
    place = np.einsum("pkd,kd->pk", points[:, None] - start, along) / np.sum(along**2, axis=1)
    nearest = start + np.clip(place, 0, 1)[..., None] * along
    return np.linalg.norm(points[:, None] - nearest, axis=2).min(axis=1)


def crosses(ring: np.ndarray) -> bool:
    """Returns whether two sides of a ring that are no neighbours cross."""

    def turn(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> float:
        return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])

    sides = list(itertools.pairwise(ring))
    for first in range(len(sides)):
        for second in range(first + 2, len(sides) - (first == 0)):
            (a, b), (c, d) = sides[first], sides[second]
            if turn(a, b, c) * turn(a, b, d) < 0 and turn(c, d, a) * turn(c, d, b) < 0:
                return True
    return False


@pytest.mark.parametrize("seed", range(12))
def test_fewer_corners_are_within_half_a_step(seed: int) -> None:
    crack = drawn_crack(seed)
    photo = surveyed(line((0, 80), (700, 720)) if crack is None else crack)
    for region in photo.regions:
        made = simplified(region, photo.step / 2)
        assert [len(piece) for piece in made.pieces] == [len(piece) for piece in region.pieces]
        assert sum(map(len, made.rings)) < sum(map(len, region.rings)) / 5
        assert made.area == pytest.approx(region.area, rel=0.25)
        for old, new in zip(region.rings, made.rings, strict=True):
            assert distance(old[:-1], new).max() <= photo.step / 2
            np.testing.assert_array_equal(new[0], new[-1])
            assert not crosses(new)


def test_a_hole_stays_and_a_shape_thinner_than_the_tolerance_stays_valid() -> None:
    frame = line((110, 110), (590, 110), (590, 590), (110, 590), (110, 110))
    photo = surveyed(frame)
    (region,) = photo.regions
    (piece,) = simplified(region, photo.step / 2).pieces
    assert len(piece) == 2
    assert piece[0].min() < piece[1].min()

    x = np.arange(0, 400, 5.0)
    wave = 40 * np.sin(x / 30)
    edge = np.concatenate([np.stack([x, wave], 1), np.stack([x, wave + 6], 1)[::-1], [[0, wave[0]]]])
    ribbon = simplified(Region([[edge]]), 60)
    assert ribbon.area > 0
    assert not crosses(ribbon.rings[0])


def test_a_region_of_several_pieces_is_a_multipolygon_of_geojson() -> None:
    photo = surveyed(line((40, 700), (760, 420)), missed=[(280, 607), (520, 513)])
    (feature,) = json.loads(photo.geojson("wall.jpg", 0.5))["features"]
    (region,) = photo.regions
    assert feature["geometry"]["type"] == "MultiPolygon"
    assert len(feature["geometry"]["coordinates"]) == len(region.pieces) == 3
    assert feature["properties"]["extent_px"] == round(region.extent)
    corners = [corner for polygon in feature["geometry"]["coordinates"] for ring in polygon for corner in ring]
    assert len(corners) < 60
    whole = json.loads(surveyed(line((40, 700), (760, 420))).geojson("wall.jpg", None))["features"][0]
    assert whole["geometry"]["type"] == "Polygon"
    assert whole["properties"]["extent_px"] > 700
