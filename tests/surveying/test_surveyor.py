"""What a surveyor sees in photos is what the model says of their patches."""

import json
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from PIL import Image

from crackexp.data.accounting import Account
from crackexp.data.classes.decisions import CRACK, Classes, Thresholds
from crackexp.data.images.decode import ImageError, load_image
from crackexp.data.images.pixels import resize
from crackexp.data.images.windows import WholePhoto, WindowedPhoto
from crackexp.data.synthetic import draw_patch
from crackexp.inference.openvino import OpenVino
from crackexp.predicting.inputs import InputFile
from crackexp.reporting import artifacts
from crackexp.surveying.exif_gps import gps
from crackexp.surveying.overlay import MARK, overlay
from crackexp.surveying.survey_report import Survey
from crackexp.surveying.surveyor import Surveyor
from crackexp.surveying.tiles import Tiling
from crackexp.tracking.model_facts import ModelFacts
from crackexp.tracking.models import LoggedModel

CLASSES = Classes(("Negative", "Positive"), ("Positive",))


@pytest.fixture
def logged(classifier: keras.Model) -> LoggedModel:
    return LoggedModel(classifier, CLASSES, Thresholds(), {}, "a run")


def surveyor(logged: LoggedModel, side: int, overlap: float = 0.0) -> Surveyor:
    return Surveyor(logged, Tiling(side, overlap))


def test_tiles_of_a_mosaic_are_judged_as_its_patches_are(logged: LoggedModel, tmp_path: Path) -> None:
    patches = np.stack([draw_patch(3, number, bool(number % 2), 57) for number in range(12)])
    rows = [np.hstack(list(patches[start : start + 4])) for start in range(0, 12, 4)]
    cv2.imwrite(str(tmp_path / "mosaic.png"), np.vstack(rows)[..., ::-1])
    _, found = surveyor(logged, 57).survey(InputFile(str(tmp_path / "mosaic.png")))
    expected = logged.classifier.predict(np.stack([resize(patch, 32) for patch in patches]), verbose=0)[:, 1]
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-6)
    assert (found.tiles()["decision"] == "crack").tolist() == (expected >= 0.5).tolist()


def test_a_dark_part_is_marked_and_the_rest_is_not(logged: LoggedModel, tmp_path: Path) -> None:
    wall = np.full((400, 600, 3), 230, np.uint8)
    wall[:, 240:340] = 20
    cv2.imwrite(str(tmp_path / "wall.png"), wall)
    photo, found = surveyor(logged, 50, 0.5).survey(InputFile(str(tmp_path / "wall.png")))
    (region,) = found.regions
    left, right = region.rings[0][:, 0].min(), region.rings[0][:, 0].max()
    assert 215 <= left <= 245
    assert 335 <= right <= 365
    row = found.verdict(0.5)
    assert row["decision"] == "crack"
    assert row["cracked_share"] == pytest.approx((right - left) / 600, abs=0.01)
    assert row["longest_extent_mm"] == pytest.approx(row["longest_extent_px"] / 2, abs=0.3)
    outline = json.loads(found.geojson("wall.png", None))["features"][0]
    assert outline["geometry"]["coordinates"][0][0] == outline["geometry"]["coordinates"][0][-1]
    assert outline["properties"]["area_px"] == round(region.area)

    columns = (np.arange(found.heat.shape[1]) + 0.5) * found.cell
    assert found.saliency.shape == found.heat.shape
    assert found.saliency.max() == 1
    assert found.saliency.min() == 0
    beside = (columns < 185) | (columns > 395)
    assert found.saliency[:, beside].max() == 0, "no tile there is cracked"
    within = (columns > 250) & (columns < 330)
    assert found.saliency[:, within].min() > 2 * found.saliency[:, (columns < 225) | (columns > 355)].max()

    picture = overlay(photo.picture, found.heat, found.cell, found.regions)
    np.testing.assert_allclose(picture[:, :200], wall[:, :200], atol=12)
    inside = picture[200, 290].astype(int)
    assert np.abs(inside - (np.array(MARK) + 20) / 2).max() < 12


def test_a_sound_photo_has_no_saliency(logged: LoggedModel, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "wall.png"), np.full((120, 160, 3), 230, np.uint8))
    _, found = surveyor(logged, 50, 0.5).survey(InputFile(str(tmp_path / "wall.png")))
    assert not found.regions
    assert not found.saliency.any()


