"""Images as Python has them, beside the files of a command line: both are read and named in the same way."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from crackexp.data.accounting import Account
from crackexp.data.images.pixels import MAX_PIXELS, DecodedImage
from crackexp.data.images.windows import PhotoSource, WholePhoto
from crackexp.predicting.inputs import InputFile, find_inputs
from crackexp.utils.errors import DataError

Images = str | Path | np.ndarray | Sequence[str | Path | np.ndarray]
"""A file, a folder, a pattern or an array (H, W, 3) uint8 RGB, or a list of them; or an array (n, H, W, 3)."""


@dataclass(frozen=True)
class InputArray:
    """An image that is an array.

    Attributes:
        name: The name of the image in tables, such as "array 0".
        pixels: The image, (H, W, 3) uint8 RGB.
    """

    name: str
    pixels: np.ndarray
    reason: ClassVar[None] = None
    may_be_image: ClassVar[bool] = True

    def read(self) -> DecodedImage:
        """Returns the image, with what is odd about it."""
        return DecodedImage(self.pixels, (), 1)

    def open(self, max_pixels: int = MAX_PIXELS) -> PhotoSource:
        """Returns the image as a photo, whatever its size."""
        return WholePhoto(self.pixels, self.read().doubts)


Input = InputFile | InputArray
"""An image that is classified, or a name for which there is none."""


def named_images(images: Images, account: Account) -> list[Input]:
    """Returns the images that a caller names or hands over, in their order.

    Raises:
        DataError: There are none, or an array has another shape or dtype.
    """
    if isinstance(images, (str, Path)) or (isinstance(images, np.ndarray) and images.ndim == 3):
        images = [images]
    found: list[Input] = []
    for number, image in enumerate(images):
        if isinstance(image, (str, Path)):
            found += find_inputs([str(image)], (), account)
        else:
            found.append(_array(image, number))
    if all(image.reason for image in found):
        reasons = "; ".join(f"{image.name}: {image.reason}" for image in found) or "[]"
        raise DataError(f"There are no images to read. Pass files, folders, patterns or arrays. Received: {reasons}")
    return found


def _array(image: np.ndarray, number: int) -> InputArray:
    pixels = np.asarray(image)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise DataError(
            f"An array is an image (H, W, 3) of uint8, in RGB. Received: array {number} of shape {pixels.shape} and "
            f"{pixels.dtype}"
        )
    return InputArray(f"array {number}", pixels)
