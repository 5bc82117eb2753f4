"""How far two trainings of one setting differ, estimated where a sweep has repeats or a crossed layout."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import null_space

from crackexp.comparison.design import Layout

FEWEST_DOF = 3
"""Degrees of freedom below which the spread of trainings is not known well enough to be used."""

OUTLIER = 0.999
"""Confidence at which a cell that fits badly counts as failed, and is left out of the spread."""

NORMAL_DRAWS = 20_000
"""Of cells, for the share of the spread that the worst of them has by chance."""


@dataclass(frozen=True)
class TrainingNoise:
    """The variance of a cell's mean loss over trainings of its setting.

    Attributes:
        source: "repeats" (cells that differ in seeds alone), "layout" (what the factors' main effects leave
            over) or "none" (not known).
        observed: mean square of the cells' losses along `basis`; it holds `items`.
        items: the part of `observed` that the choice of items explains.
        basis: (cells, directions) float64, orthonormal: along them trainings alone make cells differ.
        limit: a cell that makes more than this share of the spread is left out; 1: none is.
        failed: the cell that was left out, None where none was.
    """

    source: str
    observed: float
    items: float
    basis: np.ndarray
    limit: float
    failed: int | None = None

    @property
    def dof(self) -> int:
        """Degrees of freedom; 0 where the noise is not known."""
        return self.basis.shape[1]

    @property
    def variance(self) -> float:
        """Of one training, for any choice of items; 0 where it is not known."""
        return max(0.0, self.observed - self.items)


def main_effects_design(layout: Layout) -> np.ndarray:
    """Returns (settings, p) float64: a column of ones, then for each factor a column a level but the first."""
    columns = [np.ones(len(layout.names))]
    for key in layout.factors:
        levels = layout.levels[key]
        columns += [np.asarray(levels == level, float) for level in levels.unique()[1:]]
    return np.column_stack(columns)


def training_noise(
    losses: np.ndarray, layout: Layout, draws: np.ndarray, cell_means: np.ndarray, rng: np.random.Generator
) -> TrainingNoise:
    """Estimates the noise of training from the spread of the cells' mean losses.

    From repeats it is their pooled variance within the settings. Without them it is what the additive model of
    two or more factors leaves over. That holds the factors' interactions too, so that it is rather too large than
    too small (Box, Hunter and Hunter 2005, "Statistics for Experimenters", chapter 5). So that a single cell that
    failed does not hide all else, the worst one is left out of it where it is an outlier (Grubbs 1950, Annals of
    Mathematical Statistics 21, 27-58; his limit by simulation). The source with more degrees of freedom is taken,
    and none below `FEWEST_DOF`.

    Cells judged on one sample of items also differ by what each of them makes of just these items. As in
    studies with several readers and cases, this part is known from the items themselves and is taken off
    (Gallas, Bandos, Samuelson and Wagner 2009, Communications in Statistics 38, 2586-2603). Where the split was
    drawn several times, it stays in, and the draws are blocks.

    Args:
        losses: (units, cells) float64; zeros where a cell's draw of the split lacks the unit.
        layout: of the cells.
        draws: (cells,) int, draw of the split.
        cell_means: (cells,) float64, mean loss on the items of the draw.
        rng: the stream that is drawn from.
    """
    blocks = (draws[:, None] == np.unique(draws)[1:]).astype(float)
    settings = np.eye(len(layout.names))[layout.member]
    found = [("repeats", settings)]
    if len(layout.factors) > 1:
        found.append(("layout", main_effects_design(layout)[layout.member]))
    bases = [(source, null_space(np.hstack([design, blocks]).T)) for source, design in found]
    source, basis = max(bases, key=lambda entry: entry[1].shape[1])
    if basis.shape[1] < FEWEST_DOF:
        return TrainingNoise("none", 0.0, 0.0, np.zeros((len(draws), 0)), 1.0)
    limit = 1.0
    if source == "layout":
        normal = rng.standard_normal((NORMAL_DRAWS, len(draws)))
        shares = _shrinkage(normal, basis).max(axis=1) / np.square(normal @ basis).sum(axis=1)
        limit = float(np.quantile(shares, OUTLIER))
    observed = float(spread(cell_means[None], basis, limit)[0])
    shrinkage = _shrinkage(cell_means[None], basis)[0]
    failed = int(shrinkage.argmax()) if shrinkage.max() > limit * np.sum((cell_means @ basis) ** 2) else None
    items = 0.0 if blocks.shape[1] else float((losses @ basis).var(axis=0).mean()) / max(len(losses) - 1, 1)
    return TrainingNoise(source, observed, items, basis, limit, failed)


def spread(cells: np.ndarray, basis: np.ndarray, limit: float) -> np.ndarray:
    """Returns (r,) mean squares along `basis` of rows of cells (r, cells); an outlier is left out of its row."""
    total = np.square(cells @ basis).sum(axis=1)
    worst = _shrinkage(cells, basis).max(axis=1)
    dof = basis.shape[1]
    return np.where(worst > limit * total, np.maximum(total - worst, 0) / (dof - 1), total / dof)


def _shrinkage(cells: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Returns (r, cells): how much the sum of squares along `basis` shrinks without each cell.

    It is residual**2 / (1 - leverage) (Cook and Weisberg 1982, "Residuals and Influence in Regression",
    section 2.2); 0 for a cell that the model fits whatever it is.
    """
    room = np.square(basis).sum(axis=1)
    residuals = cells @ basis @ basis.T
    return np.divide(residuals**2, room, out=np.zeros(residuals.shape), where=room > 1e-9)


def noise_draws(noise: TrainingNoise, layout: Layout, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Returns (resamples, settings) draws of the noise of training in the settings' mean losses.

    Each row draws its noise in units of the spread that the same noise leaves along `basis`, as Student's t
    does: few degrees of freedom widen the tails (a generalized pivot: Weerahandi 1993, Journal of the American
    Statistical Association 88, 899-905).
    """
    normal = rng.standard_normal((resamples, len(layout.member)))
    own = spread(normal, noise.basis, noise.limit)
    variance = np.maximum(0, noise.observed / own - noise.items)
    mean = np.eye(len(layout.names))[layout.member] / layout.repeats
    return np.sqrt(variance)[:, None] * (normal @ mean)
