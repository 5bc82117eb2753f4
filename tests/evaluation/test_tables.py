"""Tables of predictions and metrics."""

from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import precision_recall_fscore_support

from crackexp.comparison.items import read_predictions
from crackexp.data.index import ImageIndex
from crackexp.evaluation.tables import (
    classification_report_text,
    metrics_table,
    most_wrong,
    predictions_table,
)
from crackexp.metrics.intervals import Interval

LABELS = np.array([0, 1, 1, 0, 1])
PROBABILITIES = np.array([[0.9, 0.1], [0.6, 0.4], [0.05, 0.95], [0.2, 0.8], [0.3, 0.7]])
FILES = np.array([f"{name}.jpg" for name in "abcde"])
DIGESTS = np.array([letter * 32 for letter in "01234"])


def test_predictions_keep_the_order_of_the_files():
    table = predictions_table(ImageIndex(Path(), FILES, LABELS, DIGESTS, ("no", "yes"), ("no",)), PROBABILITIES)
    assert table.to_dict("list") == {
        "path": FILES.tolist(),
        "digest": DIGESTS.tolist(),
        "label": ["no", "yes", "yes", "no", "yes"],
        "prediction": ["no", "no", "yes", "yes", "yes"],
        "correct": [True, False, True, False, True],
        "confidence": [0.9, 0.6, 0.95, 0.8, 0.7],
        "probability": [0.9, 0.6, 0.05, 0.2, 0.3],
    }


def test_more_classes_have_a_probability_each():
    probabilities = np.array([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]], np.float32)
    index = ImageIndex(Path(), FILES[:2], np.array([2, 1]), DIGESTS[:2], ("a", "b", "c"), ("c",))
    table = predictions_table(index, probabilities)
    assert table["prediction"].tolist() == ["c", "a"]
    columns = ["probability_a", "probability_b", "probability_c"]
    assert np.array_equal(table[columns].to_numpy(), probabilities)


def test_predictions_survive_a_csv_file():
    photos = np.array(["7001", "7001", "7002", "7003", "007"])
    probabilities = PROBABILITIES.astype(np.float32)
    index = ImageIndex(Path(), FILES, LABELS, DIGESTS, ("no", "yes"), ("yes",), groups=photos)
    table = predictions_table(index, probabilities)
    read = read_predictions(StringIO(table.to_csv(index=False)))
    assert list(read.columns[:3]) == ["path", "digest", "group"]
    assert read["group"].tolist() == photos.tolist()
    assert np.array_equal(read["probability"].astype(np.float32), table["probability"])
    assert read["correct"].tolist() == table["correct"].tolist()
    assert read["digest"].tolist() == DIGESTS.tolist()


def test_most_wrong_are_errors_by_their_probability_of_the_truth():
    assert most_wrong(LABELS, PROBABILITIES, 16).tolist() == [3, 1]
    assert most_wrong(LABELS, PROBABILITIES, 1).tolist() == [3]


def test_without_errors_the_least_sure_are_chosen():
    right = [0, 2, 4]
    assert most_wrong(LABELS[right], PROBABILITIES[right], 2).tolist() == [2, 0]


def test_classification_report_holds_each_class():
    predictions = PROBABILITIES.argmax(axis=1)
    lines = classification_report_text(LABELS, predictions, ["no", "yes"]).splitlines()
    rows = {line.split()[0]: line.split()[1:] for line in lines if line.strip()}
    expected = precision_recall_fscore_support(LABELS, predictions)
    for number, name in enumerate(("no", "yes")):
        assert [float(value) for value in rows[name]] == pytest.approx(
            [column[number] for column in expected], abs=5e-5
        )


def test_classification_report_of_one_class_says_nan():
    text = classification_report_text(np.ones(3, int), np.ones(3, int), ["no", "yes"])
    (line,) = (line for line in text.splitlines() if line.split()[:1] == ["no"])
    assert line.split()[1:] == ["nan", "nan", "nan", "0"]


SCORES = {"accuracy": Interval(0.9, 0.8, 0.95), "roc_auc": Interval(0.99, np.nan, np.nan)}


def test_metrics_table_is_read_back():
    read = pd.read_csv(StringIO(metrics_table(SCORES).to_csv()), index_col="metric")
    assert read.loc["accuracy"].to_dict() == {"value": 0.9, "low": 0.8, "high": 0.95}
    assert read.loc["roc_auc"].isna().tolist() == [False, True, True]
