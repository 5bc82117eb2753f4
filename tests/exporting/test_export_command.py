"""``python -m crackexp.export`` as users type it: its files, read by what reads them, and how it ends."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import jax
import keras
import mlflow
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx.reference import ReferenceEvaluator

from crackexp.data.images.pixels import decode, resize
from crackexp.data.synthetic import draw_patch
from crackexp.exporting.formats import FORMATS
from tests.conftest import Command

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[2] / "docs" / "export.md").read_text()
OPTIONS = ["out=exported", "log=true"]
EXAMPLES = dict(re.findall(r"^```python file=(\S+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))


@pytest.fixture(scope="module")
def place(model: str, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory, with the model in all formats in exported/, logged too, and printed.txt of what was said."""
    folder = tmp_path_factory.mktemp("place")
    done = subprocess.run(
        [sys.executable, "-m", "crackexp.export", f"model={model}", f"formats=[{','.join(FORMATS)}]", *OPTIONS],
        cwd=folder, env={**os.environ, "CRACKEXP_CACHE": str(cache)},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert not re.search("jax2onnx|legacy|warn", done.stdout + done.stderr, re.IGNORECASE)
    (folder / "printed.txt").write_text(done.stdout)
    return folder


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Drawn patches, other ones than those of the export's own check."""
    return np.stack([draw_patch(9, number, bool(number % 2), 32) for number in range(7)])


@pytest.fixture(scope="module")
def expected(classifier: keras.Model, images: np.ndarray) -> np.ndarray:
    probabilities = classifier.predict(images, verbose=0)
    assert np.ptp(probabilities[:, 1]) > 0.1
    return probabilities


def test_the_files_are_there_and_told(place: Path) -> None:
    printed = (place / "printed.txt").read_text()
    assert sorted(file.name for file in (place / "exported").iterdir()) == sorted(
        ["model.json", *(one.file for one in FORMATS.values())]
    )
    for name, one in FORMATS.items():
        size = (place / "exported" / one.file).stat().st_size
        assert re.search(rf"{name}\W+{re.escape(one.file)}\W+{size:,}\W+\d\.\de-?\+?\d\d", printed)
    assert "Folder      exported\n" in printed


def test_the_card_tells_what_a_user_must_know(place: Path) -> None:
    card = json.loads((place / "exported" / "model.json").read_text())
    assert (card["class_names"], card["positive"], card["threshold"]) == (["Negative", "Positive"], "Positive", 0.5)
    assert card["image_size"] == 32
    assert "uint8 (n, 32, 32, 3)" in card["input"]
    assert set(card["files"]) == {one.file for one in FORMATS.values()}
    for file in card["files"].values():
        assert 0 <= file["largest_difference"] <= FORMATS[file["format"]].tolerance


def test_onnx_takes_any_number_of_pixels_as_they_are(place: Path, images: np.ndarray, expected: np.ndarray) -> None:
    session = onnxruntime.InferenceSession(place / "exported" / "model.onnx")
    (entry,), (answer,) = session.get_inputs(), session.get_outputs()
    assert (entry.name, entry.type, entry.shape[1:]) == ("image", "tensor(uint8)", [32, 32, 3])
    assert (answer.name, answer.type, answer.shape[1:]) == ("probabilities", "tensor(float)", [2])
    for count in (1, 3, 7):
        (probabilities,) = session.run(None, {"image": images[:count]})
        np.testing.assert_allclose(probabilities, expected[:count], atol=1e-5)


def test_onnx_means_the_same_by_the_standards_own_evaluator(
    place: Path, images: np.ndarray, expected: np.ndarray
) -> None:
    """ONNX' reference implementation in NumPy, which is not that of ONNX Runtime."""
    model = onnx.load(place / "exported" / "model.onnx")
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 18)]
    (probabilities,) = ReferenceEvaluator(model).run(None, {"image": images})
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)


def test_onnx_carries_the_card_as_metadata(place: Path) -> None:
    metadata = onnxruntime.InferenceSession(place / "exported" / "model.onnx").get_modelmeta().custom_metadata_map
    card = json.loads((place / "exported" / "model.json").read_text())
    assert json.loads(metadata["class_names"]) == card["class_names"]
    assert metadata["positive"] == card["positive"]
    assert float(metadata["threshold"]) == card["threshold"]
    assert int(metadata["image_size"]) == card["image_size"]
    assert metadata["resize"] == card["resize"]


def test_stablehlo_serves_any_number_on_cpu_and_cuda(place: Path, images: np.ndarray, expected: np.ndarray) -> None:
    data = (place / "exported" / "model.stablehlo").read_bytes()
    program = jax.export.deserialize(bytearray(data))
    assert program.platforms == ("cpu", "cuda")
    for count in (1, 3, 7):
        np.testing.assert_allclose(program.call(images[:count]), expected[:count], atol=1e-5)


@pytest.mark.parametrize("name", ["keras", "h5"])
def test_keras_files_hold_the_very_same_network(
    place: Path, classifier: keras.Model, images: np.ndarray, expected: np.ndarray, name: str
) -> None:
    again = keras.saving.load_model(place / "exported" / FORMATS[name].file, compile=False)
    assert [layer.name for layer in again.layers] == [layer.name for layer in classifier.layers]
    np.testing.assert_array_equal(again.predict(images, verbose=0), expected)


