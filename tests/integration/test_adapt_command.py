"""``python -m crackexp.adapt`` on the model that crackexp comes with, and what is refused before anything is logged."""

import csv
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from crackexp.data.synthetic import draw_patch
from tests.conftest import Command
from tests.integration.test_train_command import last_result, store_of


def site(folder: Path, count: int) -> Path:
    """A table of drawn patches of four photos whose colours are inverted: white cracks in black walls."""
    folder.mkdir()
    with (folder / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "label", "group"])
        for number in range(count):
            cracked = number % 2 == 0
            name = f"{number:03d}.png"
            Image.fromarray(255 - draw_patch(5, number, cracked, 160)).save(folder / name)
            table.writerow([name, "crack" if cracked else "sound", f"photo{number // 2 % 4}"])
    return folder / "labels.csv"


@pytest.mark.slow
def test_the_best_of_three_is_logged_and_says_where_it_comes_from(command_here: Command, tmp_path: Path) -> None:
    table = site(tmp_path / "site", 80)
    done = command_here("adapt", "model=ready", f"dataset.path={table}")
    assert done.returncode == 0, done.stderr
    result = last_result(tmp_path)
    metrics = result["metrics"]
    for score in ("f1", "recall", "false_alarms", "roc_auc", "log_loss"):
        assert {f"site/{score}_{name}" for name in ("before", "calibrated", "adapted")} <= set(metrics)
    names = ("before", "calibrated", "adapted")
    as_good = [name for name in names if metrics[f"site/f1_{name}"] >= metrics["site/f1_before"]]
    best = min(as_good, key=lambda name: metrics[f"site/log_loss_{name}"])
    assert best != "before", "a site like no other gains from labels"
    assert f"The {best} model was logged" in done.stdout
    run = store_of(tmp_path).get_run(result["run_id"])
    assert run.data.tags["mlflow.runName"] == "adapt-folder"
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlruns/mlflow.db")
    facts = mlflow.models.get_model_info(result["model_uri"]).metadata
    (step,) = facts["calibrations"]
    assert step["from"] is None
    assert facts["class_names"] == ["sound", "crack"]
    if best == "adapted":
        assert facts["adaptations"][0]["strength"] == metrics["site/strength"]

    for model, out in (("ready", "before.csv"), (result["run_id"], "after.csv")):
        done = command_here("predict", f"model={model}", f"input={tmp_path / 'site'}", f"out={out}")
        assert done.returncode == 0, done.stderr
    before, after = (pd.read_csv(tmp_path / out) for out in ("before.csv", "after.csv"))
    cracked = np.array([int(Path(path).stem) % 2 == 0 for path in after["path"]])
    right = [np.mean((table["decision"] == "crack") == cracked) for table in (before, after)]
    assert right[1] >= right[0]


def test_a_site_with_too_few_patches_is_refused_and_nothing_is_logged(command_here: Command, tmp_path: Path) -> None:
    table = site(tmp_path / "site", 6)
    done = command_here("adapt", "model=ready", f"dataset.path={table}")
    assert done.returncode == 2
    assert "Received: 3 cracked, 3 sound" in done.stderr
    assert not list(tmp_path.glob("outputs/**/result.json"))
