"""Image files with bytes changed, added, taken away or mixed: each is read, or left out with a reason."""

import io
import warnings
from pathlib import Path

import cv2
import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from crackexp.data.accounting import Account
from crackexp.data.classes.decisions import Classes, Thresholds
from crackexp.data.synthetic import draw_patch
from crackexp.predicting.inputs import find_inputs
from crackexp.predicting.predictor import Predictor
from crackexp.tracking.models import LoggedModel
from tests.conftest import Command
from tests.predicting.conftest import classifier, model

__all__ = ["classifier", "model"]

COUNT = 300
KINDS = {
    "jpg": {"quality": 80},
    "jpeg": {"quality": 70, "progressive": True},
    "png": {},
    "tif": {"compression": "tiff_lzw"},
    "tiff": {"compression": "jpeg"},
    "bmp": {},
    "webp": {"quality": 70},
    "gif": {},
}


def whole_files() -> dict[str, bytes]:
    """Returns a small drawn image in each kind of file, some with EXIF."""
    files = {}
    for number, (suffix, options) in enumerate(KINDS.items()):
        image = Image.fromarray(draw_patch(3, number, bool(number % 2), 40))
        exif = image.getexif()
        exif[0x0112] = 6
        stream = io.BytesIO()
        kind = {"jpg": "jpeg", "tif": "tiff"}.get(suffix, suffix)
        image.save(stream, kind, **options, **({"exif": exif} if suffix in ("jpg", "webp") else {}))
        files[suffix] = stream.getvalue()
    return files


def mutated(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    """Returns `data` with one to four changes; `other` is a file of another kind."""
    changed = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        place = int(rng.integers(len(changed))) if changed else 0
        if rng.random() < 0.5:
            place %= 64
        length = int(rng.integers(1, 33))
        match rng.integers(7):
            case 0 if changed:
                changed[place % len(changed)] ^= 1 << int(rng.integers(8))
            case 1:
                changed[place:place] = rng.bytes(length)
            case 2:
                del changed[place : place + length]
            case 3:
                del changed[place:]
            case 4:
                changed[place : place + length] = rng.bytes(length)
            case 5:
                changed[place : place + 4] = [255] * 4
            case _:
                changed[:length] = other[:length]
    return bytes(changed)


def write_mutated(folder: Path) -> list[Path]:
    """Writes `COUNT` mutated files, the same ones at each call."""
    rng, whole = np.random.default_rng(20), whole_files()
    kinds = list(whole)
    files = []
    for number in range(COUNT):
        kind = kinds[number % len(kinds)]
        files.append(folder / f"{number:03}.{kind}")
        files[-1].write_bytes(mutated(rng, whole[kind], whole[kinds[rng.integers(len(kinds))]]))
    return files


def held(table: pd.DataFrame) -> int:
    """Returns how many rows hold either a decision with a probability, or a reason."""
    read = table["decision"].notna() & table["probability"].between(0, 1).fillna(False) & table["reason"].isna()
    left_out = table["decision"].isna() & table["probability"].isna() & (table["reason"].fillna("").str.len() > 0)
    return int((read ^ left_out).sum())


def test_mutated_images_are_read_or_left_out_with_a_reason(
    classifier: keras.Model, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    files = write_mutated(tmp_path)
    logged = LoggedModel(classifier, Classes(("Negative", "Positive"), ("Positive",)), Thresholds(), {}, None)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        inputs = find_inputs([str(file) for file in files], [], Account())
        table = pd.concat(Predictor(logged).tables(inputs), ignore_index=True)
    assert {one.path for one in inputs} == {str(file) for file in files}
    assert all("PIL" in Path(one.filename).parts for one in warned), "Pillow's, which commands do not show"
    assert "Traceback" not in capfd.readouterr().err
    assert held(table) == len(inputs) >= COUNT
    shares = table["reason"].isna().mean()
    assert 0.1 < shares < 0.9, "some are read, and some are not"
    print(f"Mutated images: tried {COUNT}, held {COUNT}")


@pytest.mark.slow
def test_the_command_goes_on_past_mutated_images(command_here: Command, model: str, tmp_path: Path) -> None:
    folder = tmp_path / "mutated"
    folder.mkdir()
    write_mutated(folder)
    cv2.imwrite(str(folder / "whole.png"), np.full((40, 40, 3), 30, np.uint8))
    done = command_here("predict", f"model={model}", "input=mutated", "out=table.csv")
    assert done.returncode == 3, done.stderr
    for word in ("Traceback", "Warning", "ERROR"):
        assert word not in done.stderr + done.stdout
    table = pd.read_csv(tmp_path / "table.csv")
    assert table["path"].str.partition("#")[0].nunique() == COUNT + 1
    assert held(table) == len(table)
    assert table.set_index("path")["decision"]["mutated/whole.png"] == "crack"
    print(f"Mutated images by the command: tried {COUNT}, held {COUNT}")
