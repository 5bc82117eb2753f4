"""Looks at whole photos, tile by tile, with a model of patches."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from crackexp.data.images.decode import ImageError
from crackexp.data.images.pixels import MAX_PIXELS, UnusableImageError, resize
from crackexp.data.images.windows import PhotoSource, open_photo
from crackexp.decisions import SOUND, UNSURE, Thresholds
from crackexp.inference.engine import computing
from crackexp.inference.explainer import Explainer
from crackexp.predicting.predictor import MIN_SIDE, too_small
from crackexp.surveying.regions import Region, find_regions
from crackexp.surveying.tiles import CELLS, MeanMap, Tiling
from crackexp.tracking.models import LoggedModel

Advance = Callable[[float], None]


@dataclass(frozen=True)
class Finding:
    """What was found in one photo.

    Attributes:
        height: of the photo, pixels.
        width: of the photo, pixels.
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

    height: int
    width: int
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
        return find_regions(self.heat, self.thresholds.crack, self.cell, self.height, self.width)

    def verdict(self, mm_per_px: float | None) -> dict[str, Any]:
        """Returns the row of this photo in the table of a survey.

        Args:
            mm_per_px: millimetres of the wall that a pixel of the photo shows; None leaves lengths in pixels alone.
        """
        extent = max((region.extent for region in self.regions), default=0.0)
        row = {
            "width": self.width,
            "height": self.height,
            "decision": self._decision(),
            "cracked_share": sum(region.area for region in self.regions) / (self.height * self.width),
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
        size = {"width": self.width, "height": self.height}
        image = {"name": name, **size, "coordinates": "pixels, x right, y down"}
        return json.dumps({"type": "FeatureCollection", "image": image, "features": features})


class Surveyor:
    """Classifies the tiles of photos.

    Args:
        model: of patches.
        tiling: how photos are cut.
        threshold: of the probability of damage; None: the model's thresholds.
        batch_size: tiles at once; None: what is fastest.
        max_pixels: a photo of more pixels is read in windows, see `open_photo`.
    """

    def __init__(
        self,
        model: LoggedModel,
        tiling: Tiling,
        threshold: float | None = None,
        batch_size: int | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self.tiling = tiling
        self.thresholds = model.thresholds if threshold is None else model.thresholds.moved(threshold)
        self._model = model
        self._network = Explainer(computing(model.classifier), model.classes.indices, None, batch_size)
        self._max_pixels = max_pixels

    def look(self, file: Path, page: int = 0, advance: Advance = lambda share: None) -> tuple[PhotoSource, Finding]:
        """Returns a page of a photo and what is found in it.

        A tile is cut from the photo as it is and scaled as a patch is in training.

        Args:
            file: an image file.
            page: the number of the page, from 0.
            advance: see `look_at`.

        Raises:
            ImageError: the file is no image, or one too small to judge.
        """
        photo = open_photo(file, page, self._max_pixels)
        try:
            return photo, self.look_at(photo, advance)
        except UnusableImageError as error:
            raise ImageError(str(error), file) from None

    def look_at(self, photo: PhotoSource, advance: Advance = lambda share: None) -> Finding:
        """Returns what is found in a photo, as `look` does.

        Args:
            photo: its rows are read once, from the top to the bottom.
            advance: takes the share of the tiles done so far, in (0, 1]; what it raises ends the look.

        Raises:
            UnusableImageError: the photo is too small to judge.
            ImageError: the photo is damaged.
        """
        height, width = photo.height, photo.width
        if min(height, width) < MIN_SIDE:
            raise UnusableImageError(too_small(height, width))
        boxes = self.tiling.boxes(height, width)
        probabilities, leads = np.empty(len(boxes), np.float32), np.empty(len(boxes), bool)
        heat, evidence = MeanMap(self.tiling, height, width), MeanMap(self.tiling, height, width)
        classes, starts = self._model.classes, range(0, len(boxes), self._network.batch_size)
        for start, (outputs, maps) in zip(starts, self._network.stream(self._batches(photo, boxes)), strict=True):
            part = boxes[start : start + self._network.batch_size]
            done = start + len(part)
            damaged = probabilities[start:done] = classes.probability(outputs[: len(part)])
            leads[start:done] = classes.leads(outputs[: len(part)])
            heat.add(part, damaged[:, None, None])
            evidence.add(part, self._evidence(damaged, maps[: len(part)]))
            advance(done / len(boxes))
        shares = evidence.mean()
        shares /= shares.max() or 1
        led = False
        if leads.any():
            votes = MeanMap(self.tiling, height, width)
            votes.add(boxes, leads[:, None, None].astype(np.float32))
            led = bool(votes.mean().max() >= 0.5)
        found = boxes, probabilities, heat.mean(), shares, self.tiling.cell, self.thresholds, leads, led
        return Finding(height, width, *found, photo.doubts)

    def _evidence(self, probabilities: np.ndarray, maps: np.ndarray) -> np.ndarray:
        """Returns what in each tile speaks for damage, (n, CELLS, CELLS); 0 in tiles that are not damaged."""
        cracked = probabilities >= self.thresholds.crack
        evidence = np.zeros((len(maps), CELLS, CELLS), np.float32)
        evidence[cracked] = np.maximum(self._network.gradcam.enlarge(maps[cracked], CELLS, CELLS), 0)
        return evidence

    def _batches(self, photo: PhotoSource, boxes: np.ndarray) -> Iterator[np.ndarray]:
        size, count = self._model.image_size, self._network.batch_size
        for start in range(0, len(boxes), count):
            batch = np.zeros((count, size, size, 3), np.uint8)
            for row, (left, top, right, bottom) in enumerate(boxes[start : start + count]):
                batch[row] = resize(photo.rows(top, bottom)[:, left:right], size)
            yield batch
