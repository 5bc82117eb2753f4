"""The tables of an evaluation, as they are logged."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from sklearn.metrics import classification_report

from crackexp.data.classes.decisions import SOUND, UNSURE, Classes, Defect
from crackexp.data.index import ImageIndex
from crackexp.metrics.intervals import Interval
from crackexp.utils.names import visible


def predictions_table(
    index: ImageIndex, probabilities: np.ndarray, decisions: np.ndarray | None = None
) -> pd.DataFrame:
    """Returns a table with a row for each image, in the order of the index.

    Args:
        index: The n images.
        probabilities: The probability of each class, (n, c) float.
        decisions: The decision on each image, (n,) str, see `Thresholds.decide`; None leaves the column out.

    Returns:
        The table with the columns path, digest, group (if known), label and prediction (names of classes), correct,
        confidence (probability of the prediction), probability (of damage), decision (if given) and, with more than two
        classes, probability_NAME of each class.
    """
    names, labels = np.asarray(index.class_names), index.labels
    predictions = probabilities.argmax(axis=1)
    table = pd.DataFrame(
        {
            "path": [visible(file) for file in index.files.tolist()],
            "digest": index.digests,
            "label": names[labels],
            "prediction": names[predictions],
            "correct": predictions == labels,
            "confidence": probabilities.max(axis=1),
            "probability": index.classes.probability(probabilities),
        }
    )
    if index.groups is not None:
        table.insert(2, "group", index.groups)
    if decisions is not None:
        table["decision"] = decisions
    if len(names) == 2:
        return table
    columns = [f"probability_{name}" for name in names]
    return table.join(pd.DataFrame(probabilities, columns=columns))


def most_wrong(labels: np.ndarray, probabilities: np.ndarray, k: int) -> np.ndarray:
    """Returns the rows of the wrong predictions, those first whose true class has the lowest probability.

    Where all predictions are right, it returns the rows of the least confident ones.

    Args:
        labels: (n,) int in [0, c).
        probabilities: (n, c) float.
        k: The largest number of rows to return.
    """
    of_true_class = probabilities[np.arange(len(labels)), labels]
    order = np.argsort(of_true_class, kind="stable")
    wrong = order[probabilities.argmax(axis=1)[order] != labels[order]]
    return (wrong if len(wrong) else order)[:k]


def classification_report_text(labels: np.ndarray, predictions: np.ndarray, class_names: Sequence[str]) -> str:
    """Returns scikit-learn's classification report, in which undefined values, such as recall of no images, are nan.

    Args:
        labels: (n,) int in [0, c).
        predictions: (n,) int in [0, c).
        class_names: The names of the c classes.
    """
    text: str = classification_report(
        labels,
        predictions,
        labels=range(len(class_names)),
        target_names=list(class_names),
        digits=4,
        zero_division=np.nan,
    )
    return text


def decisions_table(labels: np.ndarray, decisions: np.ndarray, classes: Classes, defect: Defect) -> pd.DataFrame:
    """Returns a table that counts images, with a row for each class and a column for each decision.

    Args:
        labels: (n,) int in [0, c).
        decisions: (n,) str, see `Thresholds.decide`.
        classes: The c classes; the names of those that mean damage are marked.
        defect: The defect that the decisions are about.
    """
    names = [f"{name} ({defect})" if name in classes.positives else name for name in classes.names]
    columns = [str(defect), UNSURE, SOUND]
    counts = [[int(np.sum((labels == k) & (decisions == column))) for column in columns] for k in range(len(names))]
    return pd.DataFrame(counts, index=pd.Index(names), columns=columns)


def metrics_table(scores: Mapping[str, Interval]) -> pd.DataFrame:
    """Returns a table with a row for each metric, its name as index, and the columns value, low and high."""
    rows = [(score.value, score.low, score.high) for score in scores.values()]
    index = pd.Index(list(scores), name="metric")
    return pd.DataFrame(rows, index=index, columns=["value", "low", "high"], dtype=float)
