"""Surveys whole photos, tile by tile, with a model that was trained on patches."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from crackexp.data.accounting import Account
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
from crackexp.surveying.photo_result import PhotoResult, RegionRules
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
        relative: Whether tiles are judged relative to what is usual in their photo, see `PhotoBaseline`. None is for
            True, unless the model was calibrated for a site: then its threshold is one of tiles as they are.
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
        relative: bool | None = False,
    ) -> None:
        self.tiling, self.rules = tiling, rules or RegionRules()
        self.thresholds = model.thresholds if threshold is None else model.thresholds.moved(threshold)
        self._model = model
        self._network = (engine or Xla()).inference(model.classifier, batch_size)
        self._max_pixels, self._explains = max_pixels, explains
        self._relative = not model.facts.calibrations if relative is None else relative

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