def test_engines_and_the_moment_of_explaining_change_no_map(
    logged: LoggedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wall = np.full((200, 300, 3), 230, np.uint8)
    wall[:, 120:170] = 20
    cv2.imwrite(str(tmp_path / "wall.png"), wall)
    photo = InputFile(str(tmp_path / "wall.png"))
    _, expected = surveyor(logged, 50, 0.5).survey(photo)
    monkeypatch.setattr("crackexp.surveying.surveyor.EXPLAINED_TILES", 3)
    _, found = Surveyor(logged, Tiling(50, 0.5), engine=OpenVino()).survey(photo)
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-5)
    np.testing.assert_allclose(found.saliency, expected.saliency, atol=1e-5)
    _, plain = Surveyor(logged, Tiling(50, 0.5), explains=False).survey(photo)
    np.testing.assert_array_equal(plain.heat, expected.heat)
    assert not plain.saliency.any()


def test_photos_of_any_size_are_looked_at_whole(logged: LoggedModel, tmp_path: Path) -> None:
    for height, width in ((30, 30), (16, 400), (57, 900), (57, 57)):
        Image.new("RGB", (width, height)).save(tmp_path / "photo.png")
        _, found = surveyor(logged, 57, 0.5).survey(InputFile(str(tmp_path / "photo.png")))
        assert found.verdict(None)["cracked_share"] == pytest.approx(1)
    Image.new("RGB", (1, 1)).save(tmp_path / "photo.png")
    with pytest.raises(ImageError, match="1 x 1 pixels are too few"):
        surveyor(logged, 57).survey(InputFile(str(tmp_path / "photo.png")))


def test_a_photo_is_turned_upright_and_tells_its_place_on_request(logged: LoggedModel, tmp_path: Path) -> None:
    image = Image.fromarray(np.concatenate([np.full((60, 100, 3), 10, np.uint8), np.full((60, 100, 3), 240, np.uint8)]))
    exif = image.getexif()
    exif[0x0112] = 6
    exif.get_ifd(0x8825).update({1: "S", 2: (33.0, 51.0, 36.0), 3: "E", 4: (151.0, 12.0, 30.0)})
    image.save(tmp_path / "phone.jpg", exif=exif, quality=95)
    photo, found = surveyor(logged, 50).survey(InputFile(str(tmp_path / "phone.jpg")))
    assert (found.height, found.width) == (100, 120)
    np.testing.assert_array_equal(photo.picture, load_image(tmp_path / "phone.jpg"))
    (region,) = found.regions
    assert region.rings[0][:, 0].min() > 40, "dark was above, and is on the right once turned"
    assert gps(tmp_path / "phone.jpg") == pytest.approx((-33.86, 151.2083333))
    image.save(tmp_path / "plain.jpg")
    assert gps(tmp_path / "plain.jpg") is None


def test_a_photo_between_two_thresholds_is_unsure(classifier: keras.Model, tmp_path: Path) -> None:
    doubtful = LoggedModel(classifier, CLASSES, Thresholds(0.9, 0.1), {}, None)
    cv2.imwrite(str(tmp_path / "wall.png"), np.full((100, 100, 3), 128, np.uint8))
    _, found = surveyor(doubtful, 50).survey(InputFile(str(tmp_path / "wall.png")))
    assert found.verdict(None)["decision"] == "unsure"
    assert set(found.tiles()["decision"]) == {"unsure"}
    assert not found.regions


@pytest.mark.parametrize("name", ["wall.tif", "wall.png", "wall.jpg", "turned.jpg"])
def test_a_photo_is_judged_alike_whole_and_in_windows(logged: LoggedModel, name: str, tmp_path: Path) -> None:
    """Down to the bit, in what is found and in what is written."""
    patches = np.stack([draw_patch(3, number, bool(number % 3), 80) for number in range(35)])
    wall = np.vstack([np.hstack(list(patches[start : start + 7])) for start in range(0, 35, 7)])
    exif = Image.Exif()
    exif[0x0112] = 6 if name == "turned.jpg" else 1
    Image.fromarray(wall).save(tmp_path / name, exif=exif)
    pairs = [
        Surveyor(logged, Tiling(57, 0.5), 0.4, max_pixels=pixels).survey(InputFile(str(tmp_path / name)))
        for pixels in (wall.size, 10_000)
    ]  # fmt: skip
    (whole, expected), (windowed, found) = pairs
    assert isinstance(whole, WholePhoto)
    assert isinstance(windowed, WindowedPhoto)
    assert expected.regions
    assert found.verdict(0.5) == expected.verdict(0.5)
    for field in ("boxes", "probabilities", "heat", "saliency", "leads", "doubts"):
        np.testing.assert_array_equal(getattr(found, field), getattr(expected, field))

    for folder, (photo, finding) in zip(("whole", "windowed"), pairs, strict=True):
        made = Survey(tmp_path / folder, CRACK, None, False, Account())
        made.add(InputFile(name), photo, finding)
        artifacts.write(made.report("a model"), made.folder)
    files = {file.relative_to(tmp_path / "whole") for file in (tmp_path / "whole").rglob("*.*")}
    assert len(files) == 6
    for file in files:
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "windowed" / file).read_bytes()


