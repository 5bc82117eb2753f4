"""What the plots show, read back from their parts."""

import numpy as np
import pytest
from sklearn import metrics as sk

from crackexp.evaluation.figures import reliability_diagram
from crackexp.reporting import figures
from tests.metrics.scoring import scores_of
from tests.reporting.drawing import drawn, texts

NAMES = ["Negative", "Positive"]


def simulate(n=400, c=2, signal=2.0, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, c, n)
    logits = rng.normal(size=(n, c))
    logits[np.arange(n), labels] += signal
    return labels, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def test_confusion_matrix_holds_counts_and_shares():
    labels = np.repeat([0, 1], [4, 10])
    predictions = np.array([0, 0, 0, 1, *[1] * 9, 0])
    figure = figures.confusion_matrix(labels, predictions, NAMES)
    drawn(figure)
    left, right = figure.axes
    assert texts(left) == ["3", "1", "1", "9"]
    assert texts(right) == ["75.0%", "25.0%", "10.0%", "90.0%"]
    assert [label.get_text() for label in left.get_yticklabels()] == NAMES
    assert np.allclose(right.images[0].get_array(), [[0.75, 0.25], [0.1, 0.9]])


def test_confusion_matrix_of_one_class():
    figure = figures.confusion_matrix(np.ones(3, int), np.array([0, 1, 1]), NAMES)
    drawn(figure)
    assert texts(figure.axes[1]) == ["no image", "no image", "33.3%", "66.7%"]


def test_confusion_matrix_of_many_classes_leaves_the_numbers_out():
    labels, probabilities = simulate(c=13)
    names = [f"kind of crack number {number}" for number in range(13)]
    figure = figures.confusion_matrix(labels, probabilities.argmax(axis=1), names)
    drawn(figure)
    assert not texts(figure.axes[0])


@pytest.mark.parametrize("positive", [0, 1])
def test_roc_curve_has_the_area_it_names(positive):
    labels, probabilities = simulate()
    figure = figures.roc_curve(labels, probabilities, NAMES, positive)
    drawn(figure)
    lines = {line.get_label(): line.get_xydata() for line in figure.axes[0].lines}
    auc = sk.roc_auc_score(labels == positive, probabilities[:, positive])
    name = f"{NAMES[positive]} {auc:.4f}"
    assert np.trapezoid(lines[name][:, 1], lines[name][:, 0]) == pytest.approx(auc)

    alarm = probabilities.argmax(axis=1) == positive
    (point,) = (xy for label, xy in lines.items() if label.startswith("As predicted"))
    assert point[0] == pytest.approx([alarm[labels != positive].mean(), alarm[labels == positive].mean()])


@pytest.mark.parametrize("positive", [0, 1])
def test_precision_recall_curve_has_the_area_it_names(positive):
    labels, probabilities = simulate(n=60, signal=1)
    figure = figures.precision_recall_curve(labels, probabilities, NAMES, positive)
    drawn(figure)
    lines = {line.get_label(): line.get_xydata() for line in figure.axes[0].lines}
    expected = sk.average_precision_score(labels == positive, probabilities[:, positive])
    name = f"{NAMES[positive]} {expected:.4f}"
    assert -np.trapezoid(lines[name][:, 1], lines[name][:, 0]) == pytest.approx(expected)

    predictions = probabilities.argmax(axis=1)
    (point,) = (xy for label, xy in lines.items() if label.startswith("As predicted"))
    assert point[0] == pytest.approx(
        [
            sk.recall_score(labels, predictions, pos_label=positive),
            sk.precision_score(labels, predictions, pos_label=positive),
        ]
    )


@pytest.mark.parametrize("draw", [figures.roc_curve, figures.precision_recall_curve])
def test_only_a_good_classifier_gets_the_corner(draw):
    poor = draw(*simulate(signal=0.5), NAMES, 1)
    good = draw(*simulate(signal=6), NAMES, 1)
    drawn(poor)
    drawn(good)
    assert len(poor.axes) == 1
    left, right = good.axes
    assert np.diff(right.get_xlim())[0] <= 0.2
    assert right.get_ylim()[1] == left.get_ylim()[1] == 1
    point = right.lines[-1].get_xydata()[0]
    assert right.get_xlim()[0] <= point[0] <= right.get_xlim()[1]
    assert right.get_ylim()[0] <= point[1] <= right.get_ylim()[1]


@pytest.mark.parametrize("draw", [figures.roc_curve, figures.precision_recall_curve])
def test_curves_of_more_classes_are_one_a_class_with_images(draw):
    labels, probabilities = simulate(c=4)
    figure = draw(np.where(labels == 2, 0, labels), probabilities, ["a", "b", "c", "d"], 1)
    drawn(figure)
    entries = figure.axes[0].get_legend().get_texts()
    assert [entry.get_text().split()[0] for entry in entries] == ["a", "b", "d"]


@pytest.mark.parametrize("label", [0, 1])
def test_images_of_one_class_have_a_confusion_matrix_and_a_reliability_diagram(label):
    labels, probabilities = np.full(400, label), simulate()[1]
    drawn(figures.confusion_matrix(labels, probabilities.argmax(axis=1), NAMES))
    drawn(reliability_diagram(labels, probabilities))


@pytest.mark.parametrize("c", [2, 4])
def test_reliability_diagram_agrees_with_the_metric(c):
    labels, probabilities = simulate(c=c)
    figure = reliability_diagram(labels, probabilities)
    drawn(figure)
    ece = scores_of(labels, probabilities, 1, resamples=10)["ece"].value
    top, bottom = figure.axes
    assert top.get_title(loc="left").endswith(f"{ece:.4f}")
    heights = np.array([bar.get_height() for bar in bottom.patches])
    assert heights.sum() == len(labels)
    points = top.lines[1].get_xydata()
    filled = heights[heights > 0]
    assert np.sum(filled * np.abs(points[:, 0] - points[:, 1])) / len(labels) == pytest.approx(ece)


HISTORY = {
    "loss": [0.5, 0.3, 0.2],
    "accuracy": [0.7, 0.8, 0.9],
    "val_loss": [0.45, 0.35, 0.3],
    "val_accuracy": [0.75, 0.85, 0.88],
    "learning_rate": [1e-4] * 3,
}


def test_training_curves_begin_before_training():
    before = {"val/accuracy_before": 0.5, "val/loss_before": 0.7}
    figure = figures.training_curves(HISTORY, before, [0, 2])
    drawn(figure)
    for axes, metric in zip(figure.axes, ("accuracy", "loss"), strict=True):
        lines = {line.get_label(): line.get_xydata().T.tolist() for line in axes.lines}
        assert lines["training"] == [[1, 2, 3], HISTORY[metric]]
        start = before[f"val/{metric}_before"]
        assert lines["validation"] == [[0, 1, 2, 3], [start, *HISTORY[f"val_{metric}"]]]
        assert texts(axes) == ["before training", "phase 2"]


def test_training_curves_without_a_point_before():
    figure = figures.training_curves({key: values[:1] for key, values in HISTORY.items()})
    drawn(figure)
    assert figure.axes[0].lines[1].get_xydata().tolist() == [[1, 0.75]]
