"""ROC and precision-recall curves."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from sklearn import metrics

from crackexp.reporting.figures.style import INK, LINE, MUTED, charts, styled
from crackexp.reporting.formatting import number, percent, shortened

Curve = tuple[np.ndarray, np.ndarray, str]
ZOOMS = (0.01, 0.02, 0.05, 0.1, 0.2)
"""The widths of the square at the best corner that the second panel may enlarge."""


@styled
def roc_curve(labels: np.ndarray, probabilities: np.ndarray, class_names: Sequence[str], positive: int) -> Figure:
    """Draws the ROC curve of the positive class, or of each class against the rest where there are more than two.

    A second panel enlarges the best corner, where the curves come close to it.

    Args:
        labels: (n,) int in [0, c), with at least two classes among them.
        probabilities: (n, c) float.
        class_names: The names of the c classes.
        positive: The index of the positive class.
    """

    def curve(truth: np.ndarray, score: np.ndarray, name: str) -> Curve:
        x, y, _ = metrics.roc_curve(truth, score)
        return x, y, f"{name} {number(metrics.roc_auc_score(truth, score))}"

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=LINE, linewidth=1, linestyle=(0, (4, 3)))
        axes.set(xlabel="False positive rate", ylabel="True positive rate (recall)")

    curves = _curves(curve, labels, probabilities, class_names, positive)
    point = None
    if len(class_names) == 2:
        predicted = probabilities.argmax(axis=1) == positive
        recall, false_alarms = predicted[labels == positive].mean(), predicted[labels != positive].mean()
        text = f"As predicted: {percent(recall)} found,\n{percent(false_alarms)} false alarms"
        point = (np.array([false_alarms]), np.array([recall]), text)
    return _panels("ROC curve", "Area under the curve", "Upper left corner", curves, point, (0, 1), draw)


@styled
def precision_recall_curve(
    labels: np.ndarray, probabilities: np.ndarray, class_names: Sequence[str], positive: int
) -> Figure:
    """Draws the precision-recall curve, in steps whose area is the average precision; its panels are as of `roc_curve`.

    Args:
        labels: (n,) int in [0, c), with at least two classes among them.
        probabilities: (n, c) float.
        class_names: The names of the c classes.
        positive: The index of the positive class.
    """

    def curve(truth: np.ndarray, score: np.ndarray, name: str) -> Curve:
        y, x, _ = metrics.precision_recall_curve(truth, score)
        area = metrics.average_precision_score(truth, score)
        return np.repeat(x, 2)[1:], np.repeat(y, 2)[:-1], f"{name} {number(area)}"

    binary = len(class_names) == 2
    share = float(np.mean(labels == positive))

    def draw(axes: Axes) -> None:
        if binary:
            axes.axhline(share, color=LINE, linewidth=1, linestyle=(0, (4, 3)))
        axes.set(xlabel="Recall", ylabel="Precision")

    curves = _curves(curve, labels, probabilities, class_names, positive)
    predicted = probabilities.argmax(axis=1) == positive
    point = None
    if binary and predicted.any():
        recall = predicted[labels == positive].mean()
        precision = np.mean(labels[predicted] == positive)
        text = f"As predicted: recall {percent(recall)},\nprecision {percent(precision)}"
        point = (np.array([recall]), np.array([precision]), text)
    return _panels("Precision-recall curve", "Average precision", "Upper right corner", curves, point, (1, 1), draw)


def _curves(
    curve: Callable[[np.ndarray, np.ndarray, str], Curve],
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    positive: int,
) -> list[Curve]:
    """Returns the curve of each class that has images, and is not the class of all images."""
    classes = [positive] if len(class_names) == 2 else range(len(class_names))
    truths = [(k, labels == k) for k in classes]
    return [
        curve(truth, probabilities[:, k], shortened(class_names[k], 18))
        for k, truth in truths
        if truth.any() and not truth.all()
    ]


def _panels(
    title: str,
    scores_title: str,
    corner_title: str,
    curves: list[Curve],
    point: Curve | None,
    corner: tuple[int, int],
    draw: Callable[[Axes], None],
) -> Figure:
    zoom = _zoom(curves, point, corner)
    figure, (panels,) = charts(1, 2 if zoom else 1, 4.6, width=9.0 if zoom else 5.4)
    for axes in panels:
        draw(axes)
        for x, y, text in curves:
            axes.plot(x, y, label=text, clip_on=axes is not panels[0], zorder=3)
        if point:
            x, y, text = point
            axes.plot(x, y, "o", color=INK, markeredgecolor="white", label=text, clip_on=False, zorder=4)
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.yaxis.set_major_formatter(PercentFormatter(1))
    panels[0].set_title(title)
    loc = "lower right" if corner == (0, 1) else "lower left"
    panels[0].legend(loc=loc, title=scores_title, alignment="left")
    if zoom:
        panels[1].set(
            xlim=sorted((corner[0], abs(corner[0] - zoom))),
            ylim=sorted((corner[1], abs(corner[1] - zoom))),
        )
        for axis in (panels[1].xaxis, panels[1].yaxis):
            axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
            axis.set_major_formatter(PercentFormatter(1, decimals=1 if zoom < 0.05 else 0))
        panels[1].set_title(f"{corner_title}, {1 / zoom:.0f}x", color=MUTED)
    return figure


def _zoom(curves: list[Curve], point: Curve | None, corner: tuple[int, int]) -> float | None:
    """Returns the width of the square at `corner` to enlarge; None where a curve or the point is too far from it."""
    distances = [
        np.min(np.maximum(np.abs(x - corner[0]), np.abs(y - corner[1])))
        for x, y, _ in [*curves, *([point] if point else [])]
    ]
    return next((zoom for zoom in ZOOMS if zoom >= 2 * max(distances)), None)
