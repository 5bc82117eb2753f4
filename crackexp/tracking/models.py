"""Logged models, found again by run id or model URI."""

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
        run_id: the run that logged it.
    """

    classifier: keras.Model
    class_names: tuple[str, ...]
    positive: str
    run_id: str

    @property
    def image_size(self) -> int:
        return int(self.classifier.input_shape[1])


def load(run: str, uri: str) -> LoggedModel:
    """Loads the model that `run` names from the store at `uri`.

    Args:
        run: a run id, or a model URI that begins with models:/ or runs:/.
        uri: of the store.

    Raises:
        UserError: the store holds no such run or model, or the model was not logged by crackexp.
    """
    mlflow.set_tracking_uri(uri)
    model_uri = run if ":/" in run else f"runs:/{run}/model"
    try:
        info = mlflow.models.get_model_info(model_uri)
        folder = Path(mlflow.artifacts.download_artifacts(model_uri))
    except mlflow.MlflowException as error:
        raise UserError(
            f"The store at {uri} holds no such model: {error.message}. Type run=RUN_ID as printed "
            f"at the end of a training run, or run=models:/NAME/VERSION. Received: run={run}"
        ) from error
    facts: dict[str, Any] = info.metadata or {}
    file = folder / "artifacts" / "model.keras"
    if "class_names" not in facts or not file.is_file():
        raise UserError(
            f"The model was not logged by crackexp.train, so its classes are not known. Received: run={run}"
        )
    classifier = keras.saving.load_model(file, compile=False)
    return LoggedModel(classifier, tuple(facts["class_names"]), facts["positive"], info.run_id)
