"""What labels are worth that the review chose, beside labels drawn at random.

Type: python experiments/review/redo.py RUN_ID SDNET2018 [SDNET2018 ...], where the run's mlruns lies.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit
from sklearn.metrics import f1_score, log_loss, roc_auc_score, roc_curve

from crackexp.data.classes.decisions import Classes
from crackexp.data.pipeline import image_batches
from crackexp.data.sources import Sdnet2018
from crackexp.evaluation.policy import Policy
from crackexp.inference.engine import Inference, computing
from crackexp.models.features import with_features
from crackexp.reviewing.choice import choose
from crackexp.tracking.models import load
from crackexp.utils.seeds import generator

STORE = f"sqlite:///{Path('mlruns/mlflow.db').resolve()}"
DRAWS, OWN, COUNTS = 20, 10, (25, 50, 100)
"""Draws of photos, the photos of a draw that labels come from, and how many labels."""
PRIOR = 1.0
"""The standard deviation of what all features together add to the log-odds, before any label is seen; see `refit`."""

CLASSES = Classes(("sound", "crack"), ("crack",))

Choice = Callable[[np.ndarray, np.ndarray, np.ndarray, int, int], np.ndarray]


def at_random(probabilities: np.ndarray, features: np.ndarray, photos: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Draws patches as they come."""
    return generator(seed, "random").choice(len(photos), count, replace=False)


def most_unsure(
    probabilities: np.ndarray, features: np.ndarray, photos: np.ndarray, count: int, seed: int
) -> np.ndarray:
    """Takes the patches whose probability is nearest to 1/2."""
    return np.argsort(np.abs(probabilities - 0.5), kind="stable")[:count]


def with_quota(spread: float) -> Choice:
    """Returns the choice of the review with another quota; see `choose`."""
    return lambda *arguments: choose(*arguments, spread=spread)


CHOICES: dict[str, Choice] = {
    "at random": at_random,
    "most unsure": most_unsure,
    "review without a quota": with_quota(np.inf),
    "review with an even quota": with_quota(1),
    "review": choose,
}


def refit(odds: np.ndarray, features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Fits weights of the features, which are added to the log-odds of the model.

    This stands in for a refit of the head by the product: logistic regression on z + w f + b, with normal priors on w
    (so that w f has the standard deviation `PRIOR`) and on b (1).

    Args:
        odds: The log-odds z of the model for the labelled patches, (n,).
        features: Their features f, (n, d), with a mean variance of 1.
        labels: Their labels, (n,) 0 or 1.

    Returns:
        w and b in a row, (d + 1,).
    """
    inputs = np.column_stack([features, np.ones(len(odds))])
    spread = np.append(np.full(features.shape[1], PRIOR / np.sqrt(features.shape[1])), 1.0)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        logits, away = odds + inputs @ weights, weights / spread
        value = np.logaddexp(0, logits).sum() - labels @ logits + away @ away / 2
        return value, inputs.T @ (expit(logits) - labels) + away / spread

    return minimize(loss, np.zeros(inputs.shape[1]), jac=True, method="L-BFGS-B").x


def scores(labels: np.ndarray, odds: np.ndarray) -> list[float]:
    """Returns ROC AUC, recall at 5 % false alarms, and log loss."""
    false_alarms, recall, _ = roc_curve(labels, odds)
    return [roc_auc_score(labels, odds), recall[false_alarms <= 0.05].max(), log_loss(labels, expit(odds))]


def recalibrated(damage: np.ndarray, rows: np.ndarray, rest: np.ndarray, labels: np.ndarray) -> list[float]:
    """Returns F1 and log loss of the rest as ``crackexp calibrate`` fits it to some rows."""
    both = np.stack([1 - damage, damage], axis=1)
    fitted = Policy(True, None, None, 0.95).fit_site(labels[rows], both[rows], CLASSES)
    after = fitted.calibrated(both[rest])[:, 1]
    return [f1_score(labels[rest], after >= fitted.thresholds.crack), log_loss(labels[rest], after)]


def study(damage: np.ndarray, features: np.ndarray, labels: np.ndarray, photos: np.ndarray) -> None:
    """Prints a line for each choice and number of labels, in the mean over draws of photos."""
    damage = np.clip(damage.astype(np.float64), 1e-6, 1 - 1e-6)
    odds = logit(damage)
    found: dict[tuple[int, str], list[list[float]]] = {}
    for draw in range(DRAWS):
        own = np.isin(photos, generator(draw, "photos").permutation(np.unique(photos))[:OWN])
        f = (features - features[own].mean(axis=0)) / np.sqrt(features[own].var(axis=0).mean())
        rest = ~own
        as_it_is = [f1_score(labels[rest], damage[rest] >= 0.5), log_loss(labels[rest], damage[rest])]
        found.setdefault((0, "none"), []).append([0.0, *scores(labels[rest], odds[rest]), *as_it_is])
        for name, choice in CHOICES.items():
            for count in COUNTS:
                rows = np.flatnonzero(own)[choice(damage[own], features[own], photos[own], count, draw)]
                *w, b = refit(odds[rows], f[rows], labels[rows])
                after = scores(labels[rest], odds[rest] + f[rest] @ np.array(w) + b)
                row = [labels[rows].mean(), *after, *recalibrated(damage, rows, rest, labels)]
                found.setdefault((count, name), []).append(row)
    order = sorted(found, key=lambda key: key[0])
    print("| labels | chosen | cracked | ROC AUC | above random | draws | recall at 5 % | above random | draws |")
    print("|---|---|---|---|---|---|---|---|---|")
    for count, name in order:
        mean = np.mean(found[count, name], axis=0)
        random = np.array(found.get((count, "at random"), found[count, name]))
        cells = [f"{count} | {name} | {mean[0]:.0%}"]
        for column in (1, 2):
            gains = np.array(found[count, name])[:, column] - random[:, column]
            error = gains.std(ddof=1) / np.sqrt(DRAWS)
            cells.append(f"{mean[column]:.3f} | {gains.mean():+.3f} ± {error:.3f} | {np.sum(gains > 0)} of {DRAWS}")
        print(f"| {' | '.join(cells)} |")
    print("\n| labels | chosen | log loss, refit | F1, calibrated | log loss, calibrated |\n|---|---|---|---|---|")
    for count, name in order:
        _, _, _, loss, f1, calibrated = np.mean(found[count, name], axis=0)
        print(f"| {count} | {name} | {loss:.3f} | {f1:.3f} | {calibrated:.3f} |")


def looked_at(run_id: str, folders: list[str]) -> tuple[np.ndarray, ...]:
    """Returns the probability of damage, the features, the label and the photo of each patch."""
    model = load(run_id, STORE, "model")
    network = Inference(computing(with_features(model.classifier)))
    parts = []
    for folder in folders:
        dataset = Sdnet2018(
            name="sdnet", path=folder, archive=None, surfaces=["decks", "pavements", "walls"], positive="cracked",
            limit=None, on_bad_file="error", cache=str(Path(".cache").resolve()),
        )  # fmt: skip
        index = dataset.prepare().relabel(model.classes)
        batches = image_batches(index, model.image_size, network.batch_size)
        probabilities, features = network.predict(batches, len(index), folder)
        parts.append((model.classes.probability(probabilities), features, index.damaged.astype(int), index.groups))
    return tuple(map(np.concatenate, zip(*parts, strict=True)))


def main() -> None:
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    study(*looked_at(sys.argv[1], sys.argv[2:]))


if __name__ == "__main__":
    main()
