"""Figures as files, and those that are drawn once."""

import io

import numpy as np
from PIL import Image

from crackexp.reporting import figures
from crackexp.reporting.figures.png import KEPT, png

IMAGES = np.random.default_rng(0).integers(0, 256, (9, 32, 32, 3), np.uint8)


def test_a_figure_of_equal_images_and_titles_is_drawn_once():
    figure = figures.sample_grid(IMAGES, ["Negative"] * 9)
    assert figures.sample_grid(IMAGES.copy(), ["Negative"] * 9) is figure
    assert figures.sample_grid(IMAGES, ["Positive"] * 9) is not figure
    changed = IMAGES.copy()
    changed[8, 31, 31, 2] ^= 1
    assert figures.sample_grid(changed, ["Negative"] * 9) is not figure


def test_only_the_last_figures_are_kept():
    first = figures.sample_grid(IMAGES[:1], ["first"])
    for number in range(KEPT):
        figures.sample_grid(IMAGES[:1], [f"number {number}"])
    assert figures.sample_grid(IMAGES[:1], ["first"]) is not first


def test_a_figure_is_rendered_once_with_100_pixels_an_inch():
    figure = figures.sample_grid(IMAGES, ["Negative"] * 9)
    file = png(figure)
    assert png(figure) is file
    picture = Image.open(io.BytesIO(file))
    assert picture.size == tuple(np.round(figure.get_size_inches() * 100).astype(int))
