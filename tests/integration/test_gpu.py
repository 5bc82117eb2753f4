"""On a GPU each command answers as on the CPU of the same machine, within rounding; skipped where JAX finds none."""

import importlib.util
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import mlflow
import numpy as np
import pandas as pd
import pytest

from crackexp.data.synthetic import draw_patch
from crackexp.sweep.resources import visible_devices
from tests.conftest import write_patches

JOB = [
    "+experiment=mobilenet",
    "dataset.count=600",
    "image_size=96",
    "epochs=3",
    "optimizer.learning_rate=0.005",
    "evaluation.resamples=50",
]
ON_GPU = "cuda,cpu"
CLOSE = 1e-4
"""Of probabilities in float32 on two devices."""
WITH_JAX = """
import jax, numpy as np, pathlib

model = jax.export.deserialize(bytearray(pathlib.Path("exported/model.stablehlo").read_bytes()))
np.save(jax.devices()[0].platform, jax.jit(model.call)(np.load("images.npy")))
"""

GPUS = visible_devices(os.environ | {"JAX_PLATFORMS": ON_GPU}) if importlib.util.find_spec("jax_cuda13_plugin") else []
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not GPUS, reason="There is no GPU that JAX computes on")]
Run = Callable[..., str]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder where all commands run."""
    return tmp_path_factory.mktemp("gpu")


@pytest.fixture(scope="module")
def run(root: Path, cache: Path) -> Run:
    """Runs ``python -m crackexp.NAME ARGUMENTS``, which has to succeed, on `device` and returns what it said."""

    def done(name: str, *arguments: str, device: str = ON_GPU) -> str:
        words = [sys.executable, "-m", f"crackexp.{name}", *arguments]
        memory = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}  # other workers' tests have the same GPU
        variables = {**os.environ, **memory, "CRACKEXP_CACHE": str(cache), "JAX_PLATFORMS": device}
        ended = subprocess.run(words, cwd=root, env=variables, capture_output=True, text=True, timeout=400, check=False)
        assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-3000:]
        return ended.stdout

    return done


@pytest.fixture(scope="module")
def model(run: Run, root: Path) -> str:
    """The id of a run of the main job on the GPU."""
    run("train", *JOB, "hydra.run.dir=gpu")
    return result(root / "gpu")["run_id"]


def result(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "result.json").read_text())


def metrics(folder: Path) -> dict[str, float]:
    return result(folder)["metrics"]


def test_the_job_reaches_on_a_gpu_what_it_reaches_on_a_cpu(run: Run, root: Path, model: str) -> None:
    run("train", *JOB, "hydra.run.dir=cpu", device="cpu")
    store = mlflow.MlflowClient(f"sqlite:///{root}/mlruns/mlflow.db")
    named = [store.get_run(result(root / device)["run_id"]).data.tags["hardware.device"] for device in ("gpu", "cpu")]
    assert "NVIDIA" in named[0]
    assert "cpu" in named[1]
    gpu, cpu = metrics(root / "gpu"), metrics(root / "cpu")
    for name in ("train/loss", "val/loss", "test/log_loss", "test/brier", "test/roc_auc", "policy/temperature"):
        assert gpu[name] == pytest.approx(cpu[name], abs=1e-3), name
    assert gpu["test/roc_auc"] > 0.9


def test_patches_are_judged_as_on_a_cpu(run: Run, root: Path, model: str) -> None:
    write_patches(root / "patches", ("Negative", "Positive"), 40, 227)
    tables = {}
    for device in ("cuda", "cpu"):
        run("predict", f"model={model}", "input=patches", f"out={device}.csv", device=device)
        tables[device] = pd.read_csv(root / f"{device}.csv")
    gpu, cpu = tables["cuda"], tables["cpu"]
    assert gpu["path"].tolist() == cpu["path"].tolist()
    np.testing.assert_allclose(gpu["probability"], cpu["probability"], atol=CLOSE)
    assert gpu["decision"].tolist() == cpu["decision"].tolist()


def test_photos_are_judged_as_on_a_cpu(run: Run, root: Path, model: str) -> None:
    (root / "photos").mkdir()
    rows = [np.hstack([draw_patch(3, 5 * row + column, row == 2, 227) for column in range(5)]) for row in range(4)]
    cv2.imwrite(str(root / "photos" / "wall.jpg"), np.vstack(rows)[..., ::-1])
    tiles = {}
    for device in ("cuda", "cpu"):
        run("survey", f"model={model}", "input=photos", f"out=survey_{device}", device=device)
        (table,) = (root / f"survey_{device}").rglob("*.tiles.csv")
        tiles[device] = pd.read_csv(table)
    assert len(tiles["cuda"]) > 20
    pd.testing.assert_frame_equal(tiles["cuda"], tiles["cpu"], rtol=0, atol=CLOSE)


def test_an_exported_program_computes_the_same_on_both(run: Run, root: Path, model: str) -> None:
    run("export", f"model={model}", "formats=[stablehlo]", "out=exported")
    np.save(root / "images.npy", np.stack([draw_patch(5, number, number % 2 == 0, 96) for number in range(20)]))
    for device in ("cuda", "cpu"):
        words = [sys.executable, "-c", WITH_JAX]
        subprocess.run(words, cwd=root, env={**os.environ, "JAX_PLATFORMS": device}, check=True, timeout=200)
    gpu, cpu = np.load(root / "gpu.npy"), np.load(root / "cpu.npy")
    assert gpu.shape == (20, 2)
    np.testing.assert_allclose(gpu, cpu, atol=CLOSE)


def test_views_of_the_gpu_train_what_those_of_the_host_train(run: Run, root: Path) -> None:
    for where in ("host", "device"):
        run("train", *JOB, f"trainer.augment_on={where}", "tracking=none", f"hydra.run.dir=augment_on_{where}")
    host, device = metrics(root / "augment_on_host"), metrics(root / "augment_on_device")
    for name in ("train/loss", "val/loss", "test/log_loss", "test/roc_auc"):
        assert device[name] == pytest.approx(host[name], abs=5e-3), name


@pytest.mark.parametrize("precision", ["float32", "tensorfloat32", "mixed_bfloat16", "mixed_float16"])
def test_a_backbone_is_trained_in_each_precision(run: Run, root: Path, precision: str) -> None:
    words = [*JOB, "trainer=finetune", "trainer.epochs=2", f"trainer.precision={precision}"]
    run("train", *words, f"hydra.run.dir={precision}")
    found = metrics(root / precision)
    assert all(map(math.isfinite, found.values()))
    assert found["test/roc_auc"] > 0.9


def test_processes_of_a_sweep_share_a_gpu(run: Run, root: Path) -> None:
    run("train", "-m", *JOB, "dropout=0.1,0.4", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "tracking=none")
    found = [metrics(file.parent) for file in sorted(root.glob("multirun/**/[0-9]*/result.json"))]
    assert len(found) == 2
    assert all(cell["test/roc_auc"] > 0.9 for cell in found)
