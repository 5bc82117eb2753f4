"""The folder that an explanation writes: each image beside its saliency overlay, a table, and a page over all."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from crackexp import __version__
from crackexp.data.images.decode import load_image
from crackexp.decisions import Defect
from crackexp.evaluation.figures.evidence import evidence
from crackexp.files import replacing, write_text
from crackexp.names import file_stem
from crackexp.predicting.inputs import InputFile
from crackexp.progress import progress
from crackexp.templates import render
from crackexp.utils.pictures import encode_jpeg

SIDE = 480
"""The longer side of an image in its picture, in pixels."""
SHOWN = 1000
"""The number of images in the page, those with the highest probability of damage. The table has all of them."""


class Explanations:
    """Writes which parts of images speak for a class, some images at a time.

    Args:
        folder: The folder to write to, which is made where it is missing.
        target: The class that is explained.
        enlarge: The function that brings maps to the size of an image; see `GradCam.enlarge`.

    Attributes:
        page: The file of the report.
    """

    def __init__(self, folder: Path, target: str, enlarge: Callable[[np.ndarray, int, int], np.ndarray]) -> None:
        self.folder = folder
        self.page = folder / "report.html"
        self._target, self._enlarge = target, enlarge
        self._count = 0
        self._shown = pd.DataFrame({"probability": pd.array([], "Float32")})

    def add(self, inputs: Sequence[InputFile], rows: pd.DataFrame, maps: np.ndarray) -> pd.DataFrame:
        """Writes a picture of each image that could be read: the image, and beside it the image with its saliency map.

        Args:
            inputs: The n pages of files.
            rows: What the model says of each of them; see `Predictor.explained`.
            maps: The saliency maps, (n, h, w) float32.

        Returns:
            `rows` with the column `picture`, the file in the folder; it is empty where there is none.
        """
        pictures: list[str | None] = []
        with progress("Drawing", len(rows)) as advance:
            for one, row, cells in zip(inputs, rows.itertuples(), maps, strict=True):
                self._count += 1
                name = f"images/{self._count:05}_{file_stem(one.name)}.jpg" if pd.isna(row.reason) else None
                if name:
                    with replacing(self.folder / name) as temporary:
                        temporary.write_bytes(encode_jpeg(self._picture(one, cells), 90))
                pictures.append(name)
                advance(1)
        rows = rows.assign(picture=pd.array(pictures, "string"))
        self._shown = pd.concat([self._shown, rows.dropna(subset="picture")]).nlargest(SHOWN, "probability")
        return rows

    def finish(self, how: str, counts: Mapping[str, int], defect: Defect) -> None:
        """Writes the page.

        Args:
            how: The model, the layer and the threshold, in a line.
            counts: The number of images by decision; see `Predictor`.
            defect: What the model looks for.
        """
        page = render(
            "crackexp.predicting",
            "explanations.html",
            rows=self._shown.astype(object).where(self._shown.notna(), None).to_dict("records"),
            target=self._target,
            counts=counts,
            defect=defect,
            how=how,
            version=__version__,
        )
        write_text(self.page, page)

    def _picture(self, one: InputFile, cells: np.ndarray) -> np.ndarray:
        image = load_image(one.file, one.page)
        height, width = image.shape[:2]
        scale = SIDE / max(height, width)
        size = max(round(width * scale), 1), max(round(height * scale), 1)
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
        (scores,) = self._enlarge(cells[None], size[1], size[0])
        return np.hstack([image, evidence(image, scores)])
