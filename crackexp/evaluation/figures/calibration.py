"""The reliability diagram."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from crackexp.metrics.intervals import wilson
from crackexp.metrics.scorer import ECE_BINS, calibration_bins
from crackexp.reporting.figures.style import BLUE, LINE, MUTED, charts, styled

LEVEL = 0.95


@styled
def reliability_diagram(labels: np.ndarray, probabilities: np.ndarray) -> Figure:
    """Draws the share of correct predictions at each confidence, and how many predictions have it.

    The bins and the expected calibration error are those of `evaluate_predictions`. The bars are Wilson's
    intervals of 95 %.

    Args:
        labels: (n,) int in [0, c).
        probabilities: (n, c) float; each row sums to 1.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    correct = probabilities.argmax(axis=1) == labels
    bins = calibration_bins(confidence)
    filled = np.unique(bins)
    mean_confidence = np.array([confidence[bins == b].mean() for b in filled])
    accuracy = [wilson(int(correct[bins == b].sum()), int(np.sum(bins == b)), LEVEL) for b in filled]
    values = np.array([score.value for score in accuracy])
    counts = np.bincount(bins, minlength=ECE_BINS)
    error = np.sum(counts[filled] * np.abs(values - mean_confidence)) / len(labels)

    figure, ((top,), (bottom,)) = charts(2, 1, 6.6, width=7.2, sharex=True, height_ratios=[3, 1])
    top.plot([0, 1], [0, 1], color=LINE, linewidth=1, linestyle=(0, (4, 3)), label="perfectly calibrated")
    lows, highs = [score.low for score in accuracy], [score.high for score in accuracy]
    top.vlines(mean_confidence, lows, highs, color=BLUE, alpha=0.45)
    top.plot(mean_confidence, values, "o-", color=BLUE, linewidth=1, clip_on=False, zorder=3, label="predictions")
    top.set(ylabel="Share of correct predictions", ylim=(0, 1.02))
    top.set_title(f"Reliability: expected calibration error {error:.4f}")
    top.legend(loc="lower right")

    bottom.bar((np.arange(ECE_BINS) + 0.5) / ECE_BINS, counts, 0.9 / ECE_BINS, color=BLUE, alpha=0.75)
    for b in filled:
        bottom.annotate(
            f"{counts[b]:,}",
            ((b + 0.5) / ECE_BINS, counts[b]),
            (0, 2),
            textcoords="offset points",
            ha="center",
            fontsize=8,
            color=MUTED,
        )
    bottom.set_yscale("symlog", linthresh=1)
    bottom.set(ylim=(0, counts.max() * 6), yticks=[], ylabel="Images (log)")
    bottom.set_xlabel("Confidence: probability of the predicted class")
    bottom.set_xlim(np.floor(ECE_BINS / probabilities.shape[1]) / ECE_BINS, 1)
    for axis in (top.yaxis, bottom.xaxis):
        axis.set_major_formatter(PercentFormatter(1))
    bottom.grid(False)
    bottom.tick_params(axis="y", which="both", length=0)
    return figure
