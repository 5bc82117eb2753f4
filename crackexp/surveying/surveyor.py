"""Surveys whole photos, tile by tile, with a model that was trained on patches."""

import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from crackexp.data.accounting import Account
from crackexp.data.classes.decisions import SOUND, UNSURE, Thresholds
from crackexp.data.images.decode import ImageError
from crackexp.data.images.pixels import MAX_PIXELS, UnusableImageError, resize
from crackexp.data.images.windows import PhotoSource
from crackexp.evaluation.calibration import Calibration
from crackexp.evaluation.photo_baseline import MOST_RAISED, baseline_of
from crackexp.inference.base import Engine
from crackexp.inference.engine import computing, padded_batches
from crackexp.inference.explainer import Explainer
from crackexp.inference.xla import Xla
from crackexp.predicting.images import Input
from crackexp.predicting.predictor import MIN_SIDE, too_small
from crackexp.surveying.joining import join_in_line
from crackexp.surveying.outlines import simplified
from crackexp.surveying.regions import Region, find_regions
from crackexp.surveying.tiles import CELLS, MeanMap, Tiling
from crackexp.tracking.models import LoggedModel
from crackexp.utils.progress import of_one, progress

EXPLAINED_TILES = 256
"""The number of damaged tiles that are kept before their maps are made; at 160 px they take 20 MB."""
_UNUSUAL = (
    "most tiles seem damaged, so they are judged by what stands out: the photo is damaged all over, or of a kind that "
    "the model does not know"
)
Advance = Callable[[float], None]


@dataclass(frozen=True)
class RegionRules:
    """Which pieces are one region, and which regions count. Lengths are in sides of a tile.

    Attributes:
        join: The largest distance between two pieces in line that are joined; see `join_in_line`. 0 joins none.
        min_extent: The least extent of a region that counts; see `Region.extent`. It is no more than the shorter side
            of a photo, so that no photo is too small to be cracked. 0 drops none.
    """

    join: float = 1.5
    min_extent: float = 1.5


