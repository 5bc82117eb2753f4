"""``mlflow models serve`` on a logged model, asked over HTTP where crackexp cannot be imported."""

import base64
import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import pytest

from crackexp.data.images.pixels import decode, resize
from crackexp.data.synthetic import draw_patch

pytestmark = pytest.mark.slow

BLOCK = """
import sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "crackexp":
            raise ImportError("crackexp is not to be imported here")

sys.meta_path.insert(0, Block())
"""

README = Path(__file__).parents[2] / "README.md"
Ask = Callable[[Any], tuple[int, Any]]


@pytest.fixture(scope="module")
def server(model: str, serve_mlflow: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of the model's server."""
    folder = tmp_path_factory.mktemp("block")
    (folder / "sitecustomize.py").write_text(BLOCK)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        patch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
        patch.delenv("KERAS_BACKEND", raising=False)
        return serve_mlflow("models serve", "--model-uri", model, "--env-manager", "local")


@pytest.fixture(scope="module")
def ask(server: str) -> Ask:
    """Posts JSON to the server, and returns the status and the answer."""

    def post(payload: Any) -> tuple[int, Any]:
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        request = urllib.request.Request(f"{server}/invocations", data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    return post


@pytest.fixture(scope="module")
def files() -> list[bytes]:
    """JPEG files of other shapes than the model's."""
    patches = [draw_patch(5, number, bool(number % 2), 48 + number)[: 40 + number] for number in range(5)]
    return [cv2.imencode(".jpg", patch[..., ::-1])[1].tobytes() for patch in patches]


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def expected(classifier: keras.Model, files: list[bytes]) -> np.ndarray:
    return classifier.predict(np.stack([resize(decode(file).pixels, 32) for file in files]), verbose=0)[:, 1]


def test_jpeg_files_in_base64_are_answered(ask: Ask, files: list[bytes], classifier: keras.Model) -> None:
    for payload in (
        {"inputs": [base64_of(file) for file in files]},
        {"inputs": {"image": [base64_of(file) for file in files]}},
        {"dataframe_records": [{"image": base64_of(file)} for file in files]},
        {"dataframe_split": {"columns": ["image"], "data": [[base64_of(file)] for file in files]}},
    ):
        status, answer = ask(payload)
        assert status == 200, answer
        rows = answer["predictions"]
        np.testing.assert_allclose([row["probability"] for row in rows], expected(classifier, files), atol=1e-5)
        for row in rows:
            assert row["decision"] == ("crack" if row["probability"] >= 0.5 else "sound")
            assert row["label"] == ("Positive" if row["probability"] > 0.5 else "Negative")


def test_the_line_of_the_readme_is_answered(
    server: str, files: list[bytes], classifier: keras.Model, tmp_path: Path
) -> None:
    (line,) = re.findall(r"^\(printf .*\n.*curl.*$", README.read_text(), re.MULTILINE)
    (tmp_path / "PATCH.jpg").write_bytes(files[1])
    typed = line.replace("http://127.0.0.1:5001", server)
    done = subprocess.run(["bash", "-c", typed], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    (row,) = json.loads(done.stdout)["predictions"]
    assert row["probability"] == pytest.approx(expected(classifier, files[1:2])[0], abs=1e-5)


def test_arrays_of_any_size_and_a_threshold_are_taken(ask: Ask, files: list[bytes], classifier: keras.Model) -> None:
    status, answer = ask({"inputs": [decode(files[0]).pixels.tolist()], "params": {"threshold": 0.0}})
    assert status == 200, answer
    (row,) = answer["predictions"]
    assert row["probability"] == pytest.approx(expected(classifier, files[:1])[0], abs=1e-5)
    assert row["decision"] == "crack"


def test_no_file_is_opened_that_a_client_names(ask: Ask, files: list[bytes], tmp_path: Path) -> None:
    (tmp_path / "wall.jpg").write_bytes(files[0])
    for payload in (
        lambda name: {"inputs": [name]},
        lambda name: {"inputs": {"path": [name]}},
        lambda name: {"dataframe_split": {"columns": ["path"], "data": [[name]]}},
    ):
        there, missing = ask(payload(str(tmp_path / "wall.jpg"))), ask(payload(str(tmp_path / "none.jpg")))
        assert there[0] == 400
        assert "files are not read here" in there[1]
        assert there == (missing[0], missing[1].replace("none", "wall"))


BAD = [
    ({"inputs": ["no base64!"]}, "no base64"),
    ({"inputs": [base64_of(b"%PDF-1.7")]}, "not a JPEG"),
    ({"inputs": [[1, 2, 3]]}, "shape=(1, 3)"),
    ({"inputs": [[[[1, 2]]]]}, "must be an array"),
    ({"inputs": [[[[300, 0, 0]]]]}, "from 0 to 255"),
    ({"inputs": [[[["a", "b", "c"]]]]}, "no array of numbers"),
    ({"inputs": [None]}, "Image 0"),
    ({"inputs": {"photo": ["abc"]}}, "Received: ['photo']"),
    ({"dataframe_records": [{"picture": "abc"}]}, "Received: ['picture']"),
    ({"inputs": [base64_of(b"")], "params": {"threshold": "high"}}, "threshold"),
    ({"images": []}, "inputs"),
    (b"{", "JSON"),
]


@pytest.mark.parametrize(("payload", "words"), BAD, ids=[words for _, words in BAD])
def test_bad_input_is_answered_by_a_sentence_and_the_server_stays_up(
    ask: Ask, files: list[bytes], payload: Any, words: str
) -> None:
    status, answer = ask(payload)
    assert 400 <= status < 500, answer
    assert words in answer
    assert ask({"inputs": [base64_of(files[0])]})[0] == 200
