"""The script that measures on a GPU runs to its end where there is none, on virtual devices."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "experiments" / "speed" / "gpu.py"
SMALL = ["image_size=32", "backbone.alpha=0.35", "backbone.weights=null", "evaluation.resamples=20", "epochs=2"]


def rows(printed: str) -> list[list[str]]:
    """Returns the cells of all rows of the Markdown tables in a text."""
    lines = [line for line in printed.splitlines() if line.startswith("|") and not line.startswith("|-")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def start(cache: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *words]
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "CRACKEXP_CACHE": str(cache)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.slow
def test_a_hundredth_of_the_job_is_measured_to_the_end_on_virtual_devices(tmp_path: Path) -> None:
    done = start(tmp_path, "--virtual", *SMALL)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "not measured on a GPU" in done.stdout
    found = {row[1]: row for row in rows(done.stdout) if row[0] == "400"}
    job = found["device views, float32"]
    assert float(job[2]) > 0, job
    assert float(job[4]) > 0, job
    assert float(job[8]) == 0, job
    (peer,) = (row for name, row in found.items() if name.startswith("PyTorch"))
    assert "not installed" in peer[2] or float(peer[2]) > 0
    parts = {row[0] for row in rows(done.stdout)}
    assert {"augment on the device", "draw, augment, embed on the device, store", "head: predict"} <= parts


@pytest.mark.slow
def test_without_a_gpu_the_script_says_so_and_how_to_try_it(tmp_path: Path) -> None:
    done = start(tmp_path)
    assert done.returncode == 1
    assert "--virtual" in done.stderr


@pytest.mark.slow
def test_what_there_is_no_time_for_is_named(tmp_path: Path) -> None:
    done = start(tmp_path, "--virtual", "--seconds", "5", *SMALL)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The images could not be drawn: not begun: time is up" in done.stdout
