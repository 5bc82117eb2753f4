"""The folder that a survey writes: pictures, tables and outlines of each photo, and one page over all of them."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from crackexp import __version__
from crackexp.csv_text import csv_text
from crackexp.data.accounting import Account, Remark
from crackexp.data.images.windows import PhotoSource
from crackexp.decisions import Defect
from crackexp.files import replacing, write_text
from crackexp.names import file_stem, visible
from crackexp.predicting.inputs import InputFile
from crackexp.surveying.exif_gps import gps
from crackexp.surveying.overlay import heat_layer, overlay
from crackexp.surveying.surveyor import PhotoResult
from crackexp.templates import render
from crackexp.utils.pictures import encode_jpeg, shrink

SIDE = 1600
"""The longer side of a photo in the page, in pixels."""
SHOWN = 200
"""The number of photos in the page, the most severe ones, at about half a megabyte each. The table has all of them."""
SEVERITY = ["cracked_share", "longest_extent_px", "highest_probability"]


@dataclass(frozen=True)
class _Picture:
    plain: str
    outlines: list[str]
    saliency: str
    saliency_size: tuple[float, float]


def by_severity(rows: Sequence[Mapping[str, Any]], left_out: Sequence[Remark]) -> pd.DataFrame:
    """Returns a table of the verdicts on photos, the most severe first, and then of the files that were left out.

    Args:
        rows: A row for each photo: `photo`, its name, and the entries of `PhotoResult.verdict`.
        left_out: The files without a photo; the column `reason` says why.
    """
    table = pd.DataFrame([*rows, *({"photo": visible(one.file), "reason": visible(one.reason)} for one in left_out)])
    return table.sort_values(SEVERITY, ascending=False, kind="stable") if rows else table


class Survey:
    """Writes the results of a survey, photo by photo.

    Args:
        folder: The folder to write to, which is made where it is missing.
        defect: What the model looks for.
        mm_per_px: The scale of the photos; see `PhotoResult.verdict`.
        gps: Whether the table says where photos were taken, as far as they know.
        account: The account of files, to which the photos are added; the caller adds the files that were left out.

    Attributes:
        files: The files that were written so far.
        page: The file of the report.
    """

    def __init__(self, folder: Path, defect: Defect, mm_per_px: float | None, gps: bool, account: Account) -> None:
        self.folder = folder
        self.page = folder / "report.html"
        self.files: list[Path] = []
        self._account = account
        self._defect, self._mm_per_px, self._gps = defect, mm_per_px, gps
        self._rows: list[dict[str, Any]] = []
        self._shown: dict[str, _Picture] = {}

    def add(self, one: InputFile, photo: PhotoSource, result: PhotoResult) -> None:
        """Writes the overlays, the tiles and the outlines of one photo, and keeps what the page shows of it.

        Args:
            one: The page of a file.
            photo: The photo, read to the end; the overlays are as large as its picture.
            result: What the surveyor found in it.
        """
        name = visible(one.name)
        stem = f"{len(self._rows) + 1:04}_{file_stem(one.name)}"
        row = {"photo": name, **result.verdict(self._mm_per_px), "files": f"photos/{stem}"}
        if result.doubts:
            row["doubt"] = "; ".join(result.doubts)
        if self._gps:
            row["latitude"], row["longitude"] = gps(one.file) or (None, None)
        self._account.used += 1
        self._account.doubt(name, result.doubts)
        base = self.folder / "photos" / stem
        regions = [region.scaled(1 / photo.reduction) for region in result.regions]
        for suffix, heat, marked in (("jpg", result.heat, regions), ("gradcam.jpg", result.saliency, [])):
            picture = overlay(photo.picture, heat, result.cell / photo.reduction, marked)
            self._write(base.with_name(f"{stem}.{suffix}"), encode_jpeg(picture, 90))
        self._write(base.with_name(f"{stem}.tiles.csv"), csv_text(result.tiles()).encode())
        self._write(base.with_name(f"{stem}.geojson"), result.geojson(name, self._mm_per_px).encode())
        self._rows.append(row)
        self._show(stem, photo, result)

    def table(self) -> pd.DataFrame:
        """Returns the verdict on each photo, the most severe first. The last column says why a file was not read."""
        return by_severity(self._rows, self._account.left_out)

    def metrics(self) -> dict[str, float]:
        """Returns the metrics of the whole survey by name."""
        cracked = sum(row["decision"] == self._defect for row in self._rows)
        tiles = sum(row["tiles"] for row in self._rows)
        counts = {
            "photos": len(self._rows),
            "cracked_photos": cracked,
            "unread": len(self._account.left_out),
            "tiles": tiles,
        }
        return {f"survey/{name}": float(count) for name, count in counts.items()}

    def finish(self, how: str) -> None:
        """Writes the table of all photos and the page.

        Args:
            how: The model, the tiles and the threshold, in a line.
        """
        table = self.table()
        self._write(self.folder / "photos.csv", csv_text(table).encode())
        read = table[table["files"].notna()] if self._rows else table[:0]
        page = render(
            "crackexp.surveying",
            "survey_report.html",
            rows=read.astype(object).where(read.notna(), None).to_dict("records"),
            pictures=self._shown,
            metrics={name.removeprefix("survey/"): int(value) for name, value in self.metrics().items()},
            unread=self._account.left_out,
            how=how,
            version=__version__,
            defect=self._defect,
        )
        write_text(self.page, page)
        self.files.append(self.page)

    def _show(self, stem: str, photo: PhotoSource, result: PhotoResult) -> None:
        small = shrink(photo.picture, SIDE)
        outlines = [region.path for region in result.regions]
        files = encode_jpeg(small, 80), heat_layer(shrink(result.saliency, SIDE))
        plain, saliency = (base64.b64encode(data).decode() for data in files)
        rows, columns = result.saliency.shape
        size = round(columns * result.cell, 1), round(rows * result.cell, 1)
        self._shown[f"photos/{stem}"] = _Picture(plain, outlines, saliency, size)
        if len(self._shown) > SHOWN:
            ranked = sorted(self._rows, key=lambda row: [row[key] for key in SEVERITY])
            least = next(row["files"] for row in ranked if row["files"] in self._shown)
            del self._shown[least]

    def _write(self, file: Path, data: bytes) -> None:
        with replacing(file) as temporary:
            temporary.write_bytes(data)
        self.files.append(file)
