"""What is trained: a backbone, a head, their loss and optimizer, as one value."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import keras
import numpy as np

from crackexp.models.classifier import build_classifier


@dataclass
class CrackModule:
    """A classifier in its parts.

    Attributes:
        backbone: (B, S, S, 3) uint8 images to the embeddings that the head takes, or to feature maps (B, h, w, d) whose
            means over places they are.
        head: (B, d) embeddings to (B, c) probabilities.
        loss: takes integer labels, or one-hot ones where its class is a categorical loss.
        optimizer: makes a new optimizer.
        source: of the parts of the user's own that made `backbone`, see `source_digest`; None where crackexp did.
    """

    backbone: keras.Model
    head: keras.Model
    loss: keras.Loss
    optimizer: Callable[..., keras.Optimizer]
    source: str | None = None

    @cached_property
    def classifier(self) -> keras.Model:
        """The whole network of standard Keras layers: uint8 pixels to probabilities; shares the parts' weights."""
        return build_classifier(self.backbone, self.head)

    @property
    def num_classes(self) -> int:
        return int(self.head.output_shape[-1])

    def targets(self, labels: np.ndarray) -> np.ndarray:
        """Returns `labels` (n,) int as the loss wants them: (n,) int32 or (n, c) float32 one-hot."""
        one_hot = keras.losses.CategoricalCrossentropy, keras.losses.CategoricalFocalCrossentropy
        if isinstance(self.loss, one_hot):
            return np.eye(self.num_classes, dtype=np.float32)[labels]
        return labels.astype(np.int32)

    def score(self, labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
        """Returns "loss" and "accuracy" of `probabilities` (n, c) against `labels` (n,), each a mean over n."""
        loss = self.loss(self.targets(labels), np.asarray(probabilities, np.float32))
        accuracy = np.mean(np.argmax(probabilities, axis=1) == labels)
        return {"loss": float(loss), "accuracy": float(accuracy)}
