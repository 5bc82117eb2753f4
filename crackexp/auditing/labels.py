"""Images that stand out: labelled otherwise than their likes, or like no other image."""

import numpy as np

from crackexp.data.neighbours import nearest

FOLDS = 5
NEIGHBOURS = 10
COMPONENTS = 128
"""Of embeddings, by principal component analysis: what the rest of them tells of the class is noise."""
FAR = 2.0
"""A distance stands out where it is so many times as far above the median as that of one image in twenty."""


def distances(embeddings: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Returns how far each image is from its likes: the mean distance to its ten nearest neighbours.

    Kuan and Mueller 2022, "Back to the Basics: Revisiting Out-of-Distribution Detection Baselines", with embeddings of
    length 1. Of a group the first image alone is a neighbour, and of its own group none: a stranger's copy is a
    stranger too.

    Args:
        embeddings: (n, d) float32.
        groups: (n,) int, equal for copies.

    Returns:
        (n,) float64; 0 where there is no other group.
    """
    rows = embeddings / np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-9)
    _, first = np.unique(groups, return_index=True)
    squared, places = nearest(rows[first], rows, min(NEIGHBOURS + 1, len(first)), "Looking for outliers")
    own = groups[first][places] == groups[:, None]
    far = np.sqrt(np.maximum(squared, 0, dtype=np.float64))
    kept = np.sort(np.where(own, np.inf, far), axis=1)[:, : min(NEIGHBOURS, len(first) - 1)]
    return np.asarray(kept.mean(axis=1)) if kept.shape[1] else np.zeros(len(rows))


def far_out(distance: np.ndarray) -> np.ndarray:
    """Returns which distances stand out from the rest, (n,) bool; one in 2,000 of a normal distribution does."""
    middle, upper = np.quantile(distance, [0.5, 0.95])
    return np.asarray(distance > middle + FAR * max(upper - middle, 1e-9))


def out_of_fold(embeddings: np.ndarray, labels: np.ndarray, groups: np.ndarray, seed: int) -> np.ndarray | None:
    """Returns what images of other groups say of each image's class.

    Logistic regression on the principal components of embeddings, with folds that hold the classes in their shares and
    keep groups together: a copy with the same wrong label would vouch for it.

    Args:
        embeddings: (n, d) float32.
        labels: (n,) int in [0, k).
        groups: (n,) int, equal for images that belong together.
        seed: of the folds.

    Returns:
        (n, k) float64 probabilities; None where a class has fewer than two groups.
    """
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    folds = min(FOLDS, *(len(np.unique(groups[labels == label])) for label in np.unique(labels)))
    if folds < 2:
        return None
    count = min(COMPONENTS, *embeddings.shape)
    rows = PCA(count, svd_solver="randomized", random_state=seed).fit_transform(embeddings)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    parts = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    if any(len(np.unique(labels[train])) < labels.max() + 1 for train, _ in parts.split(rows, labels, groups)):
        return None
    return np.asarray(cross_val_predict(model, rows, labels, groups=groups, cv=parts, method="predict_proba"))


def suspects(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Returns the images whose label may be wrong, the likeliest first, (m,) int.

    Confident learning (Northcutt, Jiang and Chuang 2021), by cleanlab, and all that other images give another class.

    Args:
        labels: (n,) int in [0, k).
        probabilities: (n, k) of `out_of_fold`.
    """
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    likely = find_label_issues(labels, probabilities, n_jobs=1) | (probabilities.argmax(axis=1) != labels)
    order = np.argsort(get_label_quality_scores(labels, probabilities), kind="stable")
    return np.asarray(order[likely[order]], np.int64)