@dataclass(frozen=True)
class PhotoResult:
    """The result of the survey of one photo.

    Attributes:
        height: The height of the photo in pixels.
        width: The width of the photo in pixels.
        boxes: (n, 4) int32, the left, top, right and bottom of the tiles in pixels.
        probabilities: (n,) float32, the probability of damage of each tile.
        heat: (h, w) float32, the mean probability of the tiles over each cell.
        saliency: (h, w) float32 in [0, 1], the Grad-CAM map of the damaged tiles: its mean over each cell, relative to
            the largest value in the photo.
        cell: The side of a cell in pixels of the photo.
        thresholds: The thresholds of the mean probability at which decisions change.
        leads: (n,) bool, whether the most probable class of a tile is damage; see `Classes.leads`.
        led: Whether that holds for half of the tiles over some cell, so that the photo is not called sound.
        unusual: Whether most tiles seem damaged and are judged relative to that, so that the photo is not called sound.
        doubts: What is odd about the photo, a few words each.
        rules: Which pieces are one region, and which regions count.
        step: The distance from a tile to the next in pixels. Outlines in GeoJSON are exact to half of it.
    """

    height: int
    width: int
    boxes: np.ndarray
    probabilities: np.ndarray
    heat: np.ndarray
    saliency: np.ndarray
    cell: float
    thresholds: Thresholds
    leads: np.ndarray
    led: bool
    unusual: bool = False
    doubts: tuple[str, ...] = ()
    rules: RegionRules = RegionRules()
    step: float = 0.0

    @cached_property
    def regions(self) -> list[Region]:
        """The damaged regions that count, the largest first."""
        side = self.cell * CELLS
        least = min(self.rules.min_extent * side, self.height, self.width)
        return [region for region in self._all_regions if region.extent >= least]

    @cached_property
    def _all_regions(self) -> list[Region]:
        """The damaged regions, with those that are too small to count."""
        side = self.cell * CELLS
        pieces = find_regions(self.heat, self.thresholds.crack, self.cell, self.height, self.width)
        return join_in_line(pieces, self.rules.join * side, side)

    def verdict(self, mm_per_px: float | None) -> dict[str, Any]:
        """Returns the row of this photo in the table of a survey.

        Args:
            mm_per_px: The millimetres of the wall that a pixel of the photo shows; None leaves lengths in pixels.
        """
        extents = [region.extent for region in self.regions] or [0.0]
        row = {
            "width": self.width,
            "height": self.height,
            "decision": self._decision(),
            "total_extent_px": round(sum(extents)),
            "cracked_share": sum(region.area for region in self.regions) / (self.height * self.width),
            "regions": len(self.regions),
            "longest_extent_px": round(max(extents)),
            "highest_probability": float(self.probabilities.max()),
            "tiles": len(self.boxes),
            "cracked_tiles": int((self.probabilities >= self.thresholds.crack).sum()),
            "joined_pieces": sum(len(region.pieces) for region in self.regions if len(region.pieces) > 1),
            "dropped_regions": len(self._all_regions) - len(self.regions),
        }
        if mm_per_px is None:
            return row
        in_mm = {"longest_extent_mm": max(extents), "total_extent_mm": sum(extents)}
        return {**row, **{name: round(extent * mm_per_px, 1) for name, extent in in_mm.items()}}

    def tiles(self) -> pd.DataFrame:
        """Returns a table of the tiles: left, top, right, bottom, probability and decision."""
        table = pd.DataFrame(self.boxes, columns=["left", "top", "right", "bottom"])
        table["probability"] = self.probabilities
        table["decision"] = self.thresholds.decide(self.probabilities, self.leads)
        return table

    def _decision(self) -> str:
        if self.regions:
            return self.thresholds.defect.value
        # A photo whose regions are all too small to count is not sound either.
        return UNSURE if self.heat.max() >= self.thresholds.unsure or self.led or self.unusual else SOUND

    def geojson(self, name: str, mm_per_px: float | None) -> str:
        """Returns the regions as GeoJSON, with x to the right and y down, in pixels of the photo.

        A region of one piece is a Polygon, and of several a MultiPolygon. Their corners are fewer than those of the
        regions and at most half a step of the tiles away; see `simplified`. Areas and extents are those of the regions.
        """
        features = [
            {
                "type": "Feature",
                "geometry": _geometry(simplified(region, self.step / 2)),
                "properties": {"area_px": round(region.area), "extent_px": round(region.extent)}
                | ({} if mm_per_px is None else {"extent_mm": round(region.extent * mm_per_px, 1)}),
            }
            for region in self.regions
        ]
        size = {"width": self.width, "height": self.height}
        image = {"name": name, **size, "coordinates": "pixels, x right, y down"}
        return json.dumps({"type": "FeatureCollection", "image": image, "features": features})


def _geometry(region: Region) -> dict[str, Any]:
    polygons = [[ring.round(1).tolist() for ring in piece] for piece in region.pieces]
    if len(polygons) == 1:
        return {"type": "Polygon", "coordinates": polygons[0]}
    return {"type": "MultiPolygon", "coordinates": polygons}


