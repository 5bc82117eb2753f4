"""Every command that reads files says what became of each, and its exit status follows."""

import json
import shutil
from pathlib import Path

import cv2
import mlflow
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from crackexp.data.synthetic import draw_patch
from tests.conftest import TINY, Command, write_patches

HEIC = Path(__file__).parents[1] / "data" / "fixtures" / "heic"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of patches in which files of many kinds stand beside the images."""
    root = write_patches(tmp_path_factory.mktemp("tree"), ("sound", "crack"), 15)
    twelve = (draw_patch(1, 1, True, 48).mean(axis=2) * 16).astype(np.uint16)
    cv2.imwrite(str(root / "crack" / "deep.png"), twelve)
    pages = [Image.fromarray(draw_patch(1, number, True, 48)) for number in range(2)]
    pages[0].save(root / "crack" / "pages.tif", save_all=True, append_images=pages[1:])
    shutil.copy(HEIC / "one.heic", root / "crack" / "phone.HEIC")
    shutil.copy(root / "crack" / "003.jpg", root / "sound" / "same.jpg")
    shutil.copy(root / "crack" / "003.jpg", root / "crack" / "003_mask.jpg")
    (root / "crack" / "IMG_1.DNG").write_bytes(b"raw")
    (root / "sound" / "up").symlink_to("..")
    (root / "sound" / "Thumbs.db").touch()
    (root / "annotations").mkdir()
    (root / "annotations" / "a.xml").touch()
    return root


def told(stdout: str, fate: str) -> list[str]:
    lines = [line.strip() for line in stdout.splitlines() if line.startswith(f"  {fate}: ")]
    return sorted(line.split(": ")[1] for line in lines)


@pytest.mark.slow
def test_training_and_judging_account_for_every_file(command_here: Command, tree: Path, tmp_path: Path) -> None:
    dataset = ["dataset=folder", f"dataset.path={tree}", "dataset.positive=crack"]
    refused = command_here("train", *dataset, *TINY)
    assert refused.returncode == 2
    assert "IMG_1.DNG: a camera raw file" in refused.stderr

    done = command_here("train", *dataset, *TINY, "epochs=1", "dataset.on_bad_file=skip")
    assert done.returncode == 3, done.stderr
    assert "Files: 34 used, 4 left out, 4 used with a doubt; 2 others ignored" in done.stdout
    assert told(done.stdout, "left out") == ["annotations", "crack/003_mask.jpg", "crack/IMG_1.DNG", "sound/up"]
    doubted = ["crack/003.jpg", "crack/deep.png", "crack/pages.tif", "sound/same.jpg"]
    assert told(done.stdout, "doubted") == doubted
    assert done.stdout.index("doubted: ") < done.stdout.index("Data, folder"), "told before training"

    result = json.loads(next(tmp_path.glob("outputs/*/*/*/result.json")).read_text())
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlruns/mlflow.db")
    run = mlflow.get_run(result["run_id"])
    assert run.data.params["data.files_left_out"] == "4"
    table = pd.read_csv(mlflow.artifacts.download_artifacts(f"runs:/{run.info.run_id}/data/files.csv"))
    assert sorted(table[table["fate"] == "doubted"]["file"]) == doubted

    model = f"model={result['run_id']}"
    done = command_here("evaluate", f"run={result['run_id']}", *dataset, "evaluation.resamples=20")
    assert done.returncode == 2
    done = command_here("predict", model, f"input={tree}", "out=said.csv")
    assert done.returncode == 3, done.stderr
    assert "Files: 35 used, 3 left out" in done.stdout
    assert told(done.stdout, "left out") == [
        f"{tree}/crack/003_mask.jpg",
        f"{tree}/crack/IMG_1.DNG",
        f"{tree}/sound/up",
    ]
    rows = pd.read_csv(tmp_path / "said.csv").set_index("path")
    assert rows.loc[f"{tree}/crack/pages.tif#2", "decision"] in ("crack", "sound")
    assert rows.loc[f"{tree}/crack/phone.HEIC", "decision"] in ("crack", "sound")
    assert "12 bits" in rows.loc[f"{tree}/crack/deep.png", "doubt"]
    assert "camera raw" in rows.loc[f"{tree}/crack/IMG_1.DNG", "reason"]
    assert pd.isna(rows.loc[f"{tree}/crack/IMG_1.DNG", "decision"])

    done = command_here("survey", model, f"input={tree}/crack", "out=survey", "tile.size=48")
    assert done.returncode == 3, done.stderr
    photos = pd.read_csv(tmp_path / "survey" / "photos.csv").set_index("photo")
    assert photos.loc["pages.tif#2", "tiles"] == 1
    assert "12 bits" in photos.loc["deep.png", "doubt"]
    page = (tmp_path / "survey" / "report.html").read_text()
    assert "IMG_1.DNG" in page
    assert "12 bits" in page


@pytest.mark.slow
def test_a_sweep_ends_by_the_status_of_its_trials(command_here: Command, tree: Path) -> None:
    dataset = ["dataset=folder", f"dataset.path={tree}", "dataset.positive=crack", "dataset.on_bad_file=skip"]
    done = command_here("train", "-m", *dataset, *TINY, "epochs=1", "dropout=0.1,0.2")
    assert done.returncode == 3, done.stderr
