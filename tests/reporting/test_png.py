"""Figures as files, and those that are drawn once."""

import io
import os
import signal
import time

import numpy as np
from PIL import Image

from crackexp.reporting import figures
from crackexp.reporting.png import KEPT, BackgroundPng, _process, png

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


def test_another_process_renders_the_same_file():
    figure = figures.confusion_matrix(np.array([0, 1, 1]), np.array([0, 1, 0]), ["Negative", "Positive"])
    file = BackgroundPng(figure).result()
    assert _process().submit(os.getpid).result() != os.getpid()
    assert file == png(figures.confusion_matrix(np.array([0, 1, 1]), np.array([0, 1, 0]), ["Negative", "Positive"]))
    assert png(figure) is file


def test_a_figure_that_cannot_be_pickled_is_rendered_here():
    figure = figures.sample_grid(IMAGES[:1], ["not to be pickled"])
    figure.own = (number for number in range(3))
    assert BackgroundPng(figure).result() == png(figure)
    other = figures.sample_grid(IMAGES[:1], ["to be pickled"])
    assert BackgroundPng(other).result() == png(other)


def test_figures_are_rendered_although_the_other_process_was_killed():
    first, second = (figures.sample_grid(IMAGES[:1], [name]) for name in ("before", "after"))
    process = _process().submit(os.getpid).result()
    _process().submit(time.sleep, 60)
    rendering = BackgroundPng(first)
    os.kill(process, signal.SIGKILL)
    assert rendering.result() == png(first)
    assert BackgroundPng(second).result() == png(second)
    assert _process().submit(os.getpid).result() not in (process, os.getpid())
