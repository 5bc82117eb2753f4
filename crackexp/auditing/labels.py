"""Images with suspected labels, and images that are unlike all others."""

import numpy as np

from crackexp.data.neighbours import nearest

FOLDS = 5
NEIGHBOURS = 10
COMPONENTS = 128
"""The largest number of principal components of embeddings. The others tell nothing but noise about the class."""
PER_COMPONENT = 10
"""The number of images for each component: with fewer, a regression learns the images by heart, and its probabilities
of other images are near one half. It follows the rule of ten events per variable (Peduzzi et al. 1996)."""
FAR = 2.0
"""A distance is an outlier if it exceeds the median by this multiple of what the 95th percentile exceeds it by."""
RECOGNISED = 0.5
"""A class is recognised if the mean probability of its images is at least this."""


def distances(embeddings: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Returns the mean distance of each image to its ten nearest neighbours.

    The method is that of Kuan and Mueller 2022, "Back to the Basics: Revisiting Out-of-Distribution Detection
    Baselines", with embeddings of length 1. Only the first image of a group is a neighbour, and no image of the own
    group is one, so that the copy of an outlier is an outlier too.

    Args:
        embeddings: The embeddings, (n, d) float32.
        groups: The group of each image, (n,) int, which is equal for copies.

    Returns:
        The distances, (n,) float64; 0 where there is no other group.
    """
    rows = embeddings / np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-9)
    _, first = np.unique(groups, return_index=True)
    squared, places = nearest(rows[first], rows, min(NEIGHBOURS + 1, len(first)), "Looking for outliers")
    own = groups[first][places] == groups[:, None]
    far = np.sqrt(np.maximum(squared, 0, dtype=np.float64))
    kept = np.sort(np.where(own, np.inf, far), axis=1)[:, : min(NEIGHBOURS, len(first) - 1)]
    return np.asarray(kept.mean(axis=1)) if kept.shape[1] else np.zeros(len(rows))


def far_out(distance: np.ndarray) -> np.ndarray:
    """Returns which distances are outliers, (n,) bool; in a normal distribution, one in 2,000 would be."""
    middle, upper = np.quantile(distance, [0.5, 0.95])
    return np.asarray(distance > middle + FAR * max(upper - middle, 1e-9))


def out_of_fold(embeddings: np.ndarray, labels: np.ndarray, groups: np.ndarray, seed: int) -> np.ndarray | None:
    """Returns the probabilities of the classes of each image, as predicted from images of other groups.

    The model is a logistic regression on the principal components of the embeddings. Folds are stratified by class and
    keep groups together, since a copy with the same wrong label would confirm it.

    Args:
        embeddings: The embeddings, (n, d) float32.
        labels: The labels, (n,) int in [0, k).
        groups: The group of each image, (n,) int, which is equal for images that belong together.
        seed: The seed of the folds.

    Returns:
        The probabilities, (n, k) float64; None where a class has fewer than two groups.
    """
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    folds = min(FOLDS, *(len(np.unique(groups[labels == label])) for label in np.unique(labels)))
    if folds < 2:
        return None
    count = min(COMPONENTS, max(len(embeddings) // PER_COMPONENT, 2), *embeddings.shape)
    rows = PCA(count, svd_solver="randomized", random_state=seed).fit_transform(embeddings)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    parts = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    if any(len(np.unique(labels[train])) < labels.max() + 1 for train, _ in parts.split(rows, labels, groups)):
        return None
    return np.asarray(cross_val_predict(model, rows, labels, groups=groups, cv=parts, method="predict_proba"))


def unrecognised(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Returns the classes that other images do not recognise, (m,) int.

    Confident learning supposes that most images of a class look like it. Where they do not, the embeddings are at
    fault and not the labels, and a list of suspects would hold hard images of that class.

    Args:
        labels: The labels, (n,) int in [0, k).
        probabilities: The probabilities of `out_of_fold`, (n, k).
    """
    means = [probabilities[labels == label, label].mean() for label in range(probabilities.shape[1])]
    return np.flatnonzero(np.array(means) < RECOGNISED)


def favoured(labels: np.ndarray, groups: np.ndarray, probabilities: np.ndarray | None) -> dict[int, tuple[int, str]]:
    """Returns which label is favoured for copies of one picture that have different ones.

    It is the label of most copies. Where several labels are as frequent, it is the one of them that images of other
    groups find more probable, on average over the copies.

    Args:
        labels: The labels, (n,) int in [0, k).
        groups: The group of each image, (n,) int, which is equal for copies.
        probabilities: The probabilities of `out_of_fold`, (n, k); None where they are not known or not to be trusted.

    Returns:
        The label and its reason in a few words, by group, such as ``{7: (1, "2 of 3 copies")}``. A group for which
        nothing favours a label is left out.
    """
    pairs = np.unique(np.stack([groups, labels], axis=1), axis=0)
    numbers, counts = np.unique(pairs[:, 0], return_counts=True)
    found = {}
    for group in numbers[counts > 1].tolist():
        rows = np.flatnonzero(groups == group)
        votes = np.bincount(labels[rows])
        most = np.flatnonzero(votes == votes.max())
        if len(most) == 1:
            found[group] = int(most[0]), f"{votes.max()} of {len(rows)} copies"
        elif probabilities is not None:
            means = probabilities[rows].mean(axis=0)[most]
            found[group] = int(most[means.argmax()]), f"probability {means.max():.2f}"
    return found


def suspects(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Returns the images whose label is suspected to be wrong, the most likely ones first, (m,) int.

    These are the images that confident learning (Northcutt, Jiang and Chuang 2021) counts in another class: the
    probability of that class is at least the mean probability of it among the images labelled with it. An image that
    is merely hard stays below that mean, while one with a flipped label looks like any other of its true class. So
    the cut adapts to how well the classes can be told apart, and a clean dataset has no suspects as a rule.

    Args:
        labels: The labels, (n,) int in [0, k).
        probabilities: The probabilities of `out_of_fold`, (n, k).
    """
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    likely = find_label_issues(labels, probabilities, filter_by="confident_learning", n_jobs=1)
    order = np.argsort(get_label_quality_scores(labels, probabilities), kind="stable")
    return np.asarray(order[likely[order]], np.int64)
