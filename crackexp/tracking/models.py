"""Logged models, which are loaded by run id, model URI or folder."""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import mlflow
import yaml
from mlflow.environment_variables import MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR
from mlflow.models import Model
from sqlalchemy.exc import SQLAlchemyError

from crackexp.data.classes.decisions import Classes, Thresholds
from crackexp.data.classes.names import proposal
from crackexp.models.ready import WEIGHTS, ready_metadata, ready_network
from crackexp.models.saved import read_network
from crackexp.tracking.artifacts import reaching
from crackexp.tracking.model_facts import ModelFacts
from crackexp.tracking.run_names import READY, in_folder
from crackexp.tracking.store import NoStoreError, connect, unusable
from crackexp.utils.errors import DamagedFileError, UserError


@dataclass(frozen=True)
class LoggedModel:
    """A classifier that was loaded from a store or a folder.

    Attributes:
        classifier: The network, which maps uint8 pixels (n, S, S, 3) to probabilities (n, c).
        classes: The c classes of the outputs.
        thresholds: The thresholds of the probability of damage at which decisions change.
        facts: The metadata that were logged with the model.
        run_id: The id of the run that logged it; None where it was loaded from a folder.
    """

    classifier: keras.Model
    classes: Classes
    thresholds: Thresholds
    facts: ModelFacts
    run_id: str | None

    @property
    def image_size(self) -> int:
        return int(self.classifier.input_shape[1])

    @property
    def trained_in(self) -> str | None:
        """The id of the training run, which is another one than `run_id` where the model was calibrated afterwards."""
        return self.facts.trained_in if "trained_in" in self.facts.model_fields_set else self.run_id


def load(name: str, uri: str | None, key: str) -> LoggedModel:
    """Loads a logged model.

    Args:
        name: A run id, a model URI such as models:/NAME@champion, a folder that holds a logged model, or "ready" for
            the model that crackexp comes with.
        uri: The address of the store; None where there is none, and `name` must be a folder.
        key: The config key whose value is `name`, for messages.

    Raises:
        UserError: The store holds no such run or model, the model was not logged by crackexp, it does not say which of
            its classes are damage, or its files are not those that were logged.
    """
    if name == READY:
        return _read_ready(f"{key}={name}")
    if in_folder(name, uri, key):
        return replace(_read(Path(name), f"{key}={name}"), run_id=None)
    assert uri is not None
    MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR.set(False)
    with tempfile.TemporaryDirectory() as folder:
        try:
            connect(uri)
            place = name if ":/" in name else f"runs:/{name}/model"
            with reaching(place):
                mlflow.artifacts.download_artifacts(place, dst_path=folder)
        except (mlflow.MlflowException, NoStoreError, FileNotFoundError) as error:
            reason = "it is not there" if isinstance(error, NoStoreError) else getattr(error, "message", error)
            raise UserError(
                f"The store at {uri} holds no such model: {reason}. Type {key}=RUN_ID as printed at the end of "
                f"a training run, {key}=models:/NAME/VERSION, {key}=models:/NAME@champion, or {key}=FOLDER of a logged "
                f"model. Received: {key}={name}"
            ) from error
        except (SQLAlchemyError, OSError) as error:
            raise unusable(uri, error) from error
        file = next(Path(folder).rglob("MLmodel"), None)
        if file is None:
            raise _damaged("it has no file MLmodel", f"{key}={name}")
        return _read(file.parent, f"{key}={name}")


def read_facts(model: Model, received: str) -> ModelFacts:
    """Returns the metadata that were logged with a model.

    Args:
        model: The model that MLflow read.
        received: The input of the user, for the message.

    Raises:
        DamagedFileError: The metadata are not those of crackexp, or have changed since.
    """
    if not isinstance(model.metadata, dict) or "class_names" not in model.metadata:
        raise DamagedFileError(
            f"The model was not logged by crackexp.train, so its classes are not known. Received: {received}"
        )
    try:
        return ModelFacts.read(model.metadata)
    except ValueError as error:
        raise _damaged(f"its metadata are wrong: {error}", received) from error


def read_model(place: str, received: str) -> Model:
    """Returns MLflow's description of the model at `place`, which is a folder or a URI.

    Raises:
        MlflowException: There is no such model.
        DamagedFileError: The file ``MLmodel`` cannot be read.
    """
    try:
        return Model.load(place)
    except (yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise _damaged(f"its file MLmodel cannot be read: {error}", received) from error


def _read(folder: Path, received: str) -> LoggedModel:
    model = read_model(str(folder), received)
    facts = read_facts(model, received)
    names = tuple(facts.class_names)
    if len(names) > 2 and isinstance(facts.positive, str):
        raise UserError(
            f"The model was logged before it was asked which of its classes {', '.join(names)} are damage: whatever is "
            f"not {facts.positive} would be called sound. Train it again with {proposal(names)}, "
            f"or those of them that are damage. Received: {received}"
        )
    classes = Classes(names, facts.positives)
    file = folder / "artifacts" / "model.keras"
    if not file.is_file():
        raise _damaged(f"it has no file artifacts/{file.name}", received)
    try:
        facts.check_file(file)
        classifier = read_network(file)
        facts.check_network(classifier.input_shape, classifier.output_shape)
    except Exception as error:  # Keras raises many types of exceptions on a damaged file
        raise _damaged(str(error), received) from error
    thresholds = Thresholds(facts.threshold, facts.unsure_from, classes.defect)
    return LoggedModel(classifier, classes, thresholds, facts, model.run_id)


def _read_ready(received: str) -> LoggedModel:
    metadata = ready_metadata()
    try:
        facts = ModelFacts.read(metadata)
        facts.check_file(WEIGHTS)
    except (ValueError, OSError) as error:
        raise DamagedFileError(
            f"The model that crackexp comes with is not as it was shipped: {error}. Install crackexp again. "
            f"Received: {received}"
        ) from error
    classes = Classes(tuple(facts.class_names), facts.positives)
    thresholds = Thresholds(facts.threshold, facts.unsure_from, classes.defect)
    return LoggedModel(ready_network(metadata), classes, thresholds, facts, None)


def _damaged(problem: str, received: str) -> DamagedFileError:
    line = " ".join(problem.split())
    return DamagedFileError(
        f"The model is not as it was logged: {line[:500]}. Restore it from a copy, or log it again with crackexp.train "
        f"or crackexp.calibrate. Received: {received}"
    )
