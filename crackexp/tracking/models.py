"""Logged models, found again by run id, model URI or folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import mlflow

from crackexp.errors import UserError


@dataclass(frozen=True)
class LoggedModel:
    """A classifier from the store.

    Attributes:
        classifier: uint8 pixels (n, S, S, 3) to probabilities (n, c).
        class_names: of the c outputs.
        positive: the class that means "crack".
        threshold: of the probability of `positive`, from which on the decision is "crack".
        run_id: the run that logged it.
    """

    classifier: keras.Model
    class_names: tuple[str, ...]
    positive: str
    threshold: float
    run_id: str

    @property
    def image_size(self) -> int:
        return int(self.classifier.input_shape[1])

    @property
    def positive_index(self) -> int:
        return self.class_names.index(self.positive)


def load(name: str, uri: str, key: str) -> LoggedModel:
    """Loads the model that `name` means.

    Args:
        name: a run id, a model URI that begins with models:/ or runs:/, or a folder that holds a logged model.
        uri: of the store.
        key: of the config, which `name` is the value of.

    Raises:
        UserError: the store holds no such run or model, or the model was not logged by crackexp.
    """
    mlflow.set_tracking_uri(uri)
    model_uri = name if ":/" in name or Path(name, "MLmodel").is_file() else f"runs:/{name}/model"
    try:
        info = mlflow.models.get_model_info(model_uri)
        folder = Path(mlflow.artifacts.download_artifacts(model_uri))
    except mlflow.MlflowException as error:
        raise UserError(
            f"The store at {uri} holds no such model: {error.message}. Type {key}=RUN_ID as printed at the end of a "
            f"training run, {key}=models:/NAME/VERSION, or {key}=FOLDER of a logged model. Received: {key}={name}"
        ) from error
    facts: dict[str, Any] = info.metadata or {}
    file = folder / "artifacts" / "model.keras"
    if "class_names" not in facts or not file.is_file():
        raise UserError(
            f"The model was not logged by crackexp.train, so its classes are not known. Received: {key}={name}"
        )
    classifier = keras.saving.load_model(file, compile=False)
    threshold = float(facts.get("threshold", 0.5))
    return LoggedModel(classifier, tuple(facts["class_names"]), facts["positive"], threshold, info.run_id)
