"""Looks at whole photos, tile by tile, with a model of patches."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from crackexp.data.decode import ImageError, read_image
from crackexp.data.pixels import UnusableImageError, resize
from crackexp.decisions import SOUND, UNSURE, Thresholds
from crackexp.prediction.predictor import MIN_SIDE, too_small
from crackexp.prediction.regions import Region, find_regions
from crackexp.prediction.tiles import CELLS, Tiling
from crackexp.tracking.models import LoggedModel
from crackexp.training.explainer import Explainer
from crackexp.training.inference import computing


@dataclass(frozen=True)
class Finding:
    """What was found in one photo.

    Attributes:
        photo: (height, width, 3) uint8 RGB, upright.
        boxes: (n, 4) int32, left, top, right and bottom of the tiles in pixels.
        probabilities: (n,) float32, of damage.
        heat: (h, w) float32, mean probability of the tiles over each cell.
        evidence: (h, w) float32 in [0, 1], what in the damaged tiles speaks for damage: Grad-CAM, mean of the tiles
            over each cell, relative to the strongest place of the photo.
        cell: side of a cell, pixels of the photo.
        thresholds: of the mean probability, where decisions change.
        leads: (n,) bool, tiles whose most probable class is damage, see `Classes.leads`.
        led: whether it is of half of the tiles that cover some place, so that the photo is not called sound.
        doubts: What is odd about the photo, a few words each.
    """

    photo: np.ndarray
    boxes: np.ndarray
    probabilities: np.ndarray
    heat: np.ndarray
    evidence: np.ndarray
    cell: float
    thresholds: Thresholds
    leads: np.ndarray
    led: bool
    doubts: tuple[str, ...] = ()

    @cached_property
    def regions(self) -> list[Region]:
        """The connected damaged parts, the largest first."""
        return find_regions(self.heat, self.thresholds.crack, self.cell, *self.photo.shape[:2])

    def verdict(self, mm_per_px: float | None) -> dict[str, Any]:
        """Returns the row of this photo in the table of a survey.

        Args:
            mm_per_px: millimetres of the wall that a pixel of the photo shows; None leaves lengths in pixels alone.
        """
        height, width = self.photo.shape[:2]
        extent = max((region.extent for region in self.regions), default=0.0)
        row = {
            "width": width,
            "height": height,
            "decision": self._decision(),
            "cracked_share": sum(region.area for region in self.regions) / (height * width),
            "regions": len(self.regions),
            "longest_extent_px": round(extent),
            "highest_probability": float(self.probabilities.max()),
            "tiles": len(self.boxes),
            "cracked_tiles": int((self.probabilities >= self.thresholds.crack).sum()),
        }
        return row if mm_per_px is None else {**row, "longest_extent_mm": round(extent * mm_per_px, 1)}

    def tiles(self) -> pd.DataFrame:
        """Returns left, top, right, bottom, probability and decision of each tile."""
        table = pd.DataFrame(self.boxes, columns=["left", "top", "right", "bottom"])
        table["probability"] = self.probabilities
        table["decision"] = self.thresholds.decide(self.probabilities, self.leads)
        return table

    def _decision(self) -> str:
        if self.regions:
            return self.thresholds.defect.value
        banded = self.thresholds.unsure <= self.heat.max() < self.thresholds.crack
        return UNSURE if banded or self.led else SOUND

    def geojson(self, name: str, mm_per_px: float | None) -> str:
        """Returns the regions as polygons in the form of GeoJSON; x goes right and y down, in pixels of the photo."""
        features = [
            {
                "type": "Feature",
                "geometry": {"type": "Polygon", "coordinates": [ring.round(1).tolist() for ring in region.rings]},
                "properties": {"area_px": round(region.area), "extent_px": round(region.extent)}
                | ({} if mm_per_px is None else {"extent_mm": round(region.extent * mm_per_px, 1)}),
            }
            for region in self.regions
        ]
        height, width = self.photo.shape[:2]
        image = {"name": name, "width": width, "height": height, "coordinates": "pixels, x right, y down"}
        return json.dumps({"type": "FeatureCollection", "image": image, "features": features})


class Surveyor:
    """Classifies the tiles of photos.

    Args:
        model: of patches.
        tiling: how photos are cut.
        threshold: of the probability of damage; None: the model's thresholds.
        batch_size: tiles at once; None: what is fastest.
    """

    def __init__(
        self, model: LoggedModel, tiling: Tiling, threshold: float | None = None, batch_size: int | None = None
    ) -> None:
        self.tiling = tiling
        self.thresholds = model.thresholds if threshold is None else model.thresholds.moved(threshold)
        self._model = model
        self._network = Explainer(computing(model.classifier), model.classes.indices, None, batch_size)

    def look(self, file: Path, page: int = 0) -> Finding:
        """Returns what is found in a page of the photo `file`.

        A tile is cut from the photo as it is and scaled as a patch is in training.

        Raises:
            ImageError: the file is no image, or one too small to judge.
        """
        image = read_image(file, page)
        try:
            return replace(self.look_at(image.pixels), doubts=image.doubts)
        except UnusableImageError as error:
            raise ImageError(str(error), file) from None

    def look_at(self, photo: np.ndarray, advance: Callable[[float], None] = lambda share: None) -> Finding:
        """Returns what is found in a photo, as `look` does.

        Args:
            photo: (height, width, 3) uint8 RGB, upright.
            advance: takes the share of the tiles done so far, in (0, 1]; what it raises ends the look.

        Raises:
            UnusableImageError: the photo is too small to judge.
        """
        height, width = photo.shape[:2]
        if min(height, width) < MIN_SIDE:
            raise UnusableImageError(too_small(height, width))
        boxes = self.tiling.boxes(height, width)
        parts: list[Sequence[np.ndarray]] = []
        for part in self._network.stream(self._batches(photo, boxes)):
            parts.append(part)
            advance(min(len(parts) * self._network.batch_size / len(boxes), 1))
        outputs, maps = (np.concatenate(part)[: len(boxes)] for part in zip(*parts, strict=True))
        classes = self._model.classes
        probabilities, leads = classes.probability(outputs), classes.leads(outputs)
        heat = self.tiling.heat_map(boxes, probabilities, height, width)
        evidence = self.tiling.merge(boxes, self._evidence(probabilities, maps), height, width)
        evidence /= evidence.max() or 1
        led = bool(leads.any() and self.tiling.heat_map(boxes, leads.astype(np.float32), height, width).max() >= 0.5)
        return Finding(photo, boxes, probabilities, heat, evidence, self.tiling.cell, self.thresholds, leads, led)

    def _evidence(self, probabilities: np.ndarray, maps: np.ndarray) -> np.ndarray:
        """Returns what in each tile speaks for damage, (n, CELLS, CELLS); 0 in tiles that are not damaged."""
        cracked = probabilities >= self.thresholds.crack
        evidence = np.zeros((len(maps), CELLS, CELLS), np.float32)
        evidence[cracked] = np.maximum(self._network.gradcam.enlarge(maps[cracked], CELLS, CELLS), 0)
        return evidence

    def _batches(self, photo: np.ndarray, boxes: np.ndarray) -> Iterator[np.ndarray]:
        size, count = self._model.image_size, self._network.batch_size
        for start in range(0, len(boxes), count):
            batch = np.zeros((count, size, size, 3), np.uint8)
            for row, (left, top, right, bottom) in enumerate(boxes[start : start + count]):
                batch[row] = resize(photo[top:bottom, left:right], size)
            yield batch
