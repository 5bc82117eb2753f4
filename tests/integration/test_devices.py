"""``trainer.devices=N`` and several processes train what one device trains."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest
from omegaconf import DictConfig

from crackexp.train import train
from tests.conftest import TINY, Command

EIGHT = "--xla_force_host_platform_device_count=8"
FINETUNE = [
    *TINY,
    "trainer=finetune",
    "trainer.epochs=2",
    "trainer.unfreeze_from=null",
    "trainer.learning_rate=0.01",
    "optimizer.learning_rate=0.05",
    "callbacks.early_stopping=null",
]
THE_END = "trainer.unfreeze_from=block_13_expand"
"""The end of the network, in which every kind of its layers stands, and whose step is compiled in half the time."""
SAME_BITS = """
import jax, keras, numpy as np
from crackexp.inference.engine import Inference

image = keras.Input((32, 32, 3), dtype="uint8")
features = keras.layers.Conv2D(32, 3)(keras.layers.Rescaling(1 / 255, dtype="float32")(image))
model = keras.Model(image, keras.layers.Dense(16)(keras.layers.GlobalAveragePooling2D()(features)))
images = np.random.default_rng(0).integers(0, 256, (24, 32, 32, 3), np.uint8)
one, all = (Inference(model, 2, devices).predict(np.split(images, 12), 24, "") for devices in (None, jax.devices()))
assert len(jax.devices()) == 8 and one.any()
np.testing.assert_array_equal(one, all)
"""

Start = Callable[..., list[subprocess.Popen[str]]]


@pytest.fixture
def start(tmp_path: Path, cache: Path, patches: Path) -> Start:
    """Starts ``python -m crackexp.train ARGUMENTS`` on the patches as two processes that train one run."""

    def begin(*arguments: str) -> list[subprocess.Popen[str]]:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{probe.getsockname()[1]}"
        variables = {"KERAS_DISTRIBUTION_JOB_ADDRESSES": address, "KERAS_DISTRIBUTION_NUM_PROCESSES": "2"}
        return [
            subprocess.Popen(
                [sys.executable, "-m", "crackexp.train", *arguments],
                cwd=tmp_path,
                env={
                    **os.environ,
                    **variables,
                    "CRACKEXP_CACHE": str(cache),
                    "KERAS_DISTRIBUTION_PROCESS_ID": f"{number}",
                },
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for number in range(2)
        ]

    return begin


def metrics(folder: Path) -> dict[str, float]:
    """Returns the metrics of a run without its times."""
    found: dict[str, float] = json.loads((folder / "result.json").read_text())["metrics"]
    return {name: value for name, value in found.items() if not name.startswith("time/")}


def runs(folder: Path) -> list[tuple[str, str]]:
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlruns/mlflow.db")
    return [
        (run.info.run_id, run.info.status)
        for run in mlflow.search_runs(search_all_experiments=True, output_format="list")
    ]


@pytest.mark.slow
def test_an_output_has_the_same_bits_on_eight_devices_as_on_one() -> None:
    environment = {**os.environ, "XLA_FLAGS": EIGHT, "KERAS_BACKEND": "jax"}
    subprocess.run([sys.executable, "-c", SAME_BITS], env=environment, check=True, timeout=120)


def same_on_eight_on_three_and_on_one(command: Command, folder: Path, *arguments: str) -> dict[str, float]:
    """Trains on 8, 3 and 1 virtual devices in ``sweep``, compares the metrics, and returns those of one."""
    done = command("train", "-m", *arguments, "trainer.devices=8,3,1", "hydra.sweep.dir=sweep", XLA_FLAGS=EIGHT)
    assert done.returncode == 0, done.stdout + done.stderr
    eight, three, one = (metrics(folder / "sweep" / f"{cell}") for cell in range(3))
    assert eight == pytest.approx(one, rel=1e-5, nan_ok=True)
    assert three == pytest.approx(one, rel=1e-5, nan_ok=True)
    return one


@pytest.mark.slow
def test_a_head_is_the_same_on_eight_on_three_and_on_one_device(
    command: Command, patches: Path, tmp_path: Path
) -> None:
    arguments = [*TINY, "dataset=folder", f"dataset.path={patches}", "optimizer.learning_rate=0.05", "batch_size=10"]
    one = same_on_eight_on_three_and_on_one(command, tmp_path, *arguments)
    assert "shared by 8 devices" in (tmp_path / "sweep" / "0" / "console.log").read_text()
    assert "shared by" not in (tmp_path / "sweep" / "2" / "console.log").read_text()
    assert abs(one["val/loss"] - one["val/loss_before"]) > 1e-4


@pytest.mark.slow
def test_a_finetuning_is_the_same_on_eight_on_three_and_on_one_device(
    command: Command, patches: Path, tmp_path: Path
) -> None:
    arguments = [*FINETUNE, THE_END, "dataset=folder", f"dataset.path={patches}"]
    same_on_eight_on_three_and_on_one(command, tmp_path, *arguments)


@pytest.mark.slow
def test_two_processes_train_one_run_and_go_on_where_one_of_them_was_killed(
    start: Start, command: Command, patches: Path, tmp_path: Path
) -> None:
    arguments = [*FINETUNE, "dataset=folder", f"dataset.path={patches}"]
    done = command("train", *arguments, "tracking=none", "paths.output=alone")
    assert done.returncode == 0, done.stdout + done.stderr

    first, second = start(*arguments, "paths.output=together")
    with second:
        assert second.stdout
        for line in second.stdout:
            if line.startswith("Epoch 4/4"):
                second.kill()
    output = first.communicate(timeout=120)[0]
    assert first.returncode == 1, output
    ((run_id, status),) = runs(tmp_path)
    assert status == "FAILED"
    assert f"resume={run_id}" in output

    assert not (tmp_path / "together" / "result.json").exists()

    for process in start(f"resume={run_id}"):
        output = process.communicate(timeout=240)[0]
        assert process.returncode == 0, output
    assert runs(tmp_path) == [(run_id, "FINISHED")]
    together = metrics(tmp_path / "together")
    assert together == pytest.approx(metrics(tmp_path / "alone"), rel=1e-5, nan_ok=True)
    assert metrics(tmp_path / "together" / "process1") == together


@pytest.mark.parametrize(
    ("arguments", "variables", "words"),
    [
        (["trainer.devices=9"], {"XLA_FLAGS": EIGHT}, ["has 8", "device_count=9", "trainer.devices=9"]),
        (["trainer.devices=0"], {}, ["trainer.devices", "0"]),
        (["trainer=scratch", "trainer.devices=3"], {"XLA_FLAGS": EIGHT}, ["multiple of 3", "batch_size=8"]),
        ([], {"KERAS_DISTRIBUTION_NUM_PROCESSES": "2"}, ["JOB_ADDRESSES", "Received: KERAS_DISTRIBUTION_NUM"]),
        (["-m", "seed=1,2"], {"KERAS_DISTRIBUTION_PROCESS_ID": "0"}, ["hydra/launcher", "-m"]),
    ],
)  # fmt: skip
@pytest.mark.slow
def test_what_cannot_be_shared_is_refused(
    command: Command, patches: Path, arguments: list[str], variables: dict[str, str], words: list[str]
) -> None:
    done = command("train", *arguments, *TINY, "dataset=folder", f"dataset.path={patches}", **variables)
    assert done.returncode in (1, 2)
    for word in words:
        assert word in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_network_that_no_device_needs_swapped_is_trained_calibrated_and_logged_alike(
    compose_config: Callable[..., DictConfig], patches: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg = compose_config("dataset=folder", f"dataset.path={patches}", *FINETUNE)
    swapped = train(cfg)
    monkeypatch.setattr("crackexp.inference.engine.for_cpu", lambda model: model)
    itself = train(cfg)
    assert itself["policy/temperature"] != 1
    for name in ("train/loss", "val/loss", "test/log_loss"):
        assert itself[name] == pytest.approx(swapped[name], abs=1e-3), name
