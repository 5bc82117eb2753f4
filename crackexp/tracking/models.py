"""Logged models, found again by run id, model URI or folder."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import mlflow
from mlflow.environment_variables import MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR
from mlflow.models import Model
from sqlalchemy.exc import SQLAlchemyError

from crackexp.data.class_names import proposal
from crackexp.decisions import Classes, Thresholds, positives_of
from crackexp.errors import UserError
from crackexp.tracking.store import NoStoreError, connect, unusable


@dataclass(frozen=True)
class LoggedModel:
    """A classifier from the store.

    Attributes:
        classifier: uint8 pixels (n, S, S, 3) to probabilities (n, c).
        classes: the c classes of the outputs.
        thresholds: of the probability of damage, where decisions change.
        facts: all that was logged with it, JSON-able.
        run_id: the run that logged it; None where it was loaded from a folder.
    """

    classifier: keras.Model
    classes: Classes
    thresholds: Thresholds
    facts: Mapping[str, Any]
    run_id: str | None

    @property
    def image_size(self) -> int:
        return int(self.classifier.input_shape[1])

    @property
    def trained_in(self) -> str | None:
        """The training run, where another run, which calibrated the model, has logged it."""
        return self.facts.get("trained_in", self.run_id)


def load(name: str, uri: str | None, key: str) -> LoggedModel:
    """Loads the model that `name` means.

    Args:
        name: a run id, a model URI such as models:/NAME@champion, or a folder that holds a logged model.
        uri: of the store; None: there is none, and `name` must be a folder.
        key: of the config, which `name` is the value of.

    Raises:
        UserError: the store holds no such run or model, the model was not logged by crackexp, or it does not tell which
            of its classes are damage.
    """
    if Path(name, "MLmodel").is_file():
        return _read(Path(name), None, f"{key}={name}")
    if uri is None:
        raise UserError(
            f"tracking=none has no store to find a model in. Type tracking=local, or {key}=FOLDER of a logged model. "
            f"Received: {key}={name}"
        )
    MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR.set(False)
    with tempfile.TemporaryDirectory() as folder:
        try:
            connect(uri)
            mlflow.artifacts.download_artifacts(name if ":/" in name else f"runs:/{name}/model", dst_path=folder)
        except (mlflow.MlflowException, NoStoreError) as error:
            reason = error.message if isinstance(error, mlflow.MlflowException) else "it is not there"
            raise UserError(
                f"The store at {uri} holds no such model: {reason}. Type {key}=RUN_ID as printed at the end of "
                f"a training run, {key}=models:/NAME/VERSION, {key}=models:/NAME@champion, or {key}=FOLDER of a logged "
                f"model. Received: {key}={name}"
            ) from error
        except (SQLAlchemyError, OSError) as error:
            raise unusable(uri, error) from error
        (file,) = Path(folder).rglob("MLmodel")
        return _read(file.parent, Model.load(file.parent).run_id, f"{key}={name}")


def _read(folder: Path, run_id: str | None, received: str) -> LoggedModel:
    facts: dict[str, Any] = Model.load(folder).metadata or {}
    file = folder / "artifacts" / "model.keras"
    if "class_names" not in facts or not file.is_file():
        raise UserError(
            f"The model was not logged by crackexp.train, so its classes are not known. Received: {received}"
        )
    names, positive = tuple(facts["class_names"]), facts["positive"]
    if len(names) > 2 and isinstance(positive, str):
        raise UserError(
            f"The model was logged before it was asked which of its classes {', '.join(names)} are damage: whatever is "
            f"not {positive} would be called sound. Train it again with {proposal(names)}, "
            f"or those of them that are damage. Received: {received}"
        )
    classes = Classes(names, positives_of(positive))
    classifier = keras.saving.load_model(file, compile=False)
    crack = float(facts.get("threshold", 0.5))
    thresholds = Thresholds(crack, float(facts.get("unsure_from", crack)), classes.defect)
    return LoggedModel(classifier, classes, thresholds, facts, run_id)
