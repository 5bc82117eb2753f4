"""A logged model in Python: `crackexp.load_model` and what it returns."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import DictConfig, OmegaConf

from crackexp.config.checking import check, instantiate
from crackexp.config.composing import compose
from crackexp.config.settings import ModelConfig
from crackexp.data.accounting import Account
from crackexp.predict import PredictConfig
from crackexp.predicting.images import Images, Input, named_images
from crackexp.predicting.inputs import InputFile, input_folder
from crackexp.predicting.loading import model_name, open_model
from crackexp.predicting.predictor import ExplainingPredictor, Predictor
from crackexp.reporting.figures.evidence import evidence
from crackexp.survey import SurveyConfig, build_surveyor
from crackexp.surveying.survey_report import Survey
from crackexp.tracking.models import LoggedModel
from crackexp.tracking.run_names import with_model
from crackexp.utils.names import visible
from crackexp.utils.pictures import encode_jpeg
from crackexp.utils.progress import command_progress

SHOWN = 224
"""A notebook enlarges smaller images by a whole number, up to this height in pixels."""


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
    image: np.ndarray = field(repr=False)
    saliency: np.ndarray = field(repr=False)
    target: str

    @cached_property
    def picture(self) -> np.ndarray:
        """The image in grey, orange for the class and blue against it, (H, W, 3) uint8 RGB."""
        return evidence(self.image, self.saliency)

    def _repr_jpeg_(self) -> bytes:
        both = np.hstack([self.image, self.picture])
        return encode_jpeg(np.repeat(np.repeat(both, scale := max(1, SHOWN // len(both)), axis=0), scale, axis=1), 90)


class Model:
    """A logged model, which classifies, surveys and explains images; see `load_model`.

    Args:
        logged: The model, as it was loaded.
        name: Its name in reports.
    """

    def __init__(self, logged: LoggedModel, name: str) -> None:
        self._logged, self._name = logged, name

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
            (why it was not read) and doubt; see `Predictor.tables`.

        Raises:
            ConfigError: A value is out of its range.
            DataError: There are no images to read, or an array is none.
        """
        cfg = _checked("predict", PredictConfig, threshold=threshold, batch_size=batch_size)
        inputs = named_images(images, account := Account())
        predictor = Predictor(self._logged, cfg.threshold, cfg.batch_size, account, instantiate(cfg.inference))
        table = pd.concat(predictor.tables(inputs), ignore_index=True)
        # the table begins with the images, and ends with the names for which there is none
        table.index = pd.Index(sorted(range(len(inputs)), key=lambda row: inputs[row].reason is not None))
        return table.sort_index()

    def survey(
        self,
        photos: Images,
        out: str | Path | None = None,
        *,
        tile_size: float | None = None,
        tile_scale: float | None = None,
        tile_overlap: float | None = None,
        join: float | None = None,
        min_extent: float | None = None,
        relative_to_photo: bool | None = None,
        threshold: float | None = None,
        mm_per_px: float | None = None,
        batch_size: int | None = None,
    ) -> pd.DataFrame:
        """Looks for cracks in whole photos, tile by tile, as ``crackexp.survey`` does.

        Nothing is logged. None stands for the default of the command.

        Args:
            photos: Files, folders, patterns, or arrays (H, W, 3) uint8 RGB; one of them or a list.
            out: The folder to which the pages, tables, pictures and outlines of the command are written; None for none.
            tile_size: The side of the patches that the model was trained on, in pixels before they were scaled.
            tile_scale: The number of pixels of a photo for a pixel of such a patch.
            tile_overlap: The share of the side of a tile that the next one covers too.
            join: The largest gap over which pieces in line are one region, in sides of a tile.
            min_extent: The least extent of a region that counts, in sides of a tile.
            relative_to_photo: Whether tiles are judged relative to what is usual in their photo. None stands for True,
                unless the model was calibrated for a site.
            threshold: The least probability of damage that counts as damage.
            mm_per_px: The size of a pixel of the photos on the wall, in millimetres.
            batch_size: The number of tiles in a batch.

        Returns:
            A table with a row for each photo, in the order of the photos, with the columns of the ``photos.csv`` of the
            command, `geojson` (the outlines of the regions, see `PhotoResult.geojson`) and `reason` (why a photo was
            not read).

        Raises:
            ConfigError: A value is out of its range.
            DataError: There are no photos to read, or an array is none.
        """
        options = {"tile.size": tile_size, "tile.scale": tile_scale, "tile.overlap": tile_overlap}
        options |= {"regions.join": join, "regions.min_extent": min_extent, "threshold": threshold}
        options |= {"relative_to_photo": relative_to_photo}
        cfg = _checked("survey", SurveyConfig, **options, mm_per_px=mm_per_px, batch_size=batch_size)
        images = named_images(photos, account := Account())
        surveyor = build_surveyor(cfg, self._logged, instantiate(cfg.inference), explains=out is not None)
        folder = None if out is None else Path(out)
        made = Survey(folder, surveyor.thresholds.defect, cfg.mm_per_px, False, account, _base(photos, images))
        rows: dict[int, dict[str, Any]] = {}
        for image, photo, result in surveyor.survey_all(images, account):
            made.add(image, photo, result)
            row = made.rows[-1]
            rows[id(image)] = {**row, "geojson": result.geojson(row["photo"], cfg.mm_per_px)}
        if folder is not None:
            made.write(made.report(f"{self._name}, {surveyor}"))
        reasons = {remark.file: visible(remark.reason) for remark in account.left_out}
        table = pd.DataFrame(
            [rows.get(id(image)) or {"photo": made.name(image.name), "reason": reasons[image.name]} for image in images]
        )
        texts = dict.fromkeys(["doubt", "reason"], "string")
        return table.reindex(columns=table.columns.union(list(texts), sort=False)).convert_dtypes().astype(texts)

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
        predictor = ExplainingPredictor(self._logged, target, layer, account=account)
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
        name: "ready" for the model that crackexp comes with, "latest", the name or id of a run or the beginning of its
            id, "best:SWEEP", a model URI such as "models:/NAME@champion", or the folder of a logged model.
        uri: The address of the MLflow store; None for that of the working folder, as in a command.

    Raises:
        UserError: There is no such model, or it cannot be used; see `crackexp.tracking.models.load`.
    """
    config = compose("predict")
    config.model = str(name)
    if uri is not None:
        config.tracking.uri = uri
    with command_progress("Looking for the model"):
        config = with_model(config)
        return Model(open_model(config), model_name(config))


def _checked(command: str, schema: type[ModelConfig], **values: Any) -> DictConfig:
    """Returns the checked config of a command with some values, of which None stands for the default."""
    config = compose(command)
    config.model, config.input = "model", "-"  # which are given already
    for key, value in values.items():
        if value is not None:
            OmegaConf.update(config, key, value.item() if isinstance(value, np.generic) else value)
    return check(config, schema)


def _base(photos: Images, images: Sequence[Input]) -> Path:
    """Returns the folder to which names of photos are relative; see `input_folder`."""
    files = [image for image in images if isinstance(image, InputFile)]
    if not files:
        return Path()
    names = [photos] if isinstance(photos, (str, Path)) else [name for name in photos if isinstance(name, (str, Path))]
    return input_folder([str(name) for name in names], files)
