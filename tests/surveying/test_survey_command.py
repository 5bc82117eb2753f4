"""``python -m crackexp.survey`` as users type it: the folder, the page, the run in the store."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import mlflow
import numpy as np
import pandas as pd
import pytest
import pyvips
from PIL import Image
from pypdf import PdfReader

from tests.conftest import Command


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Two photos, one with a dark stripe and GPS, one plain; and a file that is no photo."""
    folder = tmp_path / "site <1>"
    folder.mkdir()
    photo = np.full((300, 400, 3), 230, np.uint8)
    cv2.imwrite(str(folder / "plain.jpg"), photo)
    photo[:, 180:260] = 20
    image = Image.fromarray(photo)
    exif = image.getexif()
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 30.0, 0.0), 3: "E", 4: (13.0, 24.0, 0.0)})
    image.save(folder / "stripe.jpg", exif=exif)
    (folder / "notes.png").write_text("no photo")
    return folder


def test_a_folder_of_photos_becomes_a_survey(command_here: Command, model: str, site: Path, tmp_path: Path) -> None:
    words = [f"model={model}", f"input={site.name.replace('<', '?').replace('>', '?')}", "out=survey", "tile.size=40"]
    done = command_here("survey", *words)
    assert done.returncode == 3, done.stderr
    assert "notes.png: not a JPEG" in done.stdout
    out = tmp_path / "survey"
    table = pd.read_csv(out / "photos.csv")
    assert table["photo"].tolist() == ["stripe.jpg", "plain.jpg", "notes.png"], "relative to the folder of the input"
    assert table["decision"].tolist()[:2] == ["crack", "sound"]
    assert "latitude" not in table
    for row in table.dropna(subset="files").itertuples():
        tiles = pd.read_csv(out / f"{row.files}.tiles.csv")
        assert len(tiles) == row.tiles
        outlines = json.loads((out / f"{row.files}.geojson").read_text())
        assert len(outlines["features"]) == row.regions
        for suffix in ("jpg", "gradcam.jpg"):
            with Image.open(out / f"{row.files}.{suffix}") as picture:
                assert picture.size == (400, 300)
                assert not picture.getexif()
    explained = np.array(Image.open(out / f"{table['files'][0]}.gradcam.jpg")).astype(int)
    orange = explained[..., 0] - explained[..., 2]
    assert orange[:, 190:250].mean() > 30
    assert np.abs(orange[:, :100]).mean() < 10

    page = (out / "report.html").read_text()
    assert "1 of 2 photos show cracks" in page
    assert page.index("stripe.jpg") < page.index("plain.jpg")
    assert "site &lt;1&gt;" in page
    assert "Joined" not in page, "one crack in one piece"
    assert "Dropped" not in done.stdout
    assert "52.5" not in page
    assert "http" not in page.replace("http://www.w3.org", "")

    printed = " ".join(PdfReader(out / "report.pdf").pages[0].extract_text().split())
    assert "1 of 2 photos show cracks" in printed
    assert printed.index("stripe.jpg crack") < printed.index("plain.jpg sound")

    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlruns/mlflow.db")
    (run,) = client.search_runs([client.get_experiment_by_name("crackexp").experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.metrics["survey/photos"] == 2
    assert run.data.metrics["survey/cracked_photos"] == 1
    assert {file.path for file in client.list_artifacts(run.info.run_id, "survey")} == {
        "survey/report.html",
        "survey/report.pdf",
        "survey/photos.csv",
        "survey/photos",
    }


def test_places_and_millimetres_are_told_on_request(
    command_here: Command, model: str, site: Path, tmp_path: Path
) -> None:
    done = command_here(
        "survey", f"model={model}", f"input='{site}/*.jpg'", "out=survey", "tile.size=20", "tile.scale=2",
        "gps=true", "mm_per_px=0.5", "tracking=none",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    stripe = pd.read_csv(tmp_path / "survey" / "photos.csv").iloc[0]
    assert (stripe["latitude"], stripe["longitude"]) == (52.5, 13.4)
    assert stripe["total_extent_mm"] == pytest.approx(stripe["total_extent_px"] / 2, abs=0.3)
    assert stripe["longest_extent_mm"] == pytest.approx(stripe["longest_extent_px"] / 2, abs=0.3)
    assert "52.50000, 13.40000" in (tmp_path / "survey" / "report.html").read_text()


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("tile.size=2", ["tile.size", "greater than or equal to 16"]),
        ("tile.overlap=1", ["tile.overlap", "0.9"]),
        ("threshold=0", ["threshold", "greater than 0"]),
        ("tile.sise=100", ["'sise'", "tile", "'size'"]),
        ("regions.join=-1", ["regions.join", "greater than or equal to 0"]),
        ("regions.min_extend=1", ["'min_extend'", "regions", "'min_extent'"]),
    ],
)
def test_a_mistake_is_refused_in_a_sentence(command_here: Command, argument: str, words: list[str]) -> None:
    done = command_here("survey", "model=abc", "input=nowhere", argument)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


MEASURED = """
import resource, runpy
try:
    runpy.run_module("crackexp.survey", run_name="__main__", alter_sys=True)
finally:
    print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def peak(*words: str, folder: Path) -> tuple[int, str, int]:
    """Returns the exit status, the output and the peak memory in MB of ``python -m crackexp.survey WORDS``."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *words], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert "peak" in done.stdout, done.stderr
    assert "VIPS" not in done.stderr
    return done.returncode, done.stdout, int(done.stdout.split("peak")[1])


@pytest.mark.slow
def test_an_image_of_any_size_is_surveyed_in_little_memory(command: Command, model: str, tmp_path: Path) -> None:
    light, dark = (pyvips.Image.black(1000, 10_000, bands=3).linear(1, shade).cast("uchar") for shade in (230, 20))
    wall = pyvips.Image.arrayjoin([dark if column == 9 else light for column in range(20)])
    (tmp_path / "site").mkdir()
    wall.write_to_file(str(tmp_path / "site" / "wall.tif"), tile=True, compression="deflate", bigtiff=True)
    wall.write_to_file(str(tmp_path / "site" / "cut.png"), compression=1)
    data = (tmp_path / "site" / "cut.png").read_bytes()
    (tmp_path / "site" / "cut.png").write_bytes(data[: len(data) // 2])
    wall.crop(8000, 0, 2000, 2000).write_to_file(str(tmp_path / "part.png"))

    words = [f"model={model}", "tile.size=500", "tile.overlap=0", "tracking=none", "gps=true"]
    status, _, small = peak(*words, "input=part.png", "out=small", folder=tmp_path)
    assert status == 0
    status, text, large = peak(*words, "input=site", "out=large", folder=tmp_path)
    assert status == 3
    assert large - small < 400, "MB; the pixels alone are 600 MB"
    assert "cut.png: cannot be decoded to its end" in text
    table = pd.read_csv(tmp_path / "large" / "photos.csv").set_index("photo")
    found = table.loc["wall.tif"]
    assert (found["width"], found["height"], found["tiles"]) == (20_000, 10_000, 800)
    assert found["cracked_share"] == pytest.approx(1 / 20, abs=0.01)
    assert sorted(file.name for file in (tmp_path / "large" / "photos").iterdir()) == [
        f"0001_wall.{suffix}" for suffix in ("geojson", "gradcam.jpg", "jpg", "tiles.csv")
    ]

    done = command("predict", f"model={model}", "input=site", "out=table.csv", "tracking=none")
    assert done.returncode == 3, done.stderr
    reasons = pd.read_csv(tmp_path / "table.csv").set_index("path")["reason"]
    assert "20000 x 10000 pixels" in reasons["site/wall.tif"]
    assert "crackexp.survey" in reasons["site/wall.tif"]
