"""Sets of images, their surfaces and photos, and the same images under corruptions."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from crackexp.data.classes.decisions import Classes
from crackexp.evaluation import figures
from crackexp.evaluation.report import corruptions_table, scores_table, subsets_table
from crackexp.evaluation.robustness import evaluate_corruptions
from crackexp.evaluation.sets import evaluate_groups, evaluate_subset, mean_subset, notes, subsets_frame
from crackexp.metrics import STANDARD, Bootstrap, Predictions
from crackexp.metrics.intervals import Interval
from tests.metrics.scoring import scores_of
from tests.reporting.drawing import drawn, texts

CLASSES = Classes(("sound", "crack"), ("crack",))
BOOTSTRAP = Bootstrap(0, resamples=20)
PHOTOS = np.array([f"{surface}/{number}" for surface in ("decks", "walls") for number in range(6)])


def simulate(seed=0, noise=1.0):
    rng = np.random.default_rng(seed)
    groups = np.repeat(PHOTOS, 20)
    labels = np.random.default_rng(9).integers(0, 2, len(groups))
    logit = 2 * (labels - 0.5) * 2 + noise * rng.normal(size=len(groups))
    positive = 1 / (1 + np.exp(-logit))
    return labels, np.stack([1 - positive, positive], axis=1), groups


def subsets_of(labels, probabilities, groups):
    given = (Predictions(labels, probabilities, 1, groups), CLASSES, Bootstrap(0, resamples=50))
    return [evaluate_subset("set", "sdnet", *given), *evaluate_groups(*given)]


def test_each_surface_and_photo_is_judged_by_itself():
    labels, probabilities, groups = simulate()
    whole, *parts = subsets_of(labels, probabilities, groups)
    assert [part.name for part in parts] == ["decks", "walls", *PHOTOS]
    assert (whole.photos, whole.images, whole.cracked) == (12, 240, labels.sum())
    for part in parts:
        rows = np.char.startswith(groups, part.name)
        assert part.scores["roc_auc"].value == pytest.approx(sk.roc_auc_score(labels[rows], probabilities[rows, 1]))
        assert np.isnan(part.scores["accuracy"].low) == (part.kind == "photo")
        assert part.photos == (1 if part.kind == "photo" else 6)
    rows = np.char.startswith(groups, "walls")
    assert parts[1].scores == scores_of(labels[rows], probabilities[rows], 1, resamples=50, groups=groups[rows])


def test_the_mean_over_sets_is_that_of_independent_estimates():
    sets = [subsets_of(*simulate(seed, noise))[0] for seed, noise in ((0, 1.0), (1, 2.0), (2, 4.0))]
    mean = mean_subset(sets)
    assert (mean.kind, mean.name, mean.images, mean.photos) == ("mean", "mean of 3 sets", 720, 36)
    aucs = [subset.scores["roc_auc"] for subset in sets]
    assert mean.scores["roc_auc"].value == pytest.approx(np.mean([auc.value for auc in aucs]))
    below = np.sqrt(sum((auc.value - auc.low) ** 2 for auc in aucs)) / 3
    assert mean.scores["roc_auc"].low == pytest.approx(mean.scores["roc_auc"].value - below)
    assert mean_subset([sets[0], replace(sets[1], photos=None)]).photos is None
    sound = replace(sets[0], scores={"accuracy": sets[0].scores["accuracy"]})
    assert list(mean_subset([sets[1], sound]).scores) == ["accuracy"]


def test_photos_without_a_surface_are_judged_too():
    labels, probabilities, groups = simulate()
    names = np.char.replace(groups, "/", "-")
    assert {
        part.kind for part in evaluate_groups(Predictions(labels, probabilities, 1, names), CLASSES, BOOTSTRAP)
    } == {"photo"}


def test_a_photo_without_cracks_has_what_it_defines():
    labels, probabilities, groups = simulate()
    labels = np.where(groups == "decks/0", 0, labels)
    table = subsets_frame(subsets_of(labels, probabilities, groups)).set_index("name")
    assert np.isnan(table.loc["decks/0", "roc_auc"])
    assert table.loc["decks/0", "cracked"] == 0
    assert table.loc["decks/0", "accuracy"] == np.mean(probabilities[:20, 1] < 0.5)


def test_the_tables_hold_the_scores():
    parts = subsets_of(*simulate())
    table = subsets_frame(parts)
    assert table["kind"].tolist() == ["set", "surface", "surface", *["photo"] * 12]
    assert table["accuracy_low"].notna().tolist() == [True] * 3 + [False] * 12
    unknown = evaluate_subset("set", "folder", Predictions(*simulate()[:2], 1), CLASSES, BOOTSTRAP)
    assert pd.isna(subsets_frame([unknown])["photos"][0])
    shown = subsets_table([parts[0], unknown], STANDARD)
    recall = parts[0].scores["recall"]
    (texts,) = (column.texts for column in shown.columns if column.title == "recall")
    assert texts[0].split() == [f"{recall.value:.4f}", f"({recall.low:.4f}", "to", f"{recall.high:.4f})"]
    assert [text.split("\n") for text in shown.columns[0].texts] == [
        ["sdnet", "(240 images, 12 photos)"],
        ["folder", "(240 images)"],
    ]


@pytest.mark.parametrize(
    ("photos", "words"), [(1, "one photo"), (5, "fewer than 10"), (12, "over the 12 photos"), (None, "")]
)
def test_the_note_says_what_intervals_speak_of(photos, words):
    labels, probabilities, groups = simulate()
    rows = np.isin(groups, PHOTOS[:photos])
    predictions = Predictions(labels[rows], probabilities[rows], 1, groups[rows] if photos else None)
    part = evaluate_subset("set", "x", predictions, CLASSES, BOOTSTRAP)
    note = "".join(notes(part))
    assert words in note
    assert bool(note) == (photos is not None)
    assert ("fewer" in note) == (photos == 5)


@pytest.mark.parametrize(("label", "measured"), [(1, "that is found"), (0, "that is called damaged")])
def test_the_note_says_what_images_of_one_class_leave_out(label, measured):
    _, probabilities, groups = simulate()
    predictions = Predictions(np.full(240, label), probabilities, 1, groups)
    whole = evaluate_subset("set", "x", predictions, CLASSES, BOOTSTRAP)
    over, note = notes(whole)
    assert "12 photos" in over
    assert measured in note
    assert {"precision", "f1", "roc_auc"}.isdisjoint(whole.scores)
    parts = evaluate_groups(predictions, CLASSES, BOOTSTRAP)
    drawn(figures.subset_scores([whole, *parts[:2]], "Parts", 0.95, STANDARD, parts[2:]))


def test_corruptions_are_judged_on_the_same_images():
    labels, clean, _ = simulate()
    said = {"blur": [simulate(s, noise=s)[1] for s in (1, 2, 3)], "jpeg": [simulate(s)[1] for s in (4, 5, 6)]}
    scores = scores_of(labels, clean, 1, resamples=50)

    found = evaluate_corruptions(Predictions(labels, clean, 1), scores, said, Bootstrap(0, resamples=50))

    assert found.corrupted["blur"][2] == scores_of(labels, said["blur"][2], 1, resamples=50)
    accuracies = [np.mean(given.argmax(axis=1) == labels) for row in said.values() for given in row]
    assert found.mean["accuracy"].value == pytest.approx(np.mean(accuracies))
    assert found.mean["accuracy"].low < found.mean["accuracy"].value < found.mean["accuracy"].high
    assert list(found.named()) == ["blur_1", "blur_2", "blur_3", "jpeg_1", "jpeg_2", "jpeg_3", "mean"]
    table = found.table()
    assert table["corruption"].tolist() == ["none", *["blur"] * 3, *["jpeg"] * 3, "mean"]
    assert table["accuracy"].tolist()[1:-1] == pytest.approx(accuracies)
    blurred, *_ = corruptions_table(found).rows
    assert blurred[0] == "blur"
    assert blurred[2].startswith(f"{accuracies[1]:.4f}\n(")

    figure = figures.robustness_curves(found, 0.95)
    drawn(figure)
    blur = figure.axes[0]
    assert blur.get_title(loc="left").startswith("blur")
    assert blur.lines[1].get_ydata().tolist() == pytest.approx([scores["accuracy"].value, *accuracies[:3]])


@pytest.mark.parametrize("several", [True, False])
def test_subset_scores_draws_values_intervals_and_photos(several):
    whole, *groups = subsets_of(*simulate())
    parts = [whole, *groups[:2]] if several else [whole]
    figure = figures.subset_scores(parts, "sdnet by surface and photo", 0.95, STANDARD, groups[2:])
    drawn(figure)
    assert len(figure.axes) == 4
    recall = figure.axes[1]
    assert texts(recall) == [f"{part.scores['recall'].value:.3f}" for part in parts]
    assert sum(line.get_markerfacecolor() == "none" for line in recall.lines) == 12
    assert "240 images, 12 photos" in figure.axes[0].get_yticklabels()[0].get_text()


def test_subset_scores_says_what_is_undefined():
    part = evaluate_subset(
        "set", "sound", Predictions(np.zeros(5, int), np.tile([0.9, 0.1], (5, 1)), 1), CLASSES, BOOTSTRAP
    )
    figure = figures.subset_scores([part], "x", 0.95, STANDARD)
    drawn(figure)
    assert texts(figure.axes[2]) == ["undefined"]


def test_the_sheet_shows_every_corruption_beside_the_image():
    image = np.random.default_rng(0).integers(0, 256, (20, 20, 3)).astype(np.uint8)
    figure = figures.corruption_sheet(image, {"dark": [image // k for k in (2, 3, 4)], "jpeg": [image] * 3})
    drawn(figure)
    assert texts(figure.axes[0]) == ["as it is", "dark 1", "dark 2", "dark 3", "as it is", "jpeg 1", "jpeg 2", "jpeg 3"]
    assert np.array_equal(figure.axes[0].images[2].get_array(), image // 3)


def test_an_interval_that_is_none_is_told_so():
    assert scores_table({"accuracy": Interval(0.9, np.nan, np.nan)}, 0.95).rows == [("accuracy", "0.9000", "none")]
