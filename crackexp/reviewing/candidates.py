"""The patches of photos from which a review chooses: the tiles of a survey, with what the model makes of each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crackexp.data.accounting import Account
from crackexp.data.images.decode import ImageError
from crackexp.data.images.pixels import resize
from crackexp.inference.base import Engine
from crackexp.models.features import with_features
from crackexp.predicting.images import Input
from crackexp.predicting.predictor import MIN_SIDE, too_small
from crackexp.surveying.tiles import Tiling
from crackexp.tracking.models import LoggedModel
from crackexp.utils.errors import DataError
from crackexp.utils.progress import of_one, progress


@dataclass(frozen=True)
class Candidates:
    """Patches of photos, and what a model makes of them.

    Attributes:
        images: The photos that could be read.
        owners: The photo of each patch, as a number in `images`, (n,) int.
        boxes: The left, top, right and bottom of each patch in pixels of its photo, (n, 4) int.
        sizes: The height and width of the photo of each patch, (n, 2) int.
        probabilities: The probability of damage of each patch, (n,) float32.
        features: The features of each patch, (n, d) float32; see `with_features`.
    """

    images: list[Input]
    owners: np.ndarray
    boxes: np.ndarray
    sizes: np.ndarray
    probabilities: np.ndarray
    features: np.ndarray


class _Tiles:
    """The tiles of photos, one after the other.

    Attributes:
        places: The number of its photo, the box, and the size of the photo of each tile so far.
        read: The numbers of the photos that were read to the end.
    """

    def __init__(self, images: Sequence[Input], tiling: Tiling, size: int, account: Account) -> None:
        self._images, self._tiling, self._size, self._account = images, tiling, size, account
        self.places: list[tuple[int, np.ndarray, tuple[int, int]]] = []
        self.read: list[int] = []

    def batches(self, count: int) -> Iterator[np.ndarray]:
        """Yields the tiles in batches of `count`, scaled to the size of the model; the last is filled up."""
        batch, filled = np.zeros((count, self._size, self._size, 3), np.uint8), 0
        for tile in self._tiles():
            batch[filled] = tile
            filled += 1
            if filled == count:
                yield batch
                batch, filled = np.zeros_like(batch), 0
        if filled:
            yield batch

    def _tiles(self) -> Iterator[np.ndarray]:
        with progress("Looking at photos", len(self._images), "photos") as advance:
            for number, image in enumerate(self._images):
                report_share = of_one(advance)
                try:
                    if image.reason is None:
                        for share, tile in self._tiles_of(number, image):
                            yield tile
                            report_share(share)
                    else:
                        self._account.leave_out(image.name, image.reason, image.may_be_image)
                except ImageError as error:
                    self._account.leave_out(image.name, error.reason)
                report_share(1)

    def _tiles_of(self, number: int, image: Input) -> Iterator[tuple[float, np.ndarray]]:
        photo = image.open()
        size = photo.height, photo.width
        if min(size) < MIN_SIDE:
            raise ImageError(too_small(*size), Path(image.name))
        boxes = self._tiling.boxes(*size)
        for done, (left, top, right, bottom) in enumerate(boxes, 1):
            tile = resize(photo.rows(top, bottom)[:, left:right], self._size)
            self.places.append((number, boxes[done - 1], size))
            yield done / len(boxes), tile
        self.read.append(number)
        self._account.used += 1
        self._account.doubt(image.name, photo.doubts)


def find_candidates(
    model: LoggedModel,
    engine: Engine,
    batch_size: int | None,
    tiling: Tiling,
    images: Sequence[Input],
    account: Account,
) -> Candidates:
    """Cuts photos into tiles, and computes the probability and the features of each.

    An image that is no larger than a tile is a patch of its own.

    Args:
        model: The model, which was trained on patches.
        engine: The engine that computes it.
        batch_size: The number of tiles in a batch; None for the fastest.
        tiling: How photos are cut.
        images: The photos, and names for which there are none.
        account: The account of files, to which the photos are added.

    Raises:
        ConfigError: The model has no features.
        DataError: No photo can be read.
    """
    network = engine.inference(with_features(model.classifier), batch_size)
    tiles = _Tiles(images, tiling, model.image_size, account)
    outputs = [(np.asarray(p), np.asarray(f)) for p, f in network.stream(tiles.batches(network.batch_size))]
    if not tiles.read:
        raise DataError(f"None of the photos can be read. Received: {account.text()}")
    # What was computed of a photo that turned out to be damaged further below does not count.
    place_of = {number: place for place, number in enumerate(tiles.read)}
    rows = np.flatnonzero([number in place_of for number, _, _ in tiles.places])
    probabilities, features = (np.concatenate(part) for part in zip(*outputs, strict=True))
    return Candidates(
        images=[images[number] for number in tiles.read],
        owners=np.array([place_of[tiles.places[row][0]] for row in rows], int),
        boxes=np.array([tiles.places[row][1] for row in rows], int),
        sizes=np.array([tiles.places[row][2] for row in rows], int),
        probabilities=model.classes.probability(probabilities[rows]),
        features=features[rows],
    )
