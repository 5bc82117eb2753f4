"""A logged model in Python: `crackexp.load_model` and what it returns."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from crackexp.config.checking import instantiate
from crackexp.config.composing import compose
from crackexp.data.accounting import Account
from crackexp.inference.compilation import keep_programs
from crackexp.predicting.images import Images, named_images
from crackexp.predicting.predictor import Predictor
from crackexp.reporting.figures.evidence import evidence
from crackexp.tracking.models import LoggedModel, load
from crackexp.tracking.run_names import with_model
from crackexp.utils.pictures import encode_jpeg


@dataclass(frozen=True)
class Explanation:
    """The evidence for a class in an image. A notebook shows it as a picture.

    Attributes:
        name: The name of the image, as in the table of `Model.predict`.
        image: The image, (H, W, 3) uint8 RGB.
        saliency: Grad-CAM, (H, W) float32: above 0 where a pixel speaks for the class, below 0 where against it.
        target: The class that is explained.
    """

    name: str
    image: np.ndarray
    saliency: np.ndarray
    target: str

    @cached_property
    def picture(self) -> np.ndarray:
        """The image in grey, orange for the class and blue against it, (H, W, 3) uint8 RGB."""
        return evidence(self.image, self.saliency)

    def _repr_jpeg_(self) -> bytes:
        return encode_jpeg(np.hstack([self.image, self.picture]), 90)


class Model:
    """A logged model, which classifies and explains images; see `load_model`.

    Args:
        logged: The model, as it was loaded.
    """

    def __init__(self, logged: LoggedModel) -> None:
        self._logged = logged

    @property
    def run_id(self) -> str | None:
        """The id of the run that logged the model; None where it was loaded from a folder."""
        return self._logged.run_id

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self._logged.classes.names

    @property
    def image_size(self) -> int:
        """The side in pixels of the squares that images are scaled to."""
        return self._logged.image_size

    def __repr__(self) -> str:
        return f"Model(run_id={self.run_id}, class_names={self.class_names}, image_size={self.image_size})"

    def predict(self, images: Images, threshold: float | None = None, batch_size: int | None = None) -> pd.DataFrame:
        """Classifies images, as ``crackexp.predict`` does.

        Args:
            images: Files, folders, patterns, or arrays (H, W, 3) uint8 RGB; one of them or a list.
            threshold: The least probability of damage that counts as damage; None takes the model's thresholds.
            batch_size: The number of images in a batch; None takes the fastest.

        Returns:
            A table with a row for each image, in the order of the images: path, label, probability, decision, reason
            (why it was not read) and doubt; see `Predictor.explained`.

        Raises:
            DataError: There are no images to read, or an array is none.
        """
        inputs = named_images(images, account := Account())
        predictor = Predictor(self._logged, threshold, batch_size, account=account)
        table = pd.concat(predictor.tables(inputs), ignore_index=True)
        # the table begins with the images, and ends with the names for which there is none
        table.index = pd.Index(sorted(range(len(inputs)), key=lambda row: inputs[row].reason is not None))
        return table.sort_index()

    def explain(self, images: Images, target: str | None = None, layer: str | None = None) -> list[Explanation]:
        """Explains images by Grad-CAM, as ``crackexp.explain`` does.

        Args:
            images: The images; see `predict`.
            target: The class that is explained; None for all classes that are damage.
            layer: The layer whose feature maps are explained; None for the last one with height and width.

        Returns:
            The explanation of each image that can be read, in the order of the images.

        Raises:
            UserError: There are no images to read, or the model has no such class or layer.
        """
        inputs = named_images(images, account := Account())
        predictor = Predictor(self._logged, target=target, layer=layer, account=account)
        explanations = []
        for chunk, rows, maps in predictor.explained(inputs):
            for image, reason, saliency in zip(chunk, rows["reason"], maps, strict=True):
                if pd.isna(reason):
                    pixels = image.read().pixels
                    (scores,) = predictor.enlarge(saliency[None], *pixels.shape[:2])
                    explanations.append(Explanation(image.name, pixels, scores, predictor.target))
        return explanations


def load_model(name: str | Path, uri: str | None = None) -> Model:
    """Loads a logged model.

    Args:
        name: "latest", the name or id of a run or the beginning of its id, "best:SWEEP", a model URI such as
            "models:/NAME@champion", or the folder of a logged model.
        uri: The address of the MLflow store; None for that of the working folder, as in a command.

    Raises:
        UserError: There is no such model, or it cannot be used; see `crackexp.tracking.models.load`.
    """
    config = compose("predict")
    config.model = str(name)
    if uri is not None:
        config.tracking.uri = uri
    keep_programs(Path(config.paths.cache))
    return Model(load(with_model(config).model, instantiate(config.tracking).store, "model"))
