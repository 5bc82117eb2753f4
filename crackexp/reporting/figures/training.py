"""Training curves."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from crackexp.reporting.figures.style import BLUE, LINE, MUTED, RED, charts, styled


@styled
def training_curves(
    history: Mapping[str, Sequence[float]],
    before: Mapping[str, float] | None = None,
    phases: Sequence[int] = (),
) -> Figure:
    """Draws the accuracy and the loss of training and validation by epoch.

    Args:
        history: The value of each epoch of "loss", "accuracy", "val_loss" and "val_accuracy"; those that are missing
            are not drawn.
        before: The values of "val/accuracy_before" and "val/loss_before", which are drawn at epoch 0; None for none.
        phases: The number of epochs before each phase of training; the first is 0.
    """
    figure, ((left, right),) = charts(1, 2, 4.2)
    _panel(left, "accuracy", history, before or {}, phases)
    left.set_title("Accuracy")
    left.yaxis.set_major_formatter(PercentFormatter(1))
    _panel(right, "loss", history, before or {}, phases)
    right.set_title("Loss")
    right.set_ylim(bottom=0)
    right.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0.3)
    return figure


def _panel(
    axes: Axes,
    metric: str,
    history: Mapping[str, Sequence[float]],
    before: Mapping[str, float],
    phases: Sequence[int],
) -> None:
    for key, name, color in ((metric, "training", BLUE), (f"val_{metric}", "validation", RED)):
        values = list(history.get(key, ()))
        epochs = list(range(1, len(values) + 1))
        start = before.get(f"val/{metric}_before") if key.startswith("val_") else None
        if start is not None:
            values, epochs = [start, *values], [0, *epochs]
        marker = "o" if len(epochs) <= 25 else None
        axes.plot(epochs, values, marker=marker, color=color, label=name, zorder=3)
        if start is not None:
            axes.plot(0, start, "o", color="white", markeredgecolor=color, markersize=7, zorder=4)
            axes.annotate(
                "before training",
                (0, start),
                (9, 0),
                textcoords="offset points",
                va="center",
                fontsize=9,
                color=MUTED,
            )
    for number, boundary in enumerate(phases, start=1):
        if boundary:
            axes.axvline(boundary + 0.5, color=LINE, linewidth=1)
            axes.annotate(
                f"phase {number}",
                (boundary + 0.5, 1),
                (4, -2),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                va="top",
                fontsize=9,
                color=MUTED,
            )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel("Epoch")
