"""The folder that an explanation writes: each image beside its saliency overlay, a table, and a page."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from crackexp.data.classes.decisions import Defect
from crackexp.predicting.images import Input
from crackexp.predicting.inputs import name_below
from crackexp.predicting.predictor import UNREAD
from crackexp.predicting.tables import decision_label
from crackexp.reporting import Card, Gallery, Label, Picture, Report, Section
from crackexp.reporting.figures.evidence import evidence
from crackexp.utils.files import replacing
from crackexp.utils.names import file_stem
from crackexp.utils.pictures import encode_jpeg
from crackexp.utils.progress import progress

SIDE = 480
"""The longer side of an image in its picture, in pixels."""
SHOWN = 1000
"""The number of images in the page, those with the highest probability of damage. The table has all of them."""


class Explanations:
    """Writes pictures of the evidence for a class in images, some images at a time.

    Args:
        folder: The folder to write to, which is made if it does not exist.
        target: The class that is explained.
        enlarge: A function that enlarges maps to the size of an image; see `GradCam.enlarge`.
        base: The folder to which the names of images are relative in the page.
    """

    def __init__(
        self, folder: Path, target: str, enlarge: Callable[[np.ndarray, int, int], np.ndarray], base: Path = Path()
    ) -> None:
        self.folder, self._base = folder, base
        self._target, self._enlarge = target, enlarge
        self._count = 0
        self._shown = pd.DataFrame({"probability": pd.array([], "Float32")})

    def add(self, inputs: Sequence[Input], rows: pd.DataFrame, maps: np.ndarray) -> pd.DataFrame:
        """Writes a picture of each image that could be read: the image, and beside it the image with its saliency map.

        Args:
            inputs: The n pages of files.
            rows: The predictions for each of them; see `ExplainingPredictor.explained`.
            maps: The saliency maps, (n, h, w) float32.

        Returns:
            `rows` with the column `picture`, the path of the picture in the folder; empty for a file that was not read.
        """
        pictures: list[str | None] = []
        with progress("Drawing", len(rows)) as advance:
            for file, row, saliency in zip(inputs, rows.itertuples(), maps, strict=True):
                self._count += 1
                name = f"images/{self._count:05}_{file_stem(file.name)}.jpg" if pd.isna(row.reason) else None
                if name:
                    with replacing(self.folder / name) as temporary:
                        temporary.write_bytes(encode_jpeg(self._picture(file, saliency), 90))
                pictures.append(name)
                advance(1)
        rows = rows.assign(picture=pd.array(pictures, "string"))
        self._shown = pd.concat([self._shown, rows.dropna(subset="picture")]).nlargest(SHOWN, "probability")
        return rows

    def report(self, source: str, counts: Mapping[str, int], defect: Defect) -> Report:
        """Returns a report with the pictures, those with the highest probability of damage first.

        Args:
            source: The model, the layer and the threshold, in a line.
            counts: The number of images by decision; see `Predictor`.
            defect: The defect that the model looks for.
        """
        rows = self._shown.astype(object).where(self._shown.notna(), None).to_dict("records")
        totals = ", ".join(f"{count:,} {'not read' if name == UNREAD else name}" for name, count in counts.items())
        read = sum(count for name, count in counts.items() if name != UNREAD)
        shown = f"the {len(rows):,} most probable" if len(rows) < read else "the most probable"
        about = [
            f"{totals}; {shown} {defect.plural} first.",
            f"Grad-CAM shows what influenced the network, not the outline of the {defect}. In each image the strongest "
            "place has full colour.",
        ]
        gallery = Gallery([self._card(row, defect) for row in rows], width=24)
        labels = [Label(f"for {self._target}", "danger"), Label(f"against {self._target}", "primary")]
        title = f"Evidence for and against {self._target}"
        return Report(title, [Section(sentences=about, galleries=[gallery])], labels=labels, source=source)

    def _card(self, row: Mapping[str, Any], defect: Defect) -> Card:
        name = name_below(self._base, row["path"])
        alt = f"{name} and the evidence for and against {self._target} in it"
        facts = f"probability of {defect.phrase} {row['probability']:.3f}"
        facts += f" · {row['doubt']}" if row["doubt"] else ""
        label = decision_label(row["decision"])
        return Card([Picture(row["picture"], alt)], name, [facts], label)

    def _picture(self, image: Input, saliency: np.ndarray) -> np.ndarray:
        pixels = image.read().pixels
        height, width = pixels.shape[:2]
        scale = SIDE / max(height, width)
        size = max(round(width * scale), 1), max(round(height * scale), 1)
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
        (scores,) = self._enlarge(saliency[None], size[1], size[0])
        return np.hstack([pixels, evidence(pixels, scores)])
