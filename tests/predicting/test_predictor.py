"""What is said of files: good ones of any shape, and bad ones of any kind."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from crackexp.data.classes.decisions import Classes, Thresholds
from crackexp.data.images.decode import load_image
from crackexp.data.images.pixels import resize
from crackexp.predicting import predictor
from crackexp.predicting.inputs import InputFile
from crackexp.predicting.predictor import Predictor
from crackexp.tracking.models import LoggedModel

CLASSES = Classes(("Negative", "Positive"), ("Positive",))

SHAPES = [(32, 32), (227, 227), (16, 300), (301, 97), (1200, 40), (33, 31)]


@pytest.fixture
def logged(classifier: keras.Model) -> LoggedModel:
    return LoggedModel(classifier, CLASSES, Thresholds(), {}, "a run")


def said(predictor: Predictor, files: list[Path]) -> pd.DataFrame:
    return pd.concat(predictor.tables([InputFile(str(file)) for file in files]), ignore_index=True)


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """An image of each shape, light on the left and dark on the right."""
    files = []
    for number, (height, width) in enumerate(SHAPES):
        shade = np.linspace(230, 10 + 30 * number, width)
        image = np.broadcast_to(shade[None, :, None], (height, width, 3)).astype(np.uint8)
        files.append(tmp_path / f"{number}.png")
        cv2.imwrite(str(files[-1]), image)
    return files


@pytest.mark.parametrize("batch_size", [None, 1, 4])
def test_whole_images_of_any_shape_are_scaled_as_in_training(
    logged: LoggedModel, photos: list[Path], batch_size: int | None
) -> None:
    table = said(Predictor(logged, None, batch_size), photos)
    images = np.stack([resize(load_image(file), 32) for file in photos])
    expected = logged.classifier.predict(images, verbose=0)[:, 1]
    np.testing.assert_allclose(table["probability"].to_numpy(np.float32), expected, atol=1e-6)
    assert table["path"].tolist() == [str(file) for file in photos]
    assert len(set(np.round(expected, 3))) == len(photos)


def test_no_part_of_an_image_is_cut_off(logged: LoggedModel, tmp_path: Path) -> None:
    """Dark ends of a long light image are seen: a cut from the centre would leave them out."""
    image = np.full((40, 400, 3), 200, np.uint8)
    cv2.imwrite(str(tmp_path / "plain.png"), image)
    image[:, :120] = image[:, -120:] = 0
    cv2.imwrite(str(tmp_path / "ends.png"), image)
    plain, ends = said(Predictor(logged), [tmp_path / "plain.png", tmp_path / "ends.png"])["probability"]
    assert plain < 0.5 < ends


def test_the_threshold_moves_the_decision_and_not_the_label(logged: LoggedModel, photos: list[Path]) -> None:
    probability = said(Predictor(logged), photos)["probability"]
    middle = float(probability.median())
    table = said(Predictor(logged, middle), photos)
    assert table["decision"].tolist() == ["crack" if p >= middle else "sound" for p in probability]
    assert table["label"].tolist() == ["Positive" if p > 0.5 else "Negative" for p in probability]


def test_memory_stays_flat_by_tables_of_a_bounded_length(
    logged: LoggedModel, photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = said(Predictor(logged), photos)
    monkeypatch.setattr(predictor, "ROWS", 4)
    parts = list(Predictor(logged).tables([InputFile(str(file)) for file in photos]))
    assert [len(part) for part in parts] == [4, 2]
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), whole)


def write_jpeg(file: Path) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(file, "JPEG")
    return file.read_bytes()


def truncated(file: Path) -> None:
    file.write_bytes(write_jpeg(file)[:-900])


def huge_png(file: Path) -> None:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))))


def broken_png(file: Path) -> None:
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(file, "PNG")
    data = bytearray(file.read_bytes())
    data[50] ^= 0xFF
    file.write_bytes(bytes(data))


def float_tiff(file: Path) -> None:
    Image.fromarray(np.zeros((64, 64), np.float32)).save(file, "TIFF")


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated.jpg": (truncated, "damaged"),
    "document.jpg": (lambda file: file.write_bytes(b"%PDF-1.7\n1 0 obj\n"), "not a JPEG"),
    "dot.png": (lambda file: Image.new("RGB", (1, 1)).save(file), "1 x 1 pixels are too few"),
    "line.png": (lambda file: Image.new("RGB", (500, 3)).save(file), "500 x 3 pixels are too few"),
    "huge.png": (huge_png, "more than 178,956,970 pixels; crackexp.survey"),
    "empty.jpg": (lambda file: file.touch(), "empty"),
    "text.png": (lambda file: file.write_text("a crack"), "not a JPEG"),
    "page.jpeg": (lambda file: file.write_text("<html>404</html>"), "not a JPEG"),
    "drawing.bmp": (lambda file: file.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>"), "not a JPEG"),
    "archive.webp": (lambda file: file.write_bytes(b"PK\x03\x04" + bytes(100)), "not a JPEG"),
    "phone.jpg": (lambda file: file.write_bytes(b"\x00\x00\x00\x18ftypheic" + bytes(100)), "not a JPEG"),
    "moving.jpg": (lambda file: file.write_bytes(b"GIF89a" + bytes(100)), "damaged"),
    "header.jpg": (lambda file: file.write_bytes(write_jpeg(file)[:300]), "damaged"),
    "broken.png": (broken_png, "damaged"),
    "floats.tiff": (float_tiff, "32-bit float"),
    "zeros.jpg": (lambda file: file.write_bytes(bytes(5000)), "not a JPEG"),
    "gone.jpg": (lambda file: None, "cannot be read"),
    "folder.jpg": (lambda file: file.mkdir(), "cannot be read"),
}


def test_bad_files_get_a_reason_and_the_rest_is_done(logged: LoggedModel, photos: list[Path], tmp_path: Path) -> None:
    bad = []
    for name, (make, _) in BAD.items():
        make(tmp_path / name)
        bad.append(tmp_path / name)
    mixed = [file for pair in zip(bad, photos * 3, strict=True) for file in pair]
    judge = Predictor(logged)
    table = said(judge, mixed)
    assert table["path"].tolist() == [str(file) for file in mixed]
    read, unread = table[table["reason"].isna()], table[table["reason"].notna()]
    assert read["path"].tolist() == [str(file) for file in photos * 3]
    pd.testing.assert_frame_equal(
        read.reset_index(drop=True), pd.concat([said(Predictor(logged), photos)] * 3, ignore_index=True)
    )
    for path, reason in zip(unread["path"], unread["reason"], strict=True):
        assert BAD[Path(path).name][1] in reason
    assert unread[["label", "probability", "decision"]].isna().all(axis=None)
    assert judge.counts["unread"] == len(BAD)
    assert judge.counts.total() == len(mixed)
    assert judge.account.counts == {"used": 18, "left_out": len(BAD), "doubted": 4, "ignored": 0}
    assert all("crackexp.survey" in one.reason for one in judge.account.doubts), "four of the shapes are photos"
    assert judge.account.exit_status == 3


def test_between_two_thresholds_the_decision_is_unsure(classifier: keras.Model, tmp_path: Path) -> None:
    doubtful = LoggedModel(classifier, CLASSES, Thresholds(0.9, 0.1), {}, None)
    for shade in (40, 128, 220):
        cv2.imwrite(str(tmp_path / f"{shade}.png"), np.full((32, 32, 3), shade, np.uint8))
    files = [InputFile(str(tmp_path / f"{shade}.png"), None) for shade in (40, 128, 220)]
    predictor = Predictor(doubtful)
    (table,) = predictor.tables(files)
    assert table["decision"].tolist() == ["crack", "unsure", "sound"]
    assert predictor.counts == {"crack": 1, "unsure": 1, "sound": 1, "unread": 0}
    sure = Predictor(doubtful, threshold=0.3)
    (table,) = sure.tables(files)
    assert table["decision"].tolist() == ["crack", "crack", "sound"]
    assert "unsure" not in sure.counts
