"""Figures as PNG files, in this process or in another, and figures that are drawn once in a process."""

import hashlib
import io
import logging
import pickle
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future
from functools import cache, wraps
from typing import Any, ParamSpec
from weakref import WeakKeyDictionary

from loky import ProcessPoolExecutor
from matplotlib.figure import Figure

from crackexp.utils.processes import process_pool

P = ParamSpec("P")
OPTIONS: dict[str, Any] = {"dpi": 100, "pil_kwargs": {"compress_level": 1}}
"""Options of PNG files. Figures are a tenth larger than at the default level and take a quarter of the time."""
KEPT = 4
"""The number of figures that `drawn_once` keeps of each function: those of the sizes that a sweep compares."""

_files: WeakKeyDictionary[Figure, bytes] = WeakKeyDictionary()
_log = logging.getLogger(__name__)


def png(figure: Figure) -> bytes:
    """Returns a figure as a PNG file, which is rendered once: a figure does not change after it is drawn."""
    file = _files.get(figure)
    if file is None:
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", **OPTIONS)
        file = _files[figure] = buffer.getvalue()
    return file


class BackgroundPng:
    """A PNG file of a figure that another process renders while this one goes on.

    The process takes half a second to start, and then waits for more figures, such as those of the next trial.

    Args:
        figure: The figure, which does not change any more.
    """

    def __init__(self, figure: Figure) -> None:
        self._figure = figure
        self._rendered = None if figure in _files else _submit(figure)

    def result(self) -> bytes:
        """Returns the file, once it is rendered.

        It is rendered here where the other process cannot do it: it was ended, or the figure cannot be pickled.
        """
        if self._rendered is not None:
            try:
                _files[self._figure] = self._rendered.result()
            except Exception as error:  # of any type, raised by whatever the figure holds
                _log.warning("A figure is rendered in this process, since another failed: %r", error)
        return png(self._figure)


def _submit(figure: Figure) -> "Future[bytes]":
    """Gives a figure to the process that renders, or to a new one where the last was ended from outside."""
    try:
        return _process().submit(png, figure)
    except BrokenExecutor:
        _process.cache_clear()
        return _process().submit(png, figure)


@cache
def _process() -> ProcessPoolExecutor:
    return process_pool(1)


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
