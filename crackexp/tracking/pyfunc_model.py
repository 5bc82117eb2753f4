"""The logged model that MLflow loads and serves.

This file is copied beside each logged model, so it imports nothing of crackexp.
"""

import base64
import binascii
import hashlib
import importlib.util
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow import MlflowException
from mlflow.models import Model, set_model
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc import PythonModel

BATCH = 32
"""The number of images in a batch. Fewer images are filled up to a power of two, so that few programs are compiled."""
LONGEST_NAME = 4096
"""A longer text is no name of a file."""
COLUMNS = (["image"], ["path"])
"""The columns of a table of images: either of them."""


class CrackClassifier(PythonModel):
    """Classifies images.

    An image is the name of a JPEG, PNG, TIFF, HEIC, AVIF, WebP, JPEG 2000, GIF or BMP file, such a file in base64, or
    an array (H, W, 3) of RGB values from 0 to 255. An image of any shape is scaled as a whole, as in training. Images
    are passed as a list, as an array (n, H, W, 3), or as the column "image" or "path" of a table.

    Files are not read where the process serves the model, so that its clients cannot have files opened by their names,
    nor where the model was loaded with the config ``{"read_files": False}``.
    """

    def load_context(self, context: Any) -> None:
        """Checks the files and the metadata, and loads the network.

        Raises:
            MlflowException: The files or the metadata are not those that were logged.
        """
        os.environ.setdefault("KERAS_BACKEND", "jax")
        # without it jaxlib 0.10.2 computes some sums wrongly on CPU, or crashes; XLA reads it when JAX computes first
        if "xla_cpu_experimental_ynn_fusion_type" not in (flags := os.environ.get("XLA_FLAGS", "")):
            os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_experimental_ynn_fusion_type=-reduce".strip()
        file = Path(context.artifacts["model"])
        metadata = Model.load(file.parents[1]).metadata or {}
        for name in map(Path, context.artifacts.values()):
            if hashlib.sha256(name.read_bytes()).hexdigest() != metadata.get("sha256", {}).get(name.name):
                raise MlflowException(f"{name} is not the file that was logged with the model. Log the model again.")
        self.read_files = (context.model_config or {}).get("read_files", True)
        self.pixels = _module(context.artifacts["pixels"])
        try:
            self.facts = _module(context.artifacts["facts"]).ModelFacts.read(metadata)
            self.model = _module(context.artifacts["saved"]).read_network(file)
            self.facts.check_network(self.model.input_shape, self.model.output_shape)
        except ValueError as error:
            raise MlflowException(f"The model in {file.parents[1]} cannot be used: {error}") from error
        self.class_names = np.array(self.facts.class_names)
        self.positives = [self.facts.class_names.index(name) for name in self.facts.positives]
        self.lock = threading.Lock()
        self._predict(np.zeros((1, *self.model.input_shape[1:]), np.uint8))

    # MLflow would take a more precise type for a schema of the inputs.
    def predict(self, context: Any, model_input: np.ndarray, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Classifies images.

        Args:
            context: The context of MLflow.
            model_input: The n images; see the class.
            params: The parameter "threshold" is the least probability of damage at which the decision is "crack", or
                "damage" where several classes are damage. With another value than the model's own, no image is called
                "unsure".

        Returns:
            A DataFrame with a row for each image: label (the name of a class), probability (of damage in [0, 1], the
            sum over the classes that are damage) and decision ("crack" or "damage", "unsure" or "sound"). Where there
            are more than two classes, an image whose most probable class is damage is never called sound.

        Raises:
            MlflowException: An image cannot be used (HTTP status 400).
        """
        own = self.facts.threshold
        threshold = (params or {}).get("threshold", own)
        unsure_from = self.facts.unsure_from if threshold == own else threshold
        images = [self._image(value, number) for number, value in enumerate(_listed(model_input))]
        parts = [self._predict(np.stack(images[i : i + BATCH])) for i in range(0, len(images), BATCH)]
        outputs = np.concatenate([*parts, np.zeros((0, len(self.class_names)), np.float32)])
        best = outputs.argmax(axis=1)
        probability = np.minimum(outputs[:, self.positives].sum(axis=1), 1)
        unsure = probability >= unsure_from
        if len(self.class_names) > 2:
            unsure |= np.isin(best, self.positives)
        defect = "crack" if len(self.positives) == 1 else "damage"
        decision = np.where(probability >= threshold, defect, np.where(unsure, "unsure", "sound"))
        return pd.DataFrame(
            {"label": self.class_names[best], "probability": probability.astype(float), "decision": decision}
        )

    def _image(self, value: Any, number: int) -> np.ndarray:
        image = self._decoded(value, number) if isinstance(value, (str, os.PathLike)) else _array(value, number)
        return self.pixels.resize(image, self.model.input_shape[1])

    def _decoded(self, value: str | os.PathLike[str], number: int) -> np.ndarray:
        """Returns the pixels of a file that is named, or of a text that is a file in base64."""
        text, named = os.fspath(value), self.read_files and not _is_served()
        received, doubt = f"Received: {text[:200]!r}", "there is no such file" if named else "files are not read here"
        try:
            if named and (file := _file(text)):
                data = file.read_bytes()
            elif isinstance(value, str):
                data, received = base64.b64decode(value, validate=True), f"Received: {value[:40]!r} in base64 ({doubt})"
            else:
                raise _refusal(f"Image {number} is the name of a file, but {doubt}. {received}")
            return np.asarray(self.pixels.decode(data).pixels)
        except binascii.Error as error:
            reason = f"is a text, but no base64 ({error}), and {doubt}"
        except OSError as error:
            reason = f"cannot be read ({error.strerror or error})"
        except self.pixels.UnusableImageError as error:
            reason = f"cannot be used: {error}"
        raise _refusal(f"Image {number} {reason}. {received}")

    def _predict(self, images: np.ndarray) -> np.ndarray:
        batch = np.zeros((1 << (len(images) - 1).bit_length(), *images.shape[1:]), np.uint8)
        batch[: len(images)] = images
        with self.lock:  # with two requests at once, JAX would delete buffers that are still in use
            return np.asarray(self.model.predict_on_batch(batch), np.float32)[: len(images)]


def _listed(model_input: Any) -> Sequence[Any]:
    """Returns the images as a sequence, from any form in which MLflow passes them."""
    if isinstance(model_input, pd.DataFrame):
        model_input = model_input.to_dict("list")
    if isinstance(model_input, dict):
        if list(model_input) not in COLUMNS:
            raise _refusal(f'The images stand in one column, named "image" or "path". Received: {list(model_input)}')
        (model_input,) = model_input.values()
    if isinstance(model_input, (str, os.PathLike)):
        return [model_input]
    if isinstance(model_input, np.ndarray) and model_input.ndim in (1, 4):
        return list(model_input)
    if isinstance(model_input, list):
        return model_input
    shape = np.shape(model_input)
    raise _refusal(f"The model takes a list of images, or an array (n, H, W, 3). Received: shape={shape}")


def _is_served() -> bool:
    """Returns whether this process answers the requests of clients: a server of MLflow, MLServer or Databricks."""
    flags = {os.environ.get(name, "") for name in ("_MLFLOW_IS_IN_SERVING_ENVIRONMENT", "IS_IN_DB_MODEL_SERVING_ENV")}
    servers = {"mlflow.pyfunc.scoring_server.app", "mlserver"}
    return not flags <= {"", "0", "false", "False"} or not servers.isdisjoint(sys.modules)


def _file(name: str) -> Path | None:
    """Returns the file of a name, in which ``~`` is expanded; None where there is none."""
    if len(name) > LONGEST_NAME:
        return None
    try:
        file = Path(name).expanduser()
        return file if file.is_file() else None
    except (OSError, ValueError, RuntimeError):  # a part is too long, a null character, no such user
        return None


def _array(value: Any, number: int) -> np.ndarray:
    try:
        image = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        raise _refusal(f"Image {number} is no array of numbers. Received: {str(value)[:40]!r}") from None
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise _refusal(f"Image {number} must be an array (H, W, 3) of RGB. Received: shape={image.shape}")
    if not (image.min() >= 0 and image.max() <= 255):
        raise _refusal(f"Image {number} must have values from 0 to 255. Received: min={image.min()} max={image.max()}")
    return image.round().astype(np.uint8)


def _module(file: str) -> Any:
    """Returns the module in `file`, which was copied beside the model."""
    spec = importlib.util.spec_from_file_location(f"crackexp_{Path(file).stem}", file)
    assert spec, file
    assert spec.loader, file
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _refusal(message: str) -> MlflowException:
    return MlflowException(message, error_code=INVALID_PARAMETER_VALUE)


set_model(CrackClassifier())
