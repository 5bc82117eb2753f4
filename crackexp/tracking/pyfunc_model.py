"""The logged model that MLflow loads and serves.

This file is copied beside each logged model, so it imports nothing of crackexp.
"""

import base64
import binascii
import hashlib
import importlib.util
import os
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


class CrackClassifier(PythonModel):
    """Classifies images.

    An image is a JPEG, PNG, TIFF, HEIC, AVIF, WebP, JPEG 2000, GIF or BMP file in base64, or an array (H, W, 3) of RGB
    values from 0 to 255. An image of any shape is scaled as a whole, as in training. Images are passed as a list, as an
    array (n, H, W, 3), or as the column "image" of a table.
    """

    def load_context(self, context: Any) -> None:
        """Checks the files and the metadata, and loads the network.

        Raises:
            MlflowException: The files or the metadata are not those that were logged.
        """
        os.environ.setdefault("KERAS_BACKEND", "jax")
        import keras

        file = Path(context.artifacts["model"])
        metadata = Model.load(file.parents[1]).metadata or {}
        for name in map(Path, context.artifacts.values()):
            if hashlib.sha256(name.read_bytes()).hexdigest() != metadata.get("sha256", {}).get(name.name):
                raise MlflowException(f"{name} is not the file that was logged with the model. Log the model again.")
        self.pixels = _module(context.artifacts["pixels"])
        try:
            self.facts = _module(context.artifacts["facts"]).ModelFacts.read(metadata)
            self.model = keras.saving.load_model(file, compile=False)
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
        if isinstance(value, str):
            try:
                image = self.pixels.decode(base64.b64decode(value, validate=True)).pixels
            except binascii.Error as error:
                raise _refusal(f"Image {number} is a text, but no base64 ({error}). Received: {value[:40]!r}") from None
            except self.pixels.UnusableImageError as error:
                raise _refusal(f"Image {number} cannot be used: {error}. Received: {value[:40]!r} in base64") from None
        else:
            image = _array(value, number)
        return self.pixels.resize(image, self.model.input_shape[1])

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
        if list(model_input) != ["image"]:
            raise _refusal(f'The images stand in a column named "image". Received: {list(model_input)}')
        model_input = model_input["image"]
    if isinstance(model_input, str):
        return [model_input]
    if isinstance(model_input, np.ndarray) and model_input.ndim in (1, 4):
        return list(model_input)
    if isinstance(model_input, list):
        return model_input
    shape = np.shape(model_input)
    raise _refusal(f"The model takes a list of images, or an array (n, H, W, 3). Received: shape={shape}")


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
