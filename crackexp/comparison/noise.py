"""The noise of training: how far repeated trainings of a configuration differ.

It is estimated where a sweep has repeats or a crossed design.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import null_space

from crackexp.comparison.design import ExperimentalDesign

FEWEST_DOF = 3
"""The degrees of freedom below which the spread of trainings is not known well enough to be used."""

OUTLIER = 0.999
"""The confidence at which a trial that fits badly counts as failed and is left out of the spread."""

NORMAL_DRAWS = 20_000
"""The number of simulated sets of trials that tell which share of the spread the worst trial has by chance."""


@dataclass(frozen=True)
class TrainingNoise:
    """The variance of the mean loss of a trial over trainings of its configuration.

    Attributes:
        source: The source of the estimate: "repeats" (trials that differ in seeds alone), "design" (the residual of the
            factors' main effects) or "none" (the noise is not known).
        observed: The mean square of the trials' losses along `basis`, which includes `items`.
        items: The part of `observed` that the choice of items explains.
        basis: The orthonormal directions in which trials differ by their training alone, (trials, directions) float64.
        limit: A trial with more than this share of the spread is left out; with 1 none is.
        failed: The number of the trial that was left out; None where none was.
    """

    source: str
    observed: float
    items: float
    basis: np.ndarray
    limit: float
    failed: int | None = None

    @property
    def dof(self) -> int:
        """The degrees of freedom; 0 where the noise is not known."""
        return self.basis.shape[1]

    @property
    def variance(self) -> float:
        """The variance of one training, for any choice of items; 0 where it is not known."""
        return max(0.0, self.observed - self.items)


def main_effects_matrix(design: ExperimentalDesign) -> np.ndarray:
    """Returns the matrix of the additive model, (configurations, p) float64.

    It has a column of ones, and for each factor a column of 0 and 1 for each level but the first.
    """
    columns = [np.ones(len(design.names))]
    for key in design.factors:
        levels = design.levels[key]
        columns += [np.asarray(levels == level, float) for level in levels.unique()[1:]]
    return np.column_stack(columns)


def training_noise(
    losses: np.ndarray, design: ExperimentalDesign, draws: np.ndarray, trial_means: np.ndarray, rng: np.random.Generator
) -> TrainingNoise:
    """Estimates the noise of training from the spread of the trials' mean losses.

    With repeats, it is the pooled variance within the configurations. Without repeats, it is the residual variance of
    the additive model of two or more factors. The residual includes the interactions of the factors, so this estimate
    tends to be too large rather than too small (Box, Hunter and Hunter 2005, "Statistics for Experimenters", chapter
    5). A single failed trial would hide everything else, so the worst trial is left out of it where it is an outlier
    (Grubbs 1950, Annals of Mathematical Statistics 21, 27-58; the limit is simulated). The source with more degrees of
    freedom is taken, and none with fewer than `FEWEST_DOF`.

    Trials that are judged on one sample of items also differ because each of them finds other items hard. As in studies
    with several readers and cases, this part is estimated from the items and subtracted (Gallas, Bandos, Samuelson and
    Wagner 2009, Communications in Statistics 38, 2586-2603). Where the split was drawn several times, it is not
    subtracted, and the draws are blocks.

    Args:
        losses: The losses, (units, trials) float64; zeros where the draw of a trial lacks the unit.
        design: The design of the trials.
        draws: The draw of the split of each trial, (trials,) int.
        trial_means: The mean loss of each trial on the items of its draw, (trials,) float64.
        rng: The random generator that simulates the limit for outliers.
    """
    blocks = (draws[:, None] == np.unique(draws)[1:]).astype(float)
    configurations = np.eye(len(design.names))[design.member]
    sources = [("repeats", configurations)]
    if len(design.factors) > 1:
        sources.append(("design", main_effects_matrix(design)[design.member]))
    bases = [(source, null_space(np.hstack([matrix, blocks]).T)) for source, matrix in sources]
    source, basis = max(bases, key=lambda entry: entry[1].shape[1])
    if basis.shape[1] < FEWEST_DOF:
        return TrainingNoise("none", 0.0, 0.0, np.zeros((len(draws), 0)), 1.0)
    limit = 1.0
    if source == "design":
        normal = rng.standard_normal((NORMAL_DRAWS, len(draws)))
        shares = _shrinkage(normal, basis).max(axis=1) / np.square(normal @ basis).sum(axis=1)
        limit = float(np.quantile(shares, OUTLIER))
    observed = float(spread(trial_means[None], basis, limit)[0])
    shrinkage = _shrinkage(trial_means[None], basis)[0]
    failed = int(shrinkage.argmax()) if shrinkage.max() > limit * np.sum((trial_means @ basis) ** 2) else None
    items = 0.0 if blocks.shape[1] else float((losses @ basis).var(axis=0).mean()) / max(len(losses) - 1, 1)
    return TrainingNoise(source, observed, items, basis, limit, failed)


def spread(trials: np.ndarray, basis: np.ndarray, limit: float) -> np.ndarray:
    """Returns the mean squares (r,) of rows of trials (r, trials) along `basis`; an outlier is left out of its row."""
    total = np.square(trials @ basis).sum(axis=1)
    worst = _shrinkage(trials, basis).max(axis=1)
    dof = basis.shape[1]
    return np.where(worst > limit * total, np.maximum(total - worst, 0) / (dof - 1), total / dof)


def _shrinkage(trials: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Returns how much the sum of squares along `basis` shrinks without each trial, (r, trials).

    It is residual**2 / (1 - leverage) (Cook and Weisberg 1982, "Residuals and Influence in Regression",
    section 2.2), and 0 for a trial that the model fits whatever its value is.
    """
    room = np.square(basis).sum(axis=1)
    residuals = trials @ basis @ basis.T
    return np.divide(residuals**2, room, out=np.zeros(residuals.shape), where=room > 1e-9)


def noise_draws(
    noise: TrainingNoise, design: ExperimentalDesign, resamples: int, rng: np.random.Generator
) -> np.ndarray:
    """Returns draws of the noise of training in the configurations' mean losses, (resamples, configurations).

    Each row is scaled by the spread that its own noise has along `basis`, as in Student's t, so that few degrees of
    freedom widen the tails (a generalized pivot: Weerahandi 1993, Journal of the American Statistical Association 88,
    899-905).
    """
    normal = rng.standard_normal((resamples, len(design.member)))
    own = spread(normal, noise.basis, noise.limit)
    variance = np.maximum(0, noise.observed / own - noise.items)
    mean = np.eye(len(design.names))[design.member] / design.repeats
    return np.sqrt(variance)[:, None] * (normal @ mean)
