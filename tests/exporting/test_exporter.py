"""What is kept and what is refused: files that say something else, models that a format cannot hold."""

import json
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from crackexp.data.classes.decisions import Classes, Thresholds
from crackexp.data.synthetic import draw_patch
from crackexp.exporting import exporter
from crackexp.exporting.exporter import export_model
from crackexp.exporting.formats import FORMATS, check_exportable
from crackexp.inference.compilation import keep_programs, set_precision
from crackexp.models.backbone import APPLICATIONS, Application, SmallCNN
from crackexp.models.classifier import build_classifier, embedding_model
from crackexp.models.heads import build_head
from crackexp.tracking.models import LoggedModel
from crackexp.utils.errors import UserError


def logged(classifier: keras.Model, threshold: float = 0.5) -> LoggedModel:
    return LoggedModel(
        classifier, Classes(("Negative", "Positive"), ("Positive",)), Thresholds().moved(threshold), {}, "a run"
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_a_file_that_says_something_else_is_not_kept(
    classifier: keras.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program of the classifier with a bias that is off by a thousandth."""
    export_model(logged(classifier), ["stablehlo"], tmp_path)
    before = contents(tmp_path)
    right = exporter.write_stablehlo

    def wrong(network: keras.Model, file: Path) -> None:
        other = keras.models.clone_model(network)
        kernel, bias = network.get_layer("probabilities").get_weights()
        other.set_weights([*network.get_weights()[:-2], kernel, bias + np.array([0.0, 1e-3])])
        right(other, file)

    monkeypatch.setattr(exporter, "write_stablehlo", wrong)
    with pytest.raises(UserError, match=r"differ by up to 0\.000\d+, more than 0\.0001\. Nothing was exported") as told:
        export_model(logged(classifier, threshold=0.7), ["stablehlo"], tmp_path)
    assert "formats=[onnx,keras,h5]" in str(told.value)
    assert contents(tmp_path) == before


def test_a_file_that_cannot_be_read_is_not_kept(
    classifier: keras.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporter, "write_stablehlo", lambda network, file: file.write_bytes(b"nonsense"))
    with pytest.raises(UserError, match="stablehlo file of this model cannot be read in a clean process"):
        export_model(logged(classifier), ["stablehlo"], tmp_path)
    assert contents(tmp_path) == {}


def test_no_number_is_no_agreement(classifier: keras.Model, tmp_path: Path) -> None:
    broken = keras.models.clone_model(classifier)
    broken.set_weights([np.full(weight.shape, np.nan) for weight in classifier.get_weights()])
    with pytest.raises(UserError, match="differ by up to nan"):
        export_model(logged(broken), ["stablehlo"], tmp_path)


@pytest.mark.slow
def test_a_folder_holds_one_model(classifier: keras.Model, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    export_model(logged(classifier), ["onnx"], tmp_path)
    export_model(logged(classifier), ["stablehlo"], tmp_path)
    assert contents(tmp_path).keys() == {"model.onnx", "model.stablehlo", "model.json", "notes.txt"}
    assert json.loads((tmp_path / "model.json").read_text())["files"].keys() == {"model.onnx", "model.stablehlo"}
    export_model(logged(classifier, threshold=0.7), ["stablehlo"], tmp_path)
    assert contents(tmp_path).keys() == {"model.stablehlo", "model.json", "notes.txt"}
    assert json.loads((tmp_path / "model.json").read_text())["files"].keys() == {"model.stablehlo"}


@pytest.mark.slow
def test_what_jax2onnx_does_not_know_is_told(tmp_path: Path) -> None:
    image = keras.Input((32, 32, 3), dtype="uint8", name="image")
    x = layers.Rescaling(1 / 255)(image)
    x = keras.ops.linalg.qr(x)[0]
    network = keras.Model(image, layers.Dense(2, activation="softmax")(layers.GlobalAveragePooling2D()(x)))
    with pytest.raises(UserError, match=r"onnx file of this model cannot be written \(NotImplementedError: .*qr"):
        export_model(logged(network), ["onnx"], tmp_path)
    assert contents(tmp_path) == {}


@pytest.fixture
def sixteen_bits() -> Iterator[keras.Model]:
    set_precision("mixed_bfloat16")
    yield build_classifier(SmallCNN([4]).build(32, 0), build_head(4, 2, 0.0, 0))
    set_precision("float32")


def test_sixteen_bits_are_for_keras_alone(sixteen_bits: keras.Model) -> None:
    check_exportable(sixteen_bits, ["keras", "h5"])
    for name in ("onnx", "stablehlo"):
        with pytest.raises(UserError, match=rf"{name} cannot hold this model: .* bfloat16") as told:
            check_exportable(sixteen_bits, [name, "keras"])
        assert f"Type formats=[keras,h5]. Received: formats=[{name},keras]" in str(told.value)


class Doubled(layers.Layer):
    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        return 2.0 * inputs


def network_with(part: str) -> keras.Model:
    image = keras.Input((32, 32, 3), dtype="uint8", name="image")
    x = layers.Conv2D(4, 3)(layers.Rescaling(1 / 255)(image))
    x = {"layer": Doubled(), "operation": lambda x: x + 3.0}[part](x)
    return keras.Model(image, layers.Dense(2, activation="softmax")(layers.GlobalAveragePooling2D()(x)))


@pytest.mark.parametrize(
    ("part", "refused", "words"),
    [pytest.param("layer", {"keras", "h5"}, "Doubled", marks=pytest.mark.slow), ("operation", {"h5"}, "Add")],
)
def test_parts_of_ones_own_go_where_they_can(part: str, refused: set[str], words: str, tmp_path: Path) -> None:
    network = network_with(part)
    for name in refused:
        with pytest.raises(UserError, match=rf"{name} cannot hold this model: .*{words}"):
            check_exportable(network, [name])
    possible = [name for name in FORMATS if name not in refused]
    check_exportable(network, possible)
    assert [one.format for one in export_model(logged(network), possible, tmp_path)] == possible


def lively(name: str) -> keras.Model:
    """Returns a classifier with random weights whose activations keep their size, so that its answers differ."""
    backbone = (SmallCNN([4, 8, 16]) if name == "small_cnn" else Application(name)).build(64, 0)
    network = build_classifier(backbone, build_head(backbone.output_shape[-1], 2, 0.3, 0))
    patches = np.stack([draw_patch(3, number, bool(number % 2), 64) for number in range(32)])
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.0
    network(patches, training=True)
    features = embedding_model(network).predict(patches, verbose=0).astype(np.float64)
    towards = features[1::2].mean(axis=0) - features[::2].mean(axis=0)
    towards *= 4 / (towards @ towards)
    kernel = np.stack([-towards, towards], axis=1)
    network.get_layer("probabilities").set_weights([kernel, -features.mean(axis=0) @ kernel])
    return network


@pytest.mark.slow
@pytest.mark.parametrize("name", [*APPLICATIONS, "small_cnn"])
def test_every_backbone_goes_into_every_format(name: str, tmp_path: Path, cache: Path) -> None:
    """What docs/export.md says of them."""
    keep_programs(cache)  # as the command does: the process that reads the files need not compile them again
    network = lively(name)
    check_exportable(network, list(FORMATS))
    exported = export_model(logged(network), list(FORMATS), tmp_path)
    assert [one.format for one in exported] == list(FORMATS)
    assert all(one.difference < 2e-5 for one in exported)
