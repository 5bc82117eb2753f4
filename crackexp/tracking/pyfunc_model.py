"""The logged model as MLflow loads it; this file is copied beside the model, so it imports nothing of crackexp."""

import os
from typing import Any

import numpy as np
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

BATCH = 32


class KerasClassifier(PythonModel):
    """A Keras classifier of uint8 pixels: (n, S, S, 3) in, probabilities (n, c) float32 out."""

    def load_context(self, context: Any) -> None:
        os.environ.setdefault("KERAS_BACKEND", "jax")
        import keras

        self.model = keras.saving.load_model(context.artifacts["model"], compile=False)

    def predict(self, context: Any, model_input: np.ndarray, params: dict[str, Any] | None = None) -> np.ndarray:
        """Returns the probability of each class, in the order of the model's metadata "class_names".

        Raises:
            ValueError: pixels of another shape than the model was trained at, or outside 0 to 255.
        """
        images = np.asarray(model_input)
        expected = self.model.input_shape[1:]
        if images.ndim != 4 or images.shape[1:] != expected:
            raise ValueError(
                f"The model takes images of shape (n, {', '.join(map(str, expected))}); "
                f"resize them first. Received: shape={images.shape}"
            )
        if images.size and (images.min() < 0 or images.max() > 255):
            raise ValueError(f"The model takes pixels from 0 to 255. Received: min={images.min()} max={images.max()}")
        batches = [self._predict(images[i : i + BATCH]) for i in range(0, len(images), BATCH)]
        return np.concatenate([*batches, np.zeros((0, self.model.output_shape[-1]), np.float32)])

    def _predict(self, images: np.ndarray) -> np.ndarray:
        batch = np.zeros((BATCH, *images.shape[1:]), np.uint8)
        batch[: len(images)] = images
        return np.asarray(self.model.predict_on_batch(batch), np.float32)[: len(images)]


set_model(KerasClassifier())
