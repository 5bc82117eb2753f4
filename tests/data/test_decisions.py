"""Which classes are damage, how likely an image shows some, and what is decided on it."""

from pathlib import Path

import cv2
import keras
import numpy as np
import pandas as pd
import pytest

from crackexp.data.classes.decisions import CRACK, DAMAGE, Classes, Thresholds
from crackexp.data.images.windows import WholePhoto
from crackexp.data.index import ImageIndex
from crackexp.evaluation.policy import Policy
from crackexp.evaluation.tables import decisions_table, predictions_table
from crackexp.models.backbone import SmallCNN
from crackexp.models.classifier import build_classifier
from crackexp.models.gradcam import GradCam
from crackexp.models.heads import MultipleInstanceHead, build_head
from crackexp.predicting.inputs import InputFile
from crackexp.predicting.predictor import Predictor
from crackexp.surveying.surveyor import Surveyor
from crackexp.surveying.tiles import Tiling
from crackexp.tracking.models import LoggedModel
from crackexp.utils.errors import DataError
from crackexp.web.session import Limits, Session, analyze, photo_table
from tests.predicting.conftest import classifier

__all__ = ["classifier"]

TWO = Classes(("Negative", "Positive"), ("Positive",))
WALL = Classes(("crack", "sound", "spalling"), ("crack", "spalling"))
JOINTS = Classes(("crack", "joint", "sound"), ("crack",))


def said(count: int = 400, classes: int = 3) -> np.ndarray:
    return np.random.default_rng(0).dirichlet(np.ones(classes), count).astype(np.float32)


def test_of_two_classes_the_probability_and_the_decision_are_those_of_the_one_to_the_bit() -> None:
    probabilities = said(classes=2)
    np.testing.assert_array_equal(TWO.probability(probabilities), probabilities[:, 1])
    assert not TWO.leads(probabilities).any()
    decided = Thresholds(0.9, 0.8).decide(TWO.probability(probabilities), TWO.leads(probabilities))
    expected = np.where(probabilities[:, 1] >= 0.9, "crack", np.where(probabilities[:, 1] >= 0.8, "unsure", "sound"))
    np.testing.assert_array_equal(decided, expected)
    assert (TWO.defect, TWO.positive, TWO.target) == (CRACK, "Positive", "Positive")
    assert str(Thresholds(0.9, 0.8)) == "crack at a probability of 0.9 or more, unsure at 0.8 or more"


@pytest.mark.parametrize("classes", [WALL, JOINTS, Classes(("a", "b", "c", "d"), ("a", "d"))])
@pytest.mark.parametrize("threshold", [0.0, 0.2, 0.5, 0.8, 1.0])
def test_an_image_whose_most_probable_class_is_damage_is_never_called_sound(classes: Classes, threshold: float) -> None:
    probabilities = said(classes=len(classes.names))
    damage = probabilities[:, classes.indices].astype(np.float64).sum(axis=1)
    np.testing.assert_allclose(classes.probability(probabilities), damage, atol=1e-6)
    thresholds = Thresholds(defect=classes.defect).moved(threshold)
    decided = thresholds.decide(classes.probability(probabilities), classes.leads(probabilities))
    labels = np.array(classes.names)[probabilities.argmax(axis=1)]
    assert not np.any((decided == "sound") & np.isin(labels, classes.positives))
    np.testing.assert_array_equal(decided == classes.defect, classes.probability(probabilities) >= threshold)
    assert classes.defect == (DAMAGE if len(classes.positives) > 1 else CRACK)


def test_promises_are_about_damage_of_any_class() -> None:
    probabilities = said(4000)
    labels = np.array([np.random.default_rng(k).choice(3, p=row / row.sum()) for k, row in enumerate(said(4000))])
    policy = Policy(temperature=True, recall=0.95, false_alarms=0.05, confidence=0.95)
    fitted = policy.fit(labels, probabilities, WALL)
    calibrated = fitted.calibrated(probabilities)
    damage, damaged = WALL.probability(calibrated), np.isin(labels, [0, 2])
    assert np.mean(damage[damaged] >= fitted.thresholds.unsure) >= 0.95
    assert np.mean(damage[~damaged] >= fitted.thresholds.crack) <= 0.05
    decided = fitted.decide(calibrated)
    assert set(decided) == {"damage", "unsure", "sound"}
    assert "damage at a probability of" in str(fitted)
    with pytest.raises(DataError, match=r"damaged images"):
        Policy(False, 0.999, None, 0.95).require_enough(damaged[:100], DAMAGE)


def test_tables_of_what_was_decided_agree_with_each_other() -> None:
    probabilities, labels = said(60), np.arange(60) % 3
    decided = Thresholds(0.9, 0.9, DAMAGE).decide(WALL.probability(probabilities), WALL.leads(probabilities))
    files = np.array([f"{k}.png" for k in range(60)])
    index = ImageIndex(Path(), files, labels, files, WALL.names, WALL.positives)
    table = predictions_table(index, probabilities, decided)
    counts = decisions_table(labels, decided, WALL, DAMAGE)
    assert counts.index.tolist() == ["crack (damage)", "sound", "spalling (damage)"]
    expected = pd.crosstab(table["label"], table["decision"])[["damage", "unsure", "sound"]]
    np.testing.assert_array_equal(counts.to_numpy(), expected.to_numpy())
    assert counts.to_numpy().sum() == 60


