"""Tables of an evaluated classifier, as they are logged."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from sklearn.metrics import classification_report

from crackexp.data.classes.decisions import SOUND, UNSURE, Classes, Defect
from crackexp.data.index import ImageIndex
from crackexp.metrics.intervals import Interval
from crackexp.utils.names import visible


def predictions_table(index: ImageIndex, probabilities: np.ndarray, decided: np.ndarray | None = None) -> pd.DataFrame:
    """Returns what was predicted for each image, in the order of the index.

    Args:
        index: The n images.
        probabilities: The probability of each class, (n, c) float.
        decided: The decision on each image, (n,) str, see `Thresholds.decide`, for the table of a model of more than
            two classes; None for a table without decisions.

    Returns:
        A row an image: path, digest, group (where known), label and prediction (names), correct, confidence
        (probability of the prediction), probability (of damage), decision (where `decided` is given) and, with c > 2,
        probability_NAME of each class.
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
    if decided is not None:
        table["decision"] = decided
    if len(names) == 2:
        return table
    columns = [f"probability_{name}" for name in names]
    return table.join(pd.DataFrame(probabilities, columns=columns))


def most_wrong(labels: np.ndarray, probabilities: np.ndarray, k: int) -> np.ndarray:
    """Returns the rows to look at: the wrong predictions whose true class got the least probability, least first.

    Where all predictions are right, they are the least sure ones.

    Args:
        labels: (n,) int in [0, c).
        probabilities: (n, c) float.
        k: at most so many rows.
    """
    given = probabilities[np.arange(len(labels)), labels]
    order = np.argsort(given, kind="stable")
    wrong = order[probabilities.argmax(axis=1)[order] != labels[order]]
    return (wrong if len(wrong) else order)[:k]


def classification_report_text(labels: np.ndarray, predictions: np.ndarray, class_names: Sequence[str]) -> str:
    """Returns scikit-learn's classification report; what is undefined, such as recall of no images, is nan.

    Args:
        labels: (n,) int in [0, c).
        predictions: (n,) int in [0, c).
        class_names: of the c classes.
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


def decisions_table(labels: np.ndarray, decided: np.ndarray, classes: Classes, defect: Defect) -> pd.DataFrame:
    """Returns how the images of each class were decided on: a row a class, a column a decision.

    Args:
        labels: (n,) int in [0, c).
        decided: (n,) str, see `Thresholds.decide`.
        classes: the c classes; those that are damage are marked.
        defect: what was looked for.
    """
    names = [f"{name} ({defect})" if name in classes.positives else name for name in classes.names]
    columns = [str(defect), UNSURE, SOUND]
    counts = [[int(np.sum((labels == k) & (decided == column))) for column in columns] for k in range(len(names))]
    return pd.DataFrame(counts, index=pd.Index(names), columns=columns)


def metrics_table(scores: Mapping[str, Interval]) -> pd.DataFrame:
    """Returns a row a metric, its name as the index: value, low, high."""
    rows = [(score.value, score.low, score.high) for score in scores.values()]
    index = pd.Index(list(scores), name="metric")
    return pd.DataFrame(rows, index=index, columns=["value", "low", "high"], dtype=float)
