"""Outlines, areas and extents of cracked regions, against closed forms."""

import numpy as np
import pytest

from crackexp.surveying.regions import find_regions


def heat(*rectangles: tuple[int, int, int, int], shape: tuple[int, int] = (40, 60)) -> np.ndarray:
    field = np.zeros(shape, np.float32)
    for top, bottom, left, right in rectangles:
        field[top:bottom, left:right] = 1
    return field


def test_a_plain_photo_has_no_regions_and_a_cracked_one_is_whole() -> None:
    assert find_regions(heat(), 0.5, 10, 400, 600) == []
    (region,) = find_regions(np.ones((40, 60), np.float32), 0.5, 10, 395, 598)
    assert region.area == 395 * 598
    assert region.extent == pytest.approx(np.hypot(395, 598))


def test_a_rectangle_has_its_area_and_its_diagonal() -> None:
    """At half of its height the slope of its sides stands on the cells' edges; each corner is cut, by 1/8 cell."""
    (region,) = find_regions(heat((10, 20, 5, 35)), 0.5, 10, 400, 600)
    assert region.area == pytest.approx(100 * 300 - 4 * 100 / 8)
    assert region.extent == pytest.approx(np.hypot(100, 300), abs=10)
    assert region.rings[0].min(axis=0).tolist() == [50, 100]
    assert region.rings[0].max(axis=0).tolist() == [350, 200]
    np.testing.assert_array_equal(region.rings[0][0], region.rings[0][-1])


def test_at_the_edge_of_the_photo_a_region_ends_with_it() -> None:
    (region,) = find_regions(heat((0, 10, 0, 60)), 0.5, 10, 400, 600)
    assert region.area == pytest.approx(100 * 600)


def test_regions_are_apart_and_the_largest_first() -> None:
    regions = find_regions(heat((0, 4, 0, 4), (10, 30, 10, 30), (35, 38, 50, 58)), 0.5, 10, 400, 600)
    assert len(regions) == 3
    areas = [region.area for region in regions]
    assert areas == sorted(areas, reverse=True)


def test_a_hole_is_no_part_of_a_region() -> None:
    field = heat((5, 35, 5, 35))
    field[15:25, 15:25] = 0
    (region,) = find_regions(field, 0.5, 10, 400, 600)
    assert len(region.rings) == 2
    assert region.area == pytest.approx(300 * 300 - 100 * 100, abs=100)


def test_a_lower_threshold_marks_more() -> None:
    slope = np.tile(np.linspace(0, 1, 60, dtype=np.float32), (40, 1))
    areas = [sum(region.area for region in find_regions(slope, level, 10, 400, 600)) for level in (0.9, 0.5, 0.1)]
    assert areas == sorted(areas)
    assert areas[1] == pytest.approx(400 * 300)
