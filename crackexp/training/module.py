"""What is trained: a backbone, a head, their loss and optimizer, as one value."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import keras
import numpy as np

from crackexp.models.classifier import build_classifier
from crackexp.training.losses import encode, require_fitting, target_format


@dataclass
class CrackModule:
    """A classifier in its parts.

    Attributes:
        backbone: A network of (B, S, S, 3) uint8 images to the embeddings that the head takes, or to feature maps
            (B, h, w, d) whose means over places they are.
        head: A network of (B, d) embeddings to (B, c) probabilities.
        loss: The loss; `target_format` tells which targets it takes.
        optimizer: Makes a new optimizer.
        source: The digest of the source of the user's own parts that made `backbone`, see `source_digest`; None if
            crackexp made it.

    Raises:
        ConfigError: The loss does not fit the probabilities of the head.
    """

    backbone: keras.Model
    head: keras.Model
    loss: keras.Loss
    optimizer: Callable[..., keras.Optimizer]
    source: str | None = None

    def __post_init__(self) -> None:
        require_fitting(self.loss, self.num_classes)

    @cached_property
    def classifier(self) -> keras.Model:
        """The whole network of standard Keras layers, uint8 pixels to probabilities; it shares the parts' weights."""
        return build_classifier(self.backbone, self.head)

    @property
    def num_classes(self) -> int:
        return int(self.head.output_shape[-1])

    def targets(self, labels: np.ndarray) -> np.ndarray:
        """Returns `labels`, (n,) int, as the loss takes them: (n,) int32, or (n, c) float32 if one-hot."""
        return encode(labels, self.num_classes, target_format(self.loss))

    def score(self, labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
        """Returns "loss" and "accuracy" of `probabilities`, (n, c), against `labels`, (n,), each a mean over n."""
        loss = self.loss(self.targets(labels), np.asarray(probabilities, np.float32))
        accuracy = np.mean(np.argmax(probabilities, axis=1) == labels)
        return {"loss": float(loss), "accuracy": float(accuracy)}