class Surveyor:
    """Classifies the tiles of photos.

    Args:
        model: The model, which was trained on patches.
        tiling: How photos are cut into tiles.
        threshold: The threshold of the probability of damage; None takes the thresholds of the model.
        batch_size: The number of tiles in a batch; None takes the fastest.
        max_pixels: A photo of more pixels is read in windows; see `open_photo`.
        rules: Which pieces are one region, and which regions count; None for the defaults.
        engine: The engine that classifies the tiles; None takes XLA. The maps of damaged tiles take gradients, which
            JAX computes.
        explains: Whether maps of the damaged tiles are made; `PhotoResult.saliency` is 0 everywhere where they are not.
        relative: Whether tiles are judged relative to what is usual in their photo, see `PhotoBaseline`.
    """

    def __init__(
        self,
        model: LoggedModel,
        tiling: Tiling,
        threshold: float | None = None,
        batch_size: int | None = None,
        max_pixels: int = MAX_PIXELS,
        rules: RegionRules | None = None,
        engine: Engine | None = None,
        explains: bool = True,
        relative: bool = False,
    ) -> None:
        self.tiling, self.rules = tiling, rules or RegionRules()
        self.thresholds = model.thresholds if threshold is None else model.thresholds.moved(threshold)
        self._model = model
        self._network = (engine or Xla()).inference(model.classifier, batch_size)
        self._max_pixels, self._explains, self._relative = max_pixels, explains, relative

    def __str__(self) -> str:
        return f"tiles of {self.tiling.side} px, {self.thresholds}"

    def survey(self, image: Input, advance: Advance = lambda share: None) -> tuple[PhotoSource, PhotoResult]:
        """Opens an image and surveys it.

        Args:
            image: The page of a file, or an array.
            advance: A function that is called with the share of the tiles that are done; see `survey_photo`.

        Raises:
            ImageError: The file is no image, or the image is too small.
        """
        photo = image.open(self._max_pixels)
        try:
            return photo, self.survey_photo(photo, advance)
        except UnusableImageError as error:
            raise ImageError(str(error), Path(image.name)) from None

    def survey_all(self, images: Sequence[Input], account: Account) -> Iterator[tuple[Input, PhotoSource, PhotoResult]]:
        """Surveys images one after the other, and shows the progress.

        Args:
            images: The images, and names for which there are none.
            account: The account of files, to which those are added that cannot be read.

        Yields:
            Each image that can be read, with the photo and the result; see `survey`.
        """
        with progress("Surveying", len(images), "photos") as advance:
            for image in images:
                report_share = of_one(advance)
                try:
                    if image.reason is None:
                        yield image, *self.survey(image, report_share)
                    else:
                        account.leave_out(image.name, image.reason, image.may_be_image)
                except ImageError as error:
                    account.leave_out(image.name, error.reason)
                report_share(1)

    def survey_photo(self, photo: PhotoSource, advance: Advance = lambda share: None) -> PhotoResult:
        """Classifies the tiles of a photo.

        A tile is cut from the photo as it is, and scaled as a patch is in training.

        Args:
            photo: The photo, whose rows are read once, from the top to the bottom.
            advance: A function that is called with the share of the tiles that are done, in (0, 1]. An exception that
                it raises ends the survey.

        Raises:
            UnusableImageError: The photo is too small.
            ImageError: The photo is damaged.
        """
        height, width = photo.height, photo.width
        if min(height, width) < MIN_SIDE:
            raise UnusableImageError(too_small(height, width))
        boxes = self.tiling.boxes(height, width)
        outputs, explained = self._classified(photo, boxes, advance)
        classes, heat = self._model.classes, MeanMap(self.tiling, height, width)
        baseline = baseline_of(outputs, classes.indices)
        unusual = self._relative and baseline.seems_damaged(self.thresholds.unsure)
        if self._relative:
            outputs = baseline.shift(outputs, classes.indices)
        probabilities, leads = classes.probability(outputs), classes.leads(outputs)
        heat.add(boxes, probabilities[:, None, None])
        led = False
        if leads.any():
            votes = MeanMap(self.tiling, height, width)
            votes.add(boxes, leads[:, None, None].astype(np.float32))
            led = bool(votes.mean().max() >= 0.5)
        return PhotoResult(
            height=height,
            width=width,
            boxes=boxes,
            probabilities=probabilities,
            heat=heat.mean(),
            saliency=self._saliency(photo, boxes, probabilities >= self.thresholds.crack, explained),
            cell=self.tiling.cell,
            thresholds=self.thresholds,
            leads=leads,
            led=led,
            unusual=unusual,
            doubts=(*photo.doubts, *([_UNUSUAL] if unusual else [])),
            rules=self.rules,
            step=self.tiling.step,
        )

    def _classified(
        self, photo: PhotoSource, boxes: np.ndarray, advance: Advance
    ) -> tuple[np.ndarray, dict[int, np.ndarray]]:
        """Returns the probabilities of the n tiles, (n, c) float32, and the maps of those that may count as damaged.

        The maps, (CELLS, CELLS) float32 by the numbers of the tiles, are made while the photo is read.
        """
        network, classes = self._network, self._model.classes
        outputs = np.empty((len(boxes), len(classes.names)), np.float32)
        raised = Calibration(shift=MOST_RAISED if self._relative else 0.0)
        waiting: deque[np.ndarray] = deque()
        damaged: list[tuple[int, np.ndarray]] = []
        explained: dict[int, np.ndarray] = {}
        batches, starts = self._batches(photo, boxes, waiting), range(0, len(boxes), network.batch_size)
        for start, batch in zip(starts, network.stream(batches), strict=True):
            done = min(start + network.batch_size, len(boxes))
            outputs[start:done] = batch[: done - start]
            tiles = waiting.popleft()
            if self._explains:
                most = classes.probability(raised(outputs[start:done], classes.indices))
                damaged += [(start + row, tiles[row]) for row in np.flatnonzero(most >= self.thresholds.crack).tolist()]
            if len(damaged) >= EXPLAINED_TILES or (done == len(boxes) and damaged):
                explained |= self._explained(damaged)
                damaged = []
            advance(done / len(boxes))
        return outputs, explained

    def _saliency(
        self, photo: PhotoSource, boxes: np.ndarray, damaged: np.ndarray, explained: dict[int, np.ndarray]
    ) -> np.ndarray:
        """Returns the mean of the maps of the damaged tiles over each cell, relative to the largest value."""
        saliency = MeanMap(self.tiling, photo.height, photo.width)
        shown = np.asarray([number for number in explained if damaged[number]], int)
        others = np.setdiff1d(np.arange(len(boxes)), shown)
        saliency.add(boxes[others], np.zeros((len(others), 1, 1), np.float32))
        if len(shown):
            saliency.add(boxes[shown], np.stack([explained[number] for number in shown]))
        mean = saliency.mean()
        return mean / (mean.max() or 1)

    @cached_property
    def _explainer(self) -> Explainer:
        """The network that makes maps, which is compiled for the first photo with damaged tiles."""
        model = self._model
        return Explainer(computing(model.classifier), model.classes.indices, None, self._network.batch_size)

    def _explained(self, damaged: Sequence[tuple[int, np.ndarray]]) -> dict[int, np.ndarray]:
        """Returns the Grad-CAM maps of tiles without what speaks against damage, (CELLS, CELLS), by their numbers."""
        numbers, tiles = zip(*damaged, strict=True)
        explainer = self._explainer
        outputs = explainer.stream(padded_batches(np.stack(tiles), explainer.batch_size))
        maps = np.concatenate([maps for _, maps in outputs])[: len(tiles)]
        return dict(zip(numbers, np.maximum(explainer.gradcam.enlarge(maps, CELLS, CELLS), 0), strict=True))

    def _batches(self, photo: PhotoSource, boxes: np.ndarray, read: deque[np.ndarray]) -> Iterator[np.ndarray]:
        """Yields the tiles in batches, and appends each batch to `read`."""
        size, count = self._model.image_size, self._network.batch_size
        for start in range(0, len(boxes), count):
            batch = np.zeros((count, size, size, 3), np.uint8)
            for row, (left, top, right, bottom) in enumerate(boxes[start : start + count]):
                batch[row] = resize(photo.rows(top, bottom)[:, left:right], size)
            read.append(batch)
            yield batch