def clean(place: Path, script: str) -> list[str]:
    """Runs a script in `place` where crackexp cannot be imported; returns the lines that it prints."""
    (place / "sitecustomize.py").write_text("import sys; sys.modules['crackexp'] = None")
    environment = {key: value for key, value in os.environ.items() if key != "KERAS_BACKEND"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=place, env={**environment, "PYTHONPATH": str(place)},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("shape", [(40, 60), (227, 227)])
def test_the_example_with_onnx_answers_as_the_classifier(
    place: Path, classifier: keras.Model, shape: tuple[int, int]
) -> None:
    """One photo that is scaled bilinearly, one by area; neither JAX nor Keras is needed."""
    patch = draw_patch(4, 1, True, 227)[: shape[0], : shape[1]]
    cv2.imwrite(str(place / "wall.jpg"), patch[..., ::-1])
    loaded = "\nimport sys; print(sorted({'jax', 'keras', 'onnx'} & sys.modules.keys()))"
    answer, modules = clean(place, EXAMPLES["with_onnx.py"] + loaded)
    pixels = resize(decode((place / "wall.jpg").read_bytes()).pixels, 32)
    probability = classifier.predict(pixels[None], verbose=0)[0, 1]
    assert float(answer.split()[0]) == pytest.approx(probability, abs=1e-5)
    assert answer.split()[1] == ("crack" if probability >= 0.5 else "sound")
    assert modules == "[]"


@pytest.mark.parametrize("example", ["with_jax.py", "with_keras.py"])
def test_the_other_examples_answer_as_the_classifier(
    place: Path, images: np.ndarray, expected: np.ndarray, example: str
) -> None:
    np.save(place / "images.npy", images)
    before, after = "import numpy; images = numpy.load('images.npy')\n", "\nnumpy.save('answer.npy', probabilities)"
    clean(place, before + EXAMPLES[example] + after + "\nimport sys; assert sys.modules['crackexp'] is None")
    np.testing.assert_allclose(np.load(place / "answer.npy"), expected, atol=1e-5)


def test_the_files_are_logged_as_a_run(place: Path) -> None:
    mlflow.set_tracking_uri(f"sqlite:///{place}/mlruns/mlflow.db")
    (run,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert run.info.run_name == "export"
    files = mlflow.MlflowClient().list_artifacts(run.info.run_id, "export")
    assert {Path(file.path).name for file in files} == {"model.json", *(one.file for one in FORMATS.values())}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["model=MODEL", "formats=[onx]"], ["formats.0", "Did you mean 'onnx'?", "override formats=[onx]"]),
        (["model=MODEL", "formats=[]"], ["formats", "at least 1"]),
        (["formats=[onnx]"], ["model has no value", "model=VALUE"]),
        (["model=MODEL", "out=crack.onnx"], ["out is a folder", "model.onnx", "Received: out=crack.onnx"]),
        (["model=foreign"], ["not logged by crackexp", "Received: model=foreign"]),
    ],
)
def test_a_mistake_is_refused_in_a_sentence(
    command_here: Command, model: str, tmp_path: Path, arguments: list[str], words: list[str]
) -> None:
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "MLmodel").write_text("flavors: {}\nmodel_uuid: abc\nrun_id: abc\n")
    done = command_here("export", *(word.replace("MODEL", model) for word in arguments))
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr
    assert not list(tmp_path.rglob("model.onnx"))


@pytest.mark.parametrize(("format_", "package"), [("onnx", "jax2onnx"), ("stablehlo", "flatbuffers")])
def test_a_missing_package_is_told_before_the_model_is_looked_for(
    command: Command, tmp_path: Path, format_: str, package: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text(f"import sys; sys.modules[{package!r}] = None")
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = command("export", "model=nothing", f"formats=[keras,{format_}]", PYTHONPATH=path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert (
        f"Writing {format_} needs {package}, which is not installed. Type pip install 'crackexp[export]'."
        in done.stderr
    )


def test_formats_that_need_no_extra_go_without_it(command: Command, model: str, tmp_path: Path) -> None:
    absent = "'jax2onnx', 'onnx', 'onnxruntime', 'flatbuffers', 'flax'"
    (tmp_path / "sitecustomize.py").write_text(f"import sys; sys.modules |= dict.fromkeys([{absent}])")
    done = command(
        "export", f"model={model}", "formats=[keras]", PYTHONPATH=os.pathsep.join([str(tmp_path), *sys.path])
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_the_real_network_says_the_same_of_real_patches(command_here: Command, real_data: Path, tmp_path: Path) -> None:
    """The recipe's MobileNetV2, trained for an epoch, on 100 patches of Mendeley."""
    sample = real_data / "mendeley-sample"
    data = ["dataset=folder", f"dataset.path={sample}", "dataset.limit=300", "epochs=1"]
    trained = command_here("train", "+experiment=mobilenet", *data)
    assert trained.returncode == 0, trained.stderr
    (file,) = tmp_path.glob("outputs/mobilenet/*/*/result.json")
    model = json.loads(file.read_text())["model_uri"]
    done = command_here("export", f"model={model}", f"formats=[{','.join(FORMATS)}]", "out=exported")
    assert done.returncode == 0, done.stderr

    files = [path for name in ("Positive", "Negative") for path in sorted((sample / name).iterdir())[:50]]
    images = np.stack([resize(decode(path.read_bytes()).pixels, 160) for path in files])
    network = keras.saving.load_model(tmp_path / "exported" / "model.keras", compile=False)
    expected = network.predict(images, verbose=0)
    session = onnxruntime.InferenceSession(tmp_path / "exported" / "model.onnx")
    np.testing.assert_allclose(session.run(None, {"image": images})[0], expected, atol=1e-4)
    program = jax.export.deserialize(bytearray((tmp_path / "exported" / "model.stablehlo").read_bytes()))
    np.testing.assert_allclose(program.call(images), expected, atol=1e-4)
