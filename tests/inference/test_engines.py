"""Engines: the numbers of Keras whatever computes them, the same bits in every batch, and the choice of the fastest."""

import json
import logging
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import jax
import keras
import numpy as np
import pytest
from omegaconf import DictConfig

from crackexp.embeddings.embedder import Embedder
from crackexp.inference.auto import Auto
from crackexp.inference.base import Engine, Forward, UnsupportedNetworkError
from crackexp.inference.engine import padded_batches
from crackexp.inference.onnxruntime import OnnxRuntime
from crackexp.inference.openvino import OpenVino
from crackexp.inference.xla import Xla
from crackexp.models.backbone import Application
from crackexp.models.classifier import embedding_model
from crackexp.sweep.identity import training_digest
from crackexp.utils.errors import ConfigError

SIZE = 32
RNG = np.random.default_rng(0)
ENGINES = {"openvino": OpenVino, "onnxruntime": OnnxRuntime}


@pytest.fixture(scope="module")
def network() -> keras.Model:
    return embedding_model(Application("mobilenet_v2", alpha=0.35).build(SIZE, seed=0))


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return RNG.integers(0, 256, (11, SIZE, SIZE, 3), np.uint8)


def own_network() -> keras.Model:
    """Returns a network with a layer that engines do not know."""

    class Doubled(keras.layers.Layer):
        def call(self, inputs: jax.Array) -> jax.Array:
            return 2 * inputs

    image = keras.Input((8, 8, 3), dtype="uint8")
    x = keras.layers.GlobalAveragePooling2D()(Doubled()(keras.layers.Rescaling(1 / 255)(image)))
    return keras.Model(image, x)


