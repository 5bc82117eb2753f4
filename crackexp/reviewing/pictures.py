"""The pictures of a review: each patch as the model saw it, and what is around it in its photo."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from crackexp.data.images.windows import PhotoSource
from crackexp.predicting.images import Input
from crackexp.reviewing.proposal import Patch
from crackexp.utils.pictures import encode_jpeg, encode_png, shrink

SIDE = 1200
"""The longer side of a picture of the surroundings, in pixels."""
_BAND = 256
"""The number of rows that are read at once between two patches."""


def write_pictures(folder: Path, image: Input, patches: Sequence[Patch]) -> None:
    """Writes the picture of each patch of a photo, pixel by pixel as the photo has them, and of its surroundings.

    Raises:
        ImageError: The photo cannot be read any more.
    """
    for patch, pixels in _windows(image.open(), sorted(patches, key=lambda patch: patch.around[1::2])):
        (left, top, right, bottom), (x, y, _, _) = patch.box, patch.around
        for file, data in (
            (patch.file, encode_png(pixels[top - y : bottom - y, left - x : right - x])),
            (patch.surroundings, encode_jpeg(shrink(pixels, SIDE), 90)),
        ):
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).write_bytes(data)


def _windows(photo: PhotoSource, patches: Sequence[Patch]) -> Iterator[tuple[Patch, np.ndarray]]:
    """Yields the surroundings of patches, which are sorted from the top to the bottom of the photo."""
    read = 0
    for patch in patches:
        left, top, right, bottom = patch.around
        while read < top:  # no row may be left out
            photo.rows(read, min(read + _BAND, top))
            read = min(read + _BAND, top)
        read = max(read, bottom)
        yield patch, photo.rows(top, bottom)[:, left:right]
