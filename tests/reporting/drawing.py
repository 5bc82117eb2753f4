"""Reads a figure back; drawing it fails the test where matplotlib warns."""

from io import BytesIO

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image


def drawn(figure: Figure) -> np.ndarray:
    """Draws the figure, checks that it fits a browser pane 900 pixels wide, and returns its pixels."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    with Image.open(buffer) as image:
        pixels = np.asarray(image.convert("RGB"))
    assert 300 <= pixels.shape[1] <= 900
    assert pixels.std() > 1
    return pixels


def texts(axes: Axes) -> list[str]:
    """Returns the texts written into the axes, in the order of writing."""
    return [text.get_text() for text in axes.texts]
