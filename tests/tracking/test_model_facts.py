"""The metadata and files of a logged model are checked before it is used."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import mlflow
import numpy as np
import pytest
import yaml

from crackexp.data.classes.decisions import Classes
from crackexp.models.backbone import SmallCNN
from crackexp.models.classifier import build_classifier
from crackexp.models.heads import build_head
from crackexp.tracking.model_facts import ModelFacts
from crackexp.tracking.models import LoggedModel, load
from crackexp.utils.errors import UserError
from tests.tracking.test_logger import make_logger

FACTS = {"class_names": ["Negative", "Positive"], "positive": "Positive", "threshold": 0.5, "unsure_from": 0.25}
Edit = Callable[..., Path]


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a logged model of two classes; not to be changed."""
    logger = make_logger(tmp_path_factory.mktemp("logged"))
    with logger.run("a run", {}):
        logger.log_model(build_classifier(SmallCNN([4]).build(32, 0), build_head(4, 2, 0.3, 0)), FACTS)
    (file,) = (Path(str(logger.artifacts)) / "models").rglob("MLmodel")
    return file.parent


@pytest.fixture
def edit(logged: Path, tmp_path: Path) -> Edit:
    """Copies the model and changes its metadata; a value of None takes a key away."""

    def edit(**changes: Any) -> Path:
        folder = shutil.copytree(logged, tmp_path / "model", dirs_exist_ok=True)
        content = yaml.safe_load((folder / "MLmodel").read_text())
        for key, value in changes.items():
            content["metadata"].pop(key) if value is None else content["metadata"].update({key: value})
        (folder / "MLmodel").write_text(yaml.safe_dump(content))
        return folder

    return edit


def opened(folder: Path) -> LoggedModel:
    return load(str(folder), None, "model")


def test_a_model_as_it_was_logged_is_used(edit: Edit) -> None:
    found = opened(edit())
    assert found.classes == Classes(("Negative", "Positive"), ("Positive",))
    assert (found.thresholds.crack, found.thresholds.unsure) == (0.5, 0.25)
    assert set(found.facts.sha256) == {"model.keras", "model.h5", "pixels.py", "model_facts.py", "saved.py"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"threshold": float("nan")}, "threshold"),
        ({"threshold": float("inf")}, "threshold"),
        ({"threshold": 7}, "threshold"),
        ({"threshold": -1}, "threshold"),
        ({"threshold": "half"}, "threshold"),
        ({"threshold": True}, "threshold"),
        ({"unsure_from": 0.9}, "unsure_from"),
        ({"unsure_from": -0.1}, "unsure_from"),
        ({"class_names": ["Negative", "Positive", "Other"], "positive": ["Positive"]}, "3 classes"),
        ({"class_names": ["Positive", "Positive"]}, "one name"),
        ({"class_names": "Positive"}, "class_names"),
        ({"class_names": ["Positive", 3]}, "class_names"),
        ({"class_names": ["Positive"]}, "class_names"),
        ({"class_names": None}, "not logged by crackexp"),
        ({"positive": None}, "positive: is missing"),
        ({"positive": "Crack"}, "positive"),
        ({"positive": 1}, "positive"),
        ({"positive": []}, "positive"),
        ({"positive": ["Negative", "Positive"]}, "positive"),
        ({"positive": ["Positive", "Positive"]}, "positive"),
        ({"image_size": 64}, "image_size"),
        ({"sha256": {"model.keras": "0" * 64}}, "checksum"),
        ({"sha256": "none"}, "sha256"),
        ({"threshold": 0.4}, "checksum"),
        ({"class_names": ["Positive", "Negative"]}, "checksum"),
    ],
)
def test_metadata_that_cannot_be_are_refused_in_a_sentence(edit: Edit, changes: dict[str, Any], words: str) -> None:
    if words not in ("checksum", "not logged by crackexp"):
        changes = {"checksum": None, **changes}
    with pytest.raises(UserError) as refused:
        opened(edit(**changes))
    assert words in str(refused.value)
    assert "Received: model=" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_models_of_earlier_versions_are_used(edit: Edit) -> None:
    found = opened(edit(sha256=None, checksum=None, unsure_from=None))
    assert (found.thresholds.crack, found.thresholds.unsure) == (0.5, 0.5)
    assert opened(edit(sha256=None, checksum=None, unsure_from=None, threshold=None)).thresholds.crack == 0.5


@pytest.mark.parametrize("digest", [True, False], ids=["known", "of an earlier version"])
@pytest.mark.parametrize("damage", ["cut", "text", "missing", "another model"])
def test_another_file_of_weights_is_refused(edit: Edit, digest: bool, damage: str) -> None:
    folder = edit() if digest else edit(sha256=None, checksum=None)
    file = folder / "artifacts" / "model.keras"
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-200])
    elif damage == "text":
        file.write_text("no model")
    elif damage == "missing":
        file.unlink()
    else:
        build_classifier(SmallCNN([4]).build(32, 1), build_head(4, 2 if digest else 3, 0.3, 1)).save(file)
    with pytest.raises(UserError, match=r"not as it was logged.*Received: model="):
        opened(folder)


@pytest.mark.parametrize(
    "content", ["", "metadata: [", "- a\n- b\n", "metadata: 3\n", "\x00", "flavors: {}\nrun_id: [1"]
)
def test_a_file_that_is_no_mlmodel_is_refused(edit: Edit, content: str) -> None:
    folder = edit()
    (folder / "MLmodel").write_text(content)
    with pytest.raises(UserError, match="Received: model="):
        opened(folder)


@pytest.mark.parametrize("file", ["model.keras", "pixels.py", "model_facts.py", "saved.py"])
def test_a_served_model_checks_its_files(edit: Edit, file: str) -> None:
    folder = edit()
    image = np.zeros((1, 32, 32, 3), np.uint8)
    assert len(mlflow.pyfunc.load_model(str(folder)).predict(image)) == 1
    place = folder / "artifacts" / file
    place.write_bytes(place.read_bytes() + b"\n")
    with pytest.raises(mlflow.MlflowException, match=f"{file} is not the file"):
        mlflow.pyfunc.load_model(str(folder))


@pytest.mark.parametrize("changes", [{"threshold": 7}, {"threshold": 0.4}, {"class_names": ["Positive", "Negative"]}])
def test_a_served_model_checks_its_metadata(edit: Edit, changes: dict[str, Any]) -> None:
    with pytest.raises(
        mlflow.MlflowException, match=next(iter(changes)) if changes == {"threshold": 7} else "checksum"
    ):
        mlflow.pyfunc.load_model(str(edit(**changes)))


def test_facts_that_cannot_be_are_not_logged(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="threshold"):
        ModelFacts.read({**FACTS, "threshold": float("nan")})


def test_the_largest_threshold_forbids_any_alarm() -> None:
    top = float(np.nextafter(np.float32(1), np.float32(2)))
    assert ModelFacts.read({**FACTS, "threshold": top}).threshold == top
    with pytest.raises(ValueError, match="threshold"):
        ModelFacts.read({**FACTS, "threshold": float(np.nextafter(np.float32(top), np.float32(2)))})


def test_a_network_of_other_outputs_is_told() -> None:
    facts = ModelFacts.read(FACTS)
    image = keras.Input((32, 32, 3))
    facts.check_network(image.shape, (None, 2))
    for shapes in (((None, 32, 32, 3), (None, 3)), ((None, 32, 48, 3), (None, 2)), ((None, 32, 32, 1), (None, 2))):
        with pytest.raises(ValueError, match="network"):
            facts.check_network(*shapes)
