"""Every command, in folders whose names mean something to shells, addresses or Hydra, and in copied folders."""

import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest

from tests.conftest import TINY, commands_here, write_patches

Run = Callable[..., str]


def words(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", f"crackexp.{name}", *arguments]


def run(folder: Path, name: str, *arguments: str) -> str:
    """Runs a command in `folder`, with the cache in it, and returns what it printed."""
    with commands_here(folder, None) as here:
        done = here(name, *arguments)
    assert done.returncode == 0, f"{name} {arguments}\n{done.stdout[-1000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def line(printed: str, start: str) -> str:
    (found,) = [text.removeprefix(start).strip() for text in printed.splitlines() if text.startswith(start)]
    return found


def run_of(printed: str) -> str:
    return line(printed, "MLflow").rpartition("run ")[2].removesuffix(")")


def dataset(folder: Path) -> list[str]:
    """Overrides that train on patches below `folder`, quoted as Hydra wants it."""
    patches = folder / "patches"
    if not patches.exists():
        write_patches(patches, ("Negative", "Positive"), 30)
    return ["dataset=folder", f'dataset.path="{patches}"', *TINY]


def content(root: Path) -> dict[str, bytes]:
    return {str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()}


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_command_works_in_a_folder_of_any_name(tmp_path: Path, serve_mlflow: Callable[..., str]) -> None:
    folder = tmp_path / "it's (my) a#b 裂縫 50% [x]"
    folder.mkdir()
    job = dataset(folder)
    printed = run(folder, "train", *job, "register=tiny")
    model = run_of(printed)
    sweep = run(folder, "train", "-m", *job, "dropout=0.1,0.4")
    assert "2 trials" in sweep
    compared = line(sweep, "Again")
    run(folder, "compare", *shlex.split(compared)[3:])
    assert (folder / "comparison.html").is_file()
    assert line(run(folder, "evaluate", f"run={model}", *job[:2], "evaluation.resamples=20"), "Open it")
    run(folder, "calibrate", f"model={model}", *job[:2])
    run(folder, "predict", "model=models:/tiny@champion", "input=patches")
    run(folder, "explain", f"model={model}", "input=patches/Positive/000.jpg")
    run(folder, "survey", f"model={model}", "input=patches/Positive/000.jpg", "tile.size=32")
    run(folder, "export", f"model={model}", "formats=[onnx,stablehlo,keras,h5]", 'out="exported"')
    run(folder, "audit", *job[:2], "backbone.alpha=0.35", "backbone.weights=null", "image_size=32")
    run(folder, "cache")

    stopped = stop_in_epoch(folder, "train", *job, "epochs=6", "optimizer.learning_rate=0.01")
    assert run_of(run(folder, "train", *shlex.split(line(stopped, "Resume it"))[3:]))

    looked = shlex.split(line(printed, "Open it"))
    assert looked[:2] == ["mlflow", "ui"]
    assert is_png(serve_mlflow("ui", *looked[2:]), model)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
        patch.setenv("MLFLOW_TRACKING_URI", looked[-1])
        server = serve_mlflow("models serve", "--model-uri", "models:/tiny@champion", "--env-manager", "local")
    request = urllib.request.Request(
        f"{server}/invocations",
        json.dumps({"inputs": [[[[128] * 3] * 32] * 32]}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        assert len(json.load(response)["predictions"]) == 1
    assert [file.name for file in tmp_path.iterdir()] == [folder.name]


def stop_in_epoch(folder: Path, name: str, *arguments: str) -> str:
    """Runs a command that trains, stops it in its third epoch, and returns what it printed."""
    env = {key: value for key, value in os.environ.items() if key != "CRACKEXP_CACHE"}
    with subprocess.Popen(
        words(name, *arguments), cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout
        printed = []
        for text in process.stdout:
            printed.append(text)
            if text.startswith("Epoch 3/"):
                process.send_signal(signal.SIGTERM)
    assert process.returncode == 143, "".join(printed)
    return "".join(printed)


def is_png(ui: str, run_id: str) -> bool:
    """Returns whether the MLflow UI, which may be starting, shows a picture of a run."""
    address = f"{ui}/get-artifact?path=test/confusion_matrix.png&run_uuid={run_id}"
    for _ in range(120):
        try:
            with urllib.request.urlopen(address, timeout=60) as response:
                return bool(response.read().startswith(b"\x89PNG"))
        except urllib.error.HTTPError:
            raise
        except OSError:
            time.sleep(0.5)
    return False


@pytest.mark.parametrize(
    ("name", "character"),
    [("100%20", "%20"), ("a?b", "?"), ("${x}", "${")],
    ids=["escape", "question", "interpolation"],
)
def test_a_folder_that_cannot_be_used_is_refused_at_once(tmp_path: Path, name: str, character: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    done = subprocess.run(words("train"), cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert name in done.stderr
    assert character in done.stderr
    assert [file.name for file in tmp_path.iterdir()] == [name]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_copied_project_is_one_of_its_own(tmp_path: Path) -> None:
    original, copy, moved = tmp_path / "my project", tmp_path / "a copy", tmp_path / "moved 裂縫"
    original.mkdir()
    job = dataset(original)
    model = run_of(run(original, "train", *job, "register=tiny"))
    stopped = stop_in_epoch(original, "train", *job, "epochs=6", "optimizer.learning_rate=0.01")
    before = content(original)

    shutil.copytree(original, copy, symlinks=True)
    run(copy, "predict", f"model={model}", "input=patches")
    run(copy, "evaluate", "run=models:/tiny@champion", *job[:1], "dataset.path=patches", "evaluation.resamples=20")
    run(copy, "survey", f"model={model}", "input=patches/Positive/000.jpg", "tile.size=32")
    run(copy, "compare", model)
    resumed = shlex.split(line(stopped, "Resume it"))[3:]
    printed = run(copy, "train", *resumed)
    assert f"Output      {copy}/outputs/" in printed
    assert "Epoch 1/" not in printed
    assert content(original) == before

    copy.rename(moved)
    (original / "mlruns").rename(tmp_path / "gone")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with subprocess.Popen(words("ui", f"port={port}"), cwd=moved, stderr=subprocess.DEVNULL) as ui:
        try:
            assert is_png(f"http://127.0.0.1:{port}", model)
        finally:
            ui.terminate()
    run(moved, "predict", f"model={model}", "input=patches")
    client = mlflow.MlflowClient(f"sqlite:///{moved}/mlruns/mlflow.db")
    assert client.get_run(run_of(printed)).info.status == "FINISHED"
