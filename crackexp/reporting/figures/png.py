"""Figures as PNG files, and figures that are drawn once in a process."""

import hashlib
import io
import pickle
from collections import OrderedDict
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec
from weakref import WeakKeyDictionary

from matplotlib.figure import Figure

P = ParamSpec("P")
OPTIONS: dict[str, Any] = {"dpi": 100, "pil_kwargs": {"compress_level": 1}}
"""Options of PNG files. Figures are a tenth larger than at the default level and take a quarter of the time."""
KEPT = 4
"""The number of figures that `drawn_once` keeps of each function: those of the sizes that a sweep compares."""

_files: WeakKeyDictionary[Figure, bytes] = WeakKeyDictionary()


def png(figure: Figure) -> bytes:
    """Returns a figure as a PNG file, which is rendered once: a figure does not change after it is drawn."""
    file = _files.get(figure)
    if file is None:
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", **OPTIONS)
        file = _files[figure] = buffer.getvalue()
    return file


def drawn_once(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Decorates a function that draws a figure, so that equal arguments give the same figure.

    The trials of a sweep show the same images and networks, and a figure of nine images takes a fifth of a second.
    Arguments are compared by the digest of their bytes, and the last `KEPT` figures are kept.
    """
    figures: OrderedDict[bytes, Figure] = OrderedDict()

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        key = hashlib.blake2b(pickle.dumps((args, kwargs)), digest_size=16).digest()
        figure = figures.pop(key, None)
        figures[key] = draw(*args, **kwargs) if figure is None else figure
        if len(figures) > KEPT:
            figures.popitem(last=False)
        return figures[key]

    return drawn