def index(classes: Classes) -> ImageIndex:
    files = np.array([f"{name}.png" for name in classes.names])
    return ImageIndex(Path(), files, np.arange(len(files), dtype=np.int32), files, classes.names, classes.positives)


def test_classes_of_another_dataset_are_matched_merged_or_refused() -> None:
    part = Classes(("sound", "spalling"), ("spalling",))
    assert index(part).judged_by(WALL).labels.tolist() == [1, 2]
    others = index(TWO)
    assert others.judged_by(WALL) is others
    probabilities = said(5)
    merged = WALL.merge(probabilities, TWO)
    np.testing.assert_array_equal(merged[:, 1], WALL.probability(probabilities))
    np.testing.assert_allclose(merged.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(WALL.merge(probabilities, Classes(("a", "b"), ("a",)))[:, 0], merged[:, 1])
    with pytest.raises(DataError, match=r"crack, sound, spalling.*Received: Negative, Positive"):
        others.relabel(WALL)
    with pytest.raises(DataError, match=r"dataset\.positive=\[crack,spalling\].*Received: dataset\.positive=\[crack\]"):
        index(Classes(WALL.names, ("crack",))).judged_by(WALL)
    with pytest.raises(DataError, match=r"crack, sound, spalling"):
        index(JOINTS).judged_by(WALL)


def test_places_are_judged_against_a_class_that_is_sound() -> None:
    head = MultipleInstanceHead(4, 0.0).build((2, 2, 3), 4, [0, 1, 3], seed=0)
    np.testing.assert_array_equal(head.get_layer("place_log_odds").scale, [1, 1, 0, 1])


def test_gradcam_of_all_damage_is_that_of_the_log_odds_of_its_sum() -> None:
    """With one class that is sound, it is the opposite of what speaks for that one."""
    model = build_classifier(SmallCNN([4, 8]).build(32, 0), build_head(8, 3, 0.0, 0))
    images = np.random.default_rng(1).integers(0, 256, (3, 32, 32, 3), np.uint8)
    probabilities, maps = map(np.asarray, GradCam(model, [0, 2]).network.predict(images, verbose=0))
    _, sound = GradCam(model, [1]).network.predict(images, verbose=0)
    np.testing.assert_allclose(maps, -sound, atol=1e-5)
    _, first = GradCam(model, [0]).network.predict(images, verbose=0)
    assert np.abs(maps - first).max() > 1e-3
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)


@pytest.fixture(scope="module")
def wall(classifier: keras.Model) -> LoggedModel:
    """Dark is a crack, light is sound, and between the two spalling is the most probable by a little."""
    network = build_classifier(SmallCNN([4, 8]).build(32, 0), build_head(8, 3, 0.3, 0))
    for layer in network.layers[:-1]:
        layer.set_weights(classifier.get_layer(layer.name).get_weights())
    kernel, bias = classifier.get_layer("probabilities").get_weights()
    kernel, bias = 3 * kernel, 3 * bias
    network.get_layer("probabilities").set_weights(
        [np.stack([kernel[:, 1], kernel[:, 0], 0 * kernel[:, 0]], axis=1), np.array([bias[1], bias[0], 0.2])]
    )
    return LoggedModel(network, WALL, Thresholds(defect=DAMAGE), {}, None)


def test_a_patch_of_damage_below_the_threshold_is_unsure(wall: LoggedModel, tmp_path: Path) -> None:
    files = []
    for shade in (30, 128, 225):
        cv2.imwrite(str(tmp_path / f"{shade}.png"), np.full((32, 32, 3), shade, np.uint8))
        files.append(InputFile(str(tmp_path / f"{shade}.png")))
    (table,) = Predictor(wall).tables(files)
    assert table["label"].tolist() == ["crack", "spalling", "sound"]
    assert table["decision"].tolist() == ["damage", "damage", "sound"]
    strict = Predictor(wall, threshold=0.95)
    (table,) = strict.tables(files)
    assert table["decision"].tolist() == ["damage", "unsure", "sound"]
    assert strict.counts == {"damage": 1, "unsure": 1, "sound": 1, "unread": 0}


def test_a_survey_and_the_page_call_no_photo_sound_where_tiles_lead_with_damage(wall: LoggedModel) -> None:
    surveyor = Surveyor(wall, Tiling(32, 0.5))
    photo = np.full((64, 96, 3), 225, np.uint8)
    assert surveyor.survey_photo(WholePhoto(photo)).verdict(None)["decision"] == "sound"
    photo[:, :48] = 128
    assert surveyor.survey_photo(WholePhoto(photo)).verdict(None)["decision"] == "damage"
    found = Surveyor(wall, Tiling(32, 0.5), threshold=0.95).survey_photo(WholePhoto(photo))
    assert found.verdict(None)["decision"] == "unsure"
    tiles = found.tiles()
    assert set(tiles["decision"]) == {"unsure", "sound"}
    assert (tiles["decision"][tiles["right"] <= 48] == "unsure").all()

    session = Session(surveyor.thresholds, Limits(3, 1, 1))
    data = cv2.imencode(".png", photo)[1].tobytes()
    session.keep(analyze(surveyor, "wall.png", data, 0, 10**6, None, lambda share: None))
    assert photo_table(session.photos.values(), [], session.thresholds)["decision"].tolist() == ["damage"]
    session.move(0.95)
    assert photo_table(session.photos.values(), [], session.thresholds)["decision"].tolist() == ["unsure"]
    assert session.thresholds.defect == DAMAGE