def test_the_pictures_of_a_large_photo_are_reduced_and_its_numbers_are_not(logged: LoggedModel, tmp_path: Path) -> None:
    wall = np.full((401, 593, 3), 230, np.uint8)
    wall[:, 240:340] = 20
    cv2.imwrite(str(tmp_path / "wall.png"), wall)
    photo = WindowedPhoto(tmp_path / "wall.png", picture_side=150)
    found = surveyor(logged, 50, 0.5).survey_photo(photo)
    made = Survey(tmp_path / "survey", CRACK, None, False, Account())
    made.add(InputFile("wall.png"), photo, found)
    *_, page = artifacts.write(made.report("a model"), made.folder)
    with Image.open(tmp_path / "survey" / "photos" / "0001_wall.jpg") as picture:
        assert picture.size == (149, 101)
        orange = np.asarray(picture).astype(int) @ [1, 0, -1]
    assert orange[:, 62:83].min() > 30, "between columns 248 and 332 of the photo"
    assert np.abs(orange[:, :50]).max() < 20
    outline = json.loads((tmp_path / "survey" / "photos" / "0001_wall.geojson").read_text())
    assert (outline["image"]["width"], outline["image"]["height"]) == (593, 401)
    assert 335 <= np.array(outline["features"][0]["geometry"]["coordinates"][0])[:, 0].max() <= 365
    assert 'viewBox="0 0 593 401"' in page.read_text()


def test_a_look_tells_how_much_is_done(logged: LoggedModel, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "wall.png"), np.full((400, 600, 3), 230, np.uint8))
    shares: list[float] = []
    Surveyor(logged, Tiling(50, 0.0), batch_size=4).survey(InputFile(str(tmp_path / "wall.png")), advance=shares.append)
    assert shares == sorted(shares)
    assert len(shares) > 2
    assert shares[-1] == 1


def test_relative_to_the_photo_what_stands_out_is_marked_and_its_map_is_made(
    logged: LoggedModel, tmp_path: Path
) -> None:
    """A wall that is so dark that the model takes all of it for cracked, with one part that is darker still."""
    wall = np.full((400, 600, 3), 100, np.uint8)
    wall[:, 240:340] = 0
    cv2.imwrite(str(tmp_path / "wall.png"), wall)
    photo = InputFile(str(tmp_path / "wall.png"))
    _, plain = surveyor(logged, 50, 0.5).survey(photo)
    assert plain.verdict(None)["cracked_share"] > 0.9, "so the wall is what this test is about"
    assert not plain.doubts
    _, found = Surveyor(logged, Tiling(50, 0.5), relative=True).survey(photo)
    assert found.verdict(None)["cracked_share"] < 0.3
    assert found.verdict(None)["decision"] != "sound"
    assert any("most tiles seem damaged" in doubt for doubt in found.doubts)
    columns = (np.arange(found.heat.shape[1]) + 0.5) * found.cell
    assert found.saliency[:, (columns < 185) | (columns > 395)].max() == 0


def test_a_tile_that_is_raised_above_the_threshold_has_a_map(
    logged: LoggedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crackexp.evaluation.photo_baseline.USUAL", 0.1)  # this model gives no tile less than 0.02
    wall = np.full((400, 600, 3), 250, np.uint8)
    wall[:, 280:300] = 60
    cv2.imwrite(str(tmp_path / "wall.png"), wall)
    photo = InputFile(str(tmp_path / "wall.png"))
    _, plain = surveyor(logged, 50, 0.5).survey(photo)
    highest = float(plain.probabilities.max())
    threshold = 1 / (1 + (1 - highest) / highest / np.exp(0.2))  # a little above the highest
    _, below = Surveyor(logged, Tiling(50, 0.5), threshold=threshold).survey(photo)
    assert not below.regions
    _, found = Surveyor(logged, Tiling(50, 0.5), threshold=threshold, relative=True).survey(photo)
    assert found.probabilities.max() > highest
    assert found.saliency.max() == 1


def test_a_model_that_was_calibrated_for_a_site_judges_tiles_as_they_are(classifier: keras.Model) -> None:
    wall = WholePhoto(np.full((200, 300, 3), 60, np.uint8))
    known = {"class_names": ["Negative", "Positive"], "positive": "Positive"}
    found = {}
    for name, steps in (("trained", []), ("calibrated", [{"dataset": "site"}])):
        facts = ModelFacts.read({**known, "calibrations": steps})
        model = LoggedModel(classifier, CLASSES, Thresholds(), facts, "a run")
        found[name] = Surveyor(model, Tiling(50, 0.5), relative=None).survey_photo(wall)
    plain = Surveyor(model, Tiling(50, 0.5)).survey_photo(wall)
    np.testing.assert_array_equal(found["calibrated"].probabilities, plain.probabilities)
    assert found["trained"].probabilities.max() < plain.probabilities.max()
