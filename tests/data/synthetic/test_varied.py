"""Drawn patches of varied surfaces: their marks tell no class, their cracks are there, and nothing else has changed."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from crackexp.data.sources import Synthetic
from crackexp.data.synthetic import draw_patch
from crackexp.data.synthetic.crack import STYLES, draw_crack
from crackexp.data.synthetic.texture import draw_surface
from crackexp.data.synthetic.varied_marks import _MARKS, draw_varied_marks
from crackexp.utils.errors import ConfigError
from crackexp.utils.seeds import generator


def varied(seed: int, index: int, cracked: bool, size: int = 64) -> np.ndarray:
    return draw_patch(seed, index, cracked, size, "varied", "varied")


@pytest.mark.parametrize("size", [32, 160, 227, 300])
def test_a_patch_is_rgb_bytes_of_the_asked_size_and_depends_on_its_arguments_alone(size: int) -> None:
    patch = varied(0, 1, True, size)
    assert patch.shape == (size, size, 3)
    assert patch.dtype == np.uint8
    np.testing.assert_array_equal(patch, varied(0, 1, True, size))
    assert (patch != varied(0, 2, True, size)).any()


def test_no_patch_is_black_or_white_all_over() -> None:
    for index in range(60):
        for cracked in (False, True):
            low, high = np.quantile(varied(7, index, cracked, 96), [0.01, 0.99])
            assert high - low > 5
            assert low < 250
            assert high > 10


def test_they_differ_more_than_plain_ones_in_brightness_and_contrast() -> None:
    sets = {
        surfaces: np.stack([draw_patch(3, i, False, 64, "plain", surfaces) for i in range(80)]).astype(float)
        for surfaces in ("plain", "varied")
    }
    for measure in (
        lambda images: images.mean(axis=(1, 2, 3)),
        lambda images: images.std(axis=(1, 2)).mean(axis=1),
    ):
        assert measure(sets["varied"]).std() > 1.2 * measure(sets["plain"]).std()


@pytest.mark.parametrize("mark", [mark for _, mark in _MARKS], ids=lambda mark: mark.__name__)
@pytest.mark.parametrize("size", [32, 227])
def test_every_mark_leaves_colour_and_relief_finite_and_changes_something(mark, size: int) -> None:
    changed = 0
    for index in range(6):
        rng = generator(0, "marks", index)
        surface = draw_surface(rng, size, varied=True)
        colour, height = surface.colour.copy(), surface.height.copy()
        mark(surface, rng)
        assert np.isfinite(surface.colour).all()
        assert np.isfinite(surface.height).all()
        assert surface.colour.dtype == surface.height.dtype == np.float32
        changed += (surface.colour != colour).any() or (surface.height != height).any()
    assert changed >= 4


def test_marks_are_drawn_without_knowing_the_class() -> None:
    first, second = draw_surface(generator(0, "a"), 64, varied=True), draw_surface(generator(0, "a"), 64, varied=True)
    draw_varied_marks(first, generator(1, "b"))
    draw_varied_marks(second, generator(1, "b"))
    np.testing.assert_array_equal(first.colour, second.colour)


def test_a_third_of_varied_cracks_are_faint_and_none_of_the_others() -> None:
    def contrast(cracks: str) -> np.ndarray:
        found = []
        for index in range(150):
            surface = draw_surface(generator(0, "surface", index), 64)
            before = surface.colour.mean(axis=0)
            mask = draw_crack(surface, generator(0, "crack", index), cracks)
            open_pixels = mask > 0.5 * mask.max()
            found.append(1 - (surface.colour.mean(axis=0)[open_pixels] / before[open_pixels]).mean())
        return np.array(found)

    assert STYLES["thin"].faint == STYLES["plain"].faint == 0
    assert np.mean(contrast("varied") < 0.35) > np.mean(contrast("thin") < 0.35) + 0.15


def test_cracks_of_varied_patches_can_be_seen_as_lines() -> None:
    """With its crack, a patch has a darker connected line than without, in most pairs of the same surface."""
    darker = 0
    for index in range(40):
        surface = draw_surface(generator(5, "surface", index), 128, varied=True)
        before = surface.colour.copy()
        mask = draw_crack(surface, generator(5, "crack", index), "varied")
        darker += (before - surface.colour)[:, mask > 0.5 * mask.max()].mean() > 0.02
        _, _, stats, _ = cv2.connectedComponentsWithStats((mask > 0.1).astype(np.uint8))
        assert stats[1:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max() > 128 / 8
    assert darker >= 34


def test_unknown_surfaces_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"plain, varied.*Received: surfaces=wood"):
        draw_patch(0, 0, False, 64, "plain", "wood")  # type: ignore[arg-type]


def test_a_dataset_of_them_has_a_folder_of_its_own(tmp_path: Path) -> None:
    given = {"name": "drawn", "count": 4, "size": 32, "draw_seed": 0, "positive": "Positive", "limit": None}
    given |= {"on_bad_file": "error", "cache": str(tmp_path)}
    plain, other = Synthetic(**given), Synthetic(**given, cracks="varied", surfaces="varied")
    assert plain.path != other.path
    assert len(other.prepare()) == 4
    assert sorted(file.read_bytes() for file in other.path.rglob("*.jpg")) != sorted(
        file.read_bytes() for file in (plain.prepare(), plain)[1].path.rglob("*.jpg")
    )
