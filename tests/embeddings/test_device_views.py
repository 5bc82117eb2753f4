"""Views made on the device: the host's within 2 gray levels, of images that are read once."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from crackexp.data.augmentation import Augmentation, View
from crackexp.data.datamodule import DataModule
from crackexp.data.transforms import RandomFlip, RandomRotation
from crackexp.embeddings import device_views
from crackexp.embeddings.device_views import DeviceViews
from crackexp.training.checkpoint import Checkpointer
from crackexp.training.frozen import FrozenTrainer
from crackexp.utils.timer import Timer
from tests.training.conftest import MakeData, MakeModule

BATCH = 8
TURNED = Augmentation({"flip": RandomFlip("horizontal"), "turn": RandomRotation(0.2)})
NEAREST = Augmentation({"flip": RandomFlip("horizontal"), "turn": RandomRotation(0.2, interpolation="nearest")})
SEVERAL_DEVICES = """
import sys
from pathlib import Path
import jax, numpy as np
from crackexp.data.augmentation import Augmentation, View
from crackexp.data.datamodule import DataModule
from crackexp.data.sources import ImageFolder
from crackexp.data.splits.ratio_split import RatioSplit
from crackexp.data.transforms import RandomFlip, RandomRotation
from crackexp.embeddings.device_views import DeviceViews

patches, cache = sys.argv[1:]
augmentation = Augmentation({"flip": RandomFlip("horizontal"), "turn": RandomRotation(0.2)})
dataset = ImageFolder(name="patches", path=patches, positive=None, limit=None, on_bad_file="error", cache=cache)
data = DataModule(dataset, RatioSplit(ratio=[0.6, 0.2, 0.2], seed=1, cache=cache), augmentation, 32, 8, 0)
data.prepare()
data.setup()
assert len(jax.devices()) == 3
one, all = (DeviceViews("device", data, devices, Path(cache)) for devices in (jax.devices()[:1], jax.devices()))
for number in range(2):
    view = View(augmentation, 0, number)
    expected, batches = list(one.batches(data.train, 8, view)), list(all.batches(data.train, 8, view))
    assert [batch.devices() for batch in batches] == [{jax.devices()[i % 3]} for i in range(len(batches))]
    np.testing.assert_array_equal(np.concatenate(expected), np.concatenate(batches))
"""


class ReadImages:
    """A datamodule's `images`, which counts the images that are read."""

    def __init__(self, data: DataModule) -> None:
        self.read = 0
        self.images = data.images
        data.images = self  # type: ignore[method-assign,assignment]

    def __call__(self, index: Any, batch_size: int, view: View | None = None) -> Any:
        self.read += len(index)
        return self.images(index, batch_size, view)


def close(batches: Any, data: DataModule, view: View) -> bool:
    """Returns whether the batches are the views of the training images as the host makes them."""
    count = len(data.train)
    on_device = np.concatenate([np.asarray(batch) for batch in batches])[:count]
    on_host = np.concatenate(list(data.images(data.train, BATCH, view)))[:count]
    return bool(np.abs(on_host.astype(int) - on_device).max() <= 2)


def test_views_of_several_epochs_are_made_of_images_that_were_read_once(make_data: MakeData, tmp_path: Path) -> None:
    data = make_data()
    views = DeviceViews("device", data, jax.devices()[:1], tmp_path)
    read = ReadImages(data)
    for number in range(3):
        view = View(TURNED, 0, number)
        batches = list(views.batches(data.train, BATCH, view))
        assert read.read == len(data.train)
        data.images = read.images  # type: ignore[method-assign]
        assert close(batches, data, view)
        data.images = read  # type: ignore[method-assign,assignment]
    views.release()
    list(views.batches(data.train, BATCH, View(TURNED, 0, 0)))
    assert read.read == 2 * len(data.train)


def test_images_that_do_not_fit_are_read_again(
    make_data: MakeData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_data()
    monkeypatch.setattr(device_views, "KEPT_BYTES", 2 * BATCH * 32 * 32 * 3)
    views = DeviceViews("device", data, jax.devices()[:1], tmp_path)
    read = ReadImages(data)
    first, second = (list(views.batches(data.train, BATCH, View(TURNED, 0, number))) for number in range(2))
    assert read.read == 2 * len(data.train) - 2 * BATCH
    data.images = read.images  # type: ignore[method-assign]
    assert close(first, data, View(TURNED, 0, 0))
    assert close(second, data, View(TURNED, 0, 1))


def test_auto_is_the_host_on_cpu(make_data: MakeData, tmp_path: Path) -> None:
    data = make_data()
    assert not DeviceViews("auto", data, jax.devices()[:1], tmp_path).used_for(View(TURNED, 0, 0), data.train, BATCH)


def test_what_a_device_cannot_do_is_done_by_the_host_and_said_once(
    make_data: MakeData, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = make_data()
    views = DeviceViews("device", data, jax.devices()[:1], tmp_path)
    with caplog.at_level(logging.INFO, device_views.__name__):
        assert not any(views.used_for(View(NEAREST, 0, number), data.train, BATCH) for number in range(3))
    (line,) = caplog.messages
    assert "turn" in line
    assert "flip" not in line


def test_what_is_faster_is_measured_once_and_said(
    make_data: MakeData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    data = make_data()
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")

    def used() -> bool:
        views = DeviceViews("auto", data, jax.devices()[:1], tmp_path)
        return views.used_for(View(TURNED, 0, 0), data.train, BATCH)

    read = ReadImages(data)
    with caplog.at_level(logging.INFO, device_views.__name__):
        measured = used()
    (line,) = caplog.messages
    assert ("on the device:" in line) == measured
    (file,) = (tmp_path / "engines").glob("views-*.json")
    rates = json.loads(file.read_text())
    assert measured == (rates["device"] > rates["host"])
    count = read.read
    assert used() == measured
    assert read.read == count
    file.write_text(json.dumps({"host": 1.0, "device": 2.0}))
    assert used()
    file.write_text("{")
    assert used() in (True, False)
    assert json.loads(file.read_text()).keys() == {"host", "device"}


def test_a_head_is_fitted_on_views_of_the_device_and_stores_them_by_their_own_key(
    make_data: MakeData, make_module: MakeModule, arguments: dict[str, Any], tmp_path: Path
) -> None:
    histories = {}
    for where in ("host", "device"):
        trainer = FrozenTrainer(epochs=2, augment_on=where, **arguments)  # type: ignore[arg-type]
        module, data = make_module(), make_data()
        trainer.setup(lambda module=module: module, data, Timer())
        histories[where] = trainer.fit((), lambda metrics, step: None, Checkpointer("", None, "", "")).metrics
    tables = {folder.name for folder in (tmp_path / "embeddings").glob("*/*/")}
    keys = {data.view(epoch).key for epoch in range(2)}
    assert tables == {"plain", *keys, *(f"{key}-device" for key in keys)}
    for name, values in histories["host"].items():
        np.testing.assert_allclose(histories["device"][name], values, rtol=1e-2, atol=1e-3)


@pytest.mark.slow
def test_several_devices_make_the_views_of_one(patches: Path, tmp_path: Path) -> None:
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=3", "KERAS_BACKEND": "jax"}
    command = [sys.executable, "-c", SEVERAL_DEVICES, str(patches), str(tmp_path)]
    subprocess.run(command, env=environment, check=True, timeout=120)
