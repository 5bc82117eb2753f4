"""The style of all figures, made for a browser pane 900 pixels wide at 100 dots per inch."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.rcsetup import cycler

INK = "#1f2933"
MUTED = "#66727f"
LINE = "#c9d0d6"
FAINT = "#eef1f4"
BLUE = "#0072b2"
RED = "#d55e00"
PALETTE = (BLUE, RED, "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe and Ito's colours, which the colour-blind tell apart (2008, "Color Universal Design")."""

WIDTH = 9.0
"""The width of a figure in inches."""

STYLE: dict[Any, Any] = {
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "axes.edgecolor": LINE,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 13,
    "axes.titleweight": "bold",
    "axes.titlepad": 10,
    "axes.labelsize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.prop_cycle": cycler(color=PALETTE),
    "grid.color": FAINT,
    "grid.linewidth": 1.0,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "font.size": 11,
    "text.color": INK,
    "text.parse_math": False,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "lines.linewidth": 2.0,
    "lines.markersize": 6,
}

P = ParamSpec("P")


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Decorates a function that draws a figure, so that it uses `STYLE` without changing matplotlib's settings.

    The layout of the figure is computed once, since matplotlib would draw it twice more whenever it is saved.
    """

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with rc_context(STYLE):
            figure = draw(*args, **kwargs)
            if engine := figure.get_layout_engine():
                engine.execute(figure)
                figure.set_layout_engine(None)
        return figure

    return drawn


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """Returns an empty figure of `width` by `height` inches with a constrained layout."""
    engine = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1, wspace=0.04, hspace=0.04)
    figure = Figure(figsize=(width, height), layout=engine)
    FigureCanvasAgg(figure)
    return figure


def charts(rows: int, columns: int, height: float, width: float = WIDTH, **kwargs: Any) -> tuple[Figure, np.ndarray]:
    """Returns a figure with a grid of charts, whose margins have room for a title, ticks and labels of usual length.

    A constrained layout, which measures each text, takes half of the time of a chart.

    Args:
        rows: The number of rows.
        columns: The number of columns.
        height: The height of the figure in inches.
        width: The width of the figure in inches.
        kwargs: Further arguments of `Figure.subplots`.

    Returns:
        The figure, and its axes, (rows, columns).
    """
    left, right, bottom, top = 0.9, width - 0.25, 0.65, height - 0.5
    across, down = 0.95, 0.2
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    figure.subplots_adjust(
        left=left / width,
        right=right / width,
        bottom=bottom / height,
        top=top / height,
        wspace=across * columns / (right - left - across * (columns - 1)),
        hspace=down * rows / (top - bottom - down * (rows - 1)),
    )
    return figure, figure.subplots(rows, columns, squeeze=False, **kwargs)


def heading(figure: Figure, text: str) -> None:
    """Writes a title above all panels, or a tenth of an inch below the edge where the figure has no layout engine."""
    width, height = figure.get_size_inches()
    place = {} if figure.get_layout_engine() else {"y": 1 - 0.1 / height}
    figure.suptitle(text, x=0.1 / width, ha="left", fontsize=13, fontweight="bold", **place)