@pytest.mark.parametrize("engine", ENGINES)
def test_engine_has_the_numbers_of_keras(network: keras.Model, images: np.ndarray, engine: str) -> None:
    inference = ENGINES[engine]().inference(network, 4)
    outputs = inference.predict(padded_batches(images, 4), len(images), "Predicting")
    expected = np.asarray(network(images))
    assert outputs.dtype == np.float32
    assert np.abs(outputs - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("engine", ENGINES)
def test_output_has_the_same_bits_whatever_is_beside_it(network: keras.Model, images: np.ndarray, engine: str) -> None:
    inference = ENGINES[engine]().inference(network, 4)
    rows = [images, images[::-1], np.concatenate([images[5:], images[:5]])]
    first, reverse, turned = (inference.predict(padded_batches(part, 4), len(part), "") for part in rows)
    np.testing.assert_array_equal(first, reverse[::-1])
    np.testing.assert_array_equal(first, np.concatenate([turned[-5:], turned[:-5]]))


@pytest.mark.parametrize("engine", ENGINES)
def test_engine_refuses_a_layer_that_it_does_not_know(engine: str) -> None:
    with pytest.raises(UnsupportedNetworkError, match=rf"Doubled.*Type inference=xla.*Received: inference={engine}"):
        ENGINES[engine]().inference(own_network(), 2)


def test_engine_refuses_several_devices(network: keras.Model) -> None:
    with pytest.raises(UnsupportedNetworkError, match="Type inference=xla"):
        OpenVino().inference(network, 2, [jax.local_devices()[0]] * 2)


@pytest.mark.parametrize(("engine", "module"), [("openvino", "openvino"), ("onnxruntime", "onnxruntime")])
def test_engine_that_is_not_installed_is_refused(
    engine: str, module: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("crackexp.utils.extras._installed", lambda name: name != module)
    with pytest.raises(ConfigError, match=rf"pip install 'crackexp\[engines\]'.*inference={engine}"):
        ENGINES[engine]()
    assert engine not in Auto(str(tmp_path)).identity


def test_auto_measures_once_and_says_what_it_took(
    network: keras.Model, images: np.ndarray, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "crackexp")
    first = Auto(str(tmp_path)).inference(network)
    (file,) = tmp_path.glob("engines/*.json")
    kept = json.loads(file.read_text())
    assert kept["images_per_second"].keys() == ENGINES.keys()
    assert min(kept["images_per_second"].values()) > 0
    other = "onnxruntime" if kept["engine"] == "openvino" else "openvino"
    assert first.identity[0] == kept["engine"]
    file.write_text(json.dumps({**kept, "engine": other}))
    assert Auto(str(tmp_path)).inference(network).identity[0] == other
    messages = [record.getMessage() for record in caplog.records if "Computing with" in record.getMessage()]
    assert [message.split()[2] for message in messages] == [kept["engine"], other]


def test_auto_measures_again_where_the_file_is_damaged(network: keras.Model, tmp_path: Path) -> None:
    Auto(str(tmp_path)).inference(network)
    (file,) = tmp_path.glob("engines/*.json")
    file.write_text('{"engine": ["x"], "images_per_second": 3}')
    assert Auto(str(tmp_path)).inference(network).identity[0] in ENGINES
    assert json.loads(file.read_text())["engine"] in ENGINES


def test_auto_takes_xla_for_a_layer_that_others_do_not_know(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "crackexp")
    network = own_network()
    inference = Auto(str(tmp_path)).inference(network, 2)
    pixels = np.full((2, 8, 8, 3), 255, np.uint8)
    np.testing.assert_allclose(inference.predict([pixels], 2, ""), np.full((2, 3), 2.0), rtol=1e-6)
    assert inference.identity == ()
    (message,) = [record.getMessage() for record in caplog.records]
    assert "Computing with xla" in message
    assert "Doubled" in message


def test_auto_leaves_out_an_engine_that_ends_its_process(
    network: keras.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    dies = "import os, signal, sys; sys.argv[2] in {} and os.kill(os.getpid(), signal.SIGFPE)"
    monkeypatch.setattr("crackexp.inference.auto.TRIAL", dies.format(["openvino"]))
    assert Auto(str(tmp_path)).inference(network).identity[0] == "onnxruntime"
    assert re.search("openvino .* is not used: it ends with SIGFPE", caplog.text)
    monkeypatch.setattr("crackexp.inference.auto.TRIAL", "raise ImportError('no libtbb')")
    assert Auto(str(tmp_path / "other")).inference(network).identity == ()
    assert "status 1; ImportError: no libtbb" in caplog.text


def test_auto_takes_xla_for_several_devices(network: keras.Model, tmp_path: Path) -> None:
    inference = Auto(str(tmp_path)).inference(network, 2, [jax.local_devices()[0]] * 2)
    assert inference.identity == ()
    assert len(inference.devices) == 2


def test_embeddings_of_each_engine_have_a_key_of_their_own(tmp_path: Path) -> None:
    backbone = Application("mobilenet_v2", alpha=0.35).build(SIZE, seed=0)
    engines: list[Engine | None] = [None, Xla(), OpenVino(), OnnxRuntime()]
    folders = [Embedder(backbone, SIZE, 4, tmp_path, 1e9, engine=engine).store.folder for engine in engines]
    assert folders[0] == folders[1]
    assert len(set(folders)) == 3


def test_the_engine_is_part_of_the_identity_of_a_training(compose_config: Callable[..., DictConfig]) -> None:
    from crackexp.config.checking import check
    from crackexp.training.config import TrainConfig

    digests = {
        name: training_digest(check(compose_config(f"inference={name}", "tracking=none"), TrainConfig), "data")
        for name in ("xla", "openvino", "onnxruntime", "auto")
    }
    assert len(set(digests.values())) == 4


class Zeros(Engine):
    """An engine of a user's own."""

    name = "zeros"
    version = "1"

    def compile(self, network: keras.Model, batch_size: int, threads: int) -> Callable[[np.ndarray], np.ndarray]:
        return lambda batch: np.zeros((len(batch), *network.output_shape[1:]), np.float32)


def test_an_engine_of_ones_own_is_one_class(compose_config: Callable[..., DictConfig], images: np.ndarray) -> None:
    from crackexp.config.checking import check, instantiate
    from crackexp.training.config import TrainConfig

    cfg = check(compose_config("inference=xla", f"inference._target_={__name__}.Zeros"), TrainConfig)
    network = embedding_model(Application("mobilenet_v2", alpha=0.35).build(SIZE, seed=0))
    inference = instantiate(cfg.inference).inference(network, 4)
    assert not inference.predict(padded_batches(images, 4), len(images), "").any()
    assert inference.identity == ("zeros", "1")


def test_telemetry_of_openvino_is_not_imported() -> None:
    OpenVino().inference(Application("mobilenet_v2", alpha=0.35).build(SIZE, seed=0), 2)
    assert "openvino" in sys.modules
    assert not [name for name in sys.modules if name.startswith("openvino_telemetry.")]


def test_the_first_batch_is_computed_by_one_thread(network: keras.Model, images: np.ndarray) -> None:
    # two threads that make the first calls of OpenVINO at once can wait for each other without end
    callers = []

    class Recorded(Zeros):
        def compile(self, network: keras.Model, batch_size: int, threads: int) -> Forward:
            def forward(batch: np.ndarray) -> np.ndarray:
                callers.append(threading.current_thread())
                return batch

            return forward

    inference = Recorded().inference(network, 4)
    assert callers == [threading.main_thread()]
    assert len(list(inference.stream(padded_batches(images, 4)))) == 3
    assert len(callers) == 4
