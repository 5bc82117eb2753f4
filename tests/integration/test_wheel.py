"""The sdist and the wheel outside a checkout, and the steps of the Docker image where no Docker is.

The program finds its configs, takes the user's own, and writes where the user stands.
"""

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.conftest import TINY

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the sdist, and of the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "build", "--outdir", folder, ROOT], check=True)
    return folder


@pytest.mark.slow
def test_twine_finds_nothing_wrong_with_the_sdist_and_the_wheel(dist: Path) -> None:
    pytest.importorskip("twine", reason="make docs installs it")
    files = sorted(dist.iterdir())
    assert [file.suffix for file in files] == [".whl", ".gz"]
    done = subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_the_sdist_is_installed_in_an_empty_environment_by_the_steps_of_the_docker_image(
    dist: Path, tmp_path: Path, patches: Path
) -> None:
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.glob("crackexp-*")
    python, data, cache = tmp_path / "python", tmp_path / "data", tmp_path / "cache"
    kept = {key: os.environ[key] for key in os.environ if key.startswith("PIP_") or key.lower().endswith("_proxy")}
    clean = {**kept, "PATH": os.environ["PATH"], "HOME": str(cache), "PYTHON": sys.executable}
    clean["PIP_NO_COMPILE"] = "0"  # pip reads the value of a "no" the other way round: modules are compiled at import
    clean["PIP_CACHE_DIR"] = str(Path("~/.cache/pip").expanduser())
    subprocess.run([source / "docker" / "install.sh", python, data, cache], env=clean, check=True)

    inside = {"PATH": f"{python}/bin:/usr/bin:/bin", "HOME": str(cache), "CRACKEXP_CACHE": str(cache)}
    subprocess.run(["python", "-m", "pip", "check"], env=inside, check=True)
    job = ["train", "dataset=folder", f"dataset.path={patches}", *TINY, "epochs=1"]
    done = subprocess.run(["crackexp", *job], cwd=data, env=inside, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (data / "mlruns" / "mlflow.db").is_file()
    assert (cache / "embeddings").is_dir()
    assert not list(data.glob(".cache"))
    words = ["predict", "model=ready", f"input={patches}", "out=said.csv"]
    done = subprocess.run(["crackexp", *words], cwd=data, env=inside, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (data / "said.csv").is_file(), "the model that comes with crackexp is in the wheel"


@pytest.mark.slow
def test_the_wheel_works_in_an_empty_folder(dist: Path, tmp_path: Path, patches: Path) -> None:
    site, work = tmp_path / "site", tmp_path / "work"
    (wheel,) = dist.glob("*.whl")
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
    assert "dropout=0.45" in done.stdout
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
