"""The main job on real images, where CRACKEXP_REAL_DATA names them."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Command

pytestmark = pytest.mark.slow


def result(folder: Path, task: str) -> dict[str, Any]:
    (file,) = folder.glob(f"outputs/{task}/*/*/result.json")
    loaded: dict[str, Any] = json.loads(file.read_text())
    return loaded


def test_the_recipe_reads_real_patches(command_here: Command, real_data: Path, tmp_path: Path) -> None:
    done = command_here(
        "train", "+experiment=mobilenet", "dataset=folder", f"dataset.path={real_data / 'mendeley-sample'}",
        "dataset.limit=3000", "augmentation.views=2",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert result(tmp_path, "mobilenet")["metrics"]["test/accuracy"] >= 0.98


def test_drawn_patches_teach_real_cracks(command_here: Command, real_data: Path, tmp_path: Path) -> None:
    trained = command_here("train", "+experiment=mobilenet", "augmentation.views=1")
    assert trained.returncode == 0, trained.stderr
    run_id = result(tmp_path, "mobilenet")["run_id"]
    done = command_here(
        "evaluate", f"run={run_id}", "dataset=folder", f"dataset.path={real_data / 'mendeley-sample'}",
        "dataset.limit=1000",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert result(tmp_path, "evaluate")["metrics"]["test/accuracy"] >= 0.90
