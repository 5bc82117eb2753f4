"""The wheel outside a checkout: it finds its configs, takes the user's own, and writes where the user stands."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import TINY

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_wheel_works_in_an_empty_folder(tmp_path: Path, patches: Path) -> None:
    wheels, site, work = tmp_path / "wheels", tmp_path / "site", tmp_path / "work"
    subprocess.run([sys.executable, "-m", "build", "--wheel", "--outdir", wheels, ROOT], check=True)
    (wheel,) = wheels.glob("*.whl")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", site, wheel], check=True
    )
    assert (site / "crackexp" / "conf" / "train.yaml").is_file()
    script = site / "bin" / "crackexp"
    for shell in ("bash", "zsh", "fish"):
        asked = [script, "--completion", shell]
        printed = subprocess.run(asked, env={**os.environ, "PYTHONPATH": str(site)}, capture_output=True, check=True)
        assert b"--complete " in printed.stdout

    own = work / "own" / "experiment"
    own.mkdir(parents=True)
    (own / "mine.yaml").write_text("# @package _global_\ndropout: 0.45\n")
    job = ["--config-dir", "own", "+experiment=mine", "dataset=folder", f"dataset.path={patches}", *TINY, "epochs=1"]
    done = subprocess.run(
        [script, "train", *job],
        cwd=work,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "dropout: 0.45" in done.stdout
    assert "crackexp evaluate run=" in done.stdout
    assert (work / "mlruns" / "mlflow.db").is_file()
    assert list(work.glob("outputs/*/*/*/result.json"))
    where = subprocess.run(
        [sys.executable, "-c", "import crackexp; print(crackexp.__file__)"],
        cwd=work,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert where.stdout.startswith(str(site))
