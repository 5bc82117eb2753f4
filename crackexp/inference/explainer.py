"""A classifier and its Grad-CAM in one program, run over a stream of images."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from crackexp.inference.engine import Inference, padded_batches
from crackexp.models.gradcam import GradCam


class Explainer(Inference):
    """Runs a classifier over batches; the outputs are probabilities (B, c) and maps (B, h, w), see `GradCam`.

    Args:
        classifier: A network of images (B, S, S, 3) to probabilities (B, c); on CPU see `computing`.
        targets: The indices of the classes that the maps explain.
        layer: The layer whose feature maps are weighted, see `GradCam`.
        batch_size: The size B of a batch; None for `fastest_batch`.
        devices: The devices to compute on; None for the first.

    Attributes:
        gradcam: The Grad-CAM that makes the maps.

    Raises:
        ConfigError: The layer cannot be used, see `GradCam`.
    """

    def __init__(
        self,
        classifier: keras.Model,
        targets: Sequence[int],
        layer: str | None = None,
        batch_size: int | None = None,
        devices: Sequence[Any] | None = None,
    ) -> None:
        self.gradcam = GradCam(classifier, targets, layer)
        super().__init__(self.gradcam.network, batch_size, devices)

    def explain(self, images: np.ndarray) -> np.ndarray:
        """Returns a map as large as the image for each of `images`, (n, S, S, 3) uint8: (n, S, S) float32."""
        _, maps = self.predict(padded_batches(images, self.batch_size), len(images), "Explaining")
        return self.gradcam.enlarge(maps, *images.shape[1:3])
