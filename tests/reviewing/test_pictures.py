"""Patches are cut from a photo of any size, which is read once from the top to the bottom."""

from pathlib import Path

import numpy as np
import pytest
import pyvips

from crackexp.data.images.windows import PhotoSource, WholePhoto, WindowedPhoto
from crackexp.reviewing.pictures import _windows
from crackexp.reviewing.proposal import Patch

SIZE = (3000, 700)


@pytest.fixture(params=["whole", "windowed"])
def photo(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[PhotoSource, np.ndarray]:
    """A photo, and its pixels."""
    pixels = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
    if request.param == "whole":
        return WholePhoto(pixels), pixels
    pyvips.Image.new_from_array(pixels).write_to_file(str(tmp_path / "wall.tif"), tile=True)
    return WindowedPhoto(tmp_path / "wall.tif"), pixels


def test_windows_are_those_of_the_photo(photo: tuple[PhotoSource, np.ndarray]) -> None:
    source, pixels = photo
    boxes = [(0, 0, 100, 100), (600, 40, 700, 140), (300, 60, 400, 160), (0, 2200, 100, 2300), (50, 2900, 150, 3000)]
    patches = [Patch(file=f"{k}.png", photo="wall", box=box, size=SIZE, probability=0) for k, box in enumerate(boxes)]
    found = list(_windows(source, patches))
    assert [patch for patch, _ in found] == patches
    for patch, window in found:
        left, top, right, bottom = patch.around
        np.testing.assert_array_equal(window, pixels[top:bottom, left:right])
