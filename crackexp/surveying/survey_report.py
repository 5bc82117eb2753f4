"""The folder that a survey writes: pictures, tables and outlines of each photo, and one report over all of them."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from crackexp.data.accounting import Account, Remark
from crackexp.data.classes.decisions import CRACK, Defect
from crackexp.data.images.windows import PhotoSource
from crackexp.predicting.inputs import InputFile
from crackexp.predicting.tables import decision_label
from crackexp.reporting import Card, Column, Gallery, Overlay, Picture, Report, Section, Table
from crackexp.surveying.exif_gps import gps
from crackexp.surveying.overlay import heat_layer, overlay
from crackexp.surveying.surveyor import PhotoResult
from crackexp.utils.csv_text import csv_text
from crackexp.utils.files import replacing
from crackexp.utils.names import file_stem, on_one_line, visible
from crackexp.utils.pictures import encode_jpeg, shrink

SIDE = 1600
"""The longer side of a photo in the page, in pixels."""
SHOWN = 200
"""The number of photos in the page, the most severe ones, at about half a megabyte each. The table has all of them."""
LISTED = 50
"""The number of photos in the table on the terminal."""
SEVERITY = ["cracked_share", "longest_extent_px", "highest_probability"]


def by_severity(rows: Sequence[Mapping[str, Any]], left_out: Sequence[Remark]) -> pd.DataFrame:
    """Returns a table of the photos, the most severe first, followed by the files that were left out.

    Args:
        rows: A row for each photo: `photo`, its name, and the entries of `PhotoResult.verdict`.
        left_out: The files that were left out; the column `reason` says why.
    """
    unread = [{"photo": visible(remark.file), "reason": visible(remark.reason)} for remark in left_out]
    table = pd.DataFrame([*rows, *unread])
    return table.sort_values(SEVERITY, ascending=False, kind="stable") if rows else table


class Survey:
    """Writes the results of a survey, photo by photo.

    Args:
        folder: The folder to write to, which is made if it does not exist.
        defect: The defect that the model looks for.
        mm_per_px: The scale of the photos; see `PhotoResult.verdict`.
        gps: Whether the table has the places where photos were taken, of those whose Exif data has one.
        account: The account of files, to which the photos are added; the caller adds the files that were left out.

    Attributes:
        files: The files that were written so far.
    """

    def __init__(self, folder: Path, defect: Defect, mm_per_px: float | None, gps: bool, account: Account) -> None:
        self.folder = folder
        self.files: list[Path] = []
        self._account = account
        self._defect, self._mm_per_px, self._gps = defect, mm_per_px, gps
        self._rows: list[dict[str, Any]] = []
        self._shown: dict[str, Picture] = {}

    def add(self, file: InputFile, photo: PhotoSource, result: PhotoResult) -> None:
        """Writes the overlays, the tiles and the outlines of one photo, and keeps its entry of the page.

        Args:
            file: The page of a file that holds the photo.
            photo: The photo, read to the end; the overlays are as large as its picture.
            result: The result of the surveyor for the photo.
        """
        name = visible(file.name)
        stem = f"{len(self._rows) + 1:04}_{file_stem(file.name)}"
        row = {"photo": name, **result.verdict(self._mm_per_px), "files": f"photos/{stem}"}
        if result.doubts:
            row["doubt"] = "; ".join(result.doubts)
        if self._gps:
            row["latitude"], row["longitude"] = gps(file.file) or (None, None)
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
        """Returns a table of the photos and of the files that were left out; see `by_severity`."""
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

    def report(self, source: str) -> Report:
        """Returns the report of the survey, with the most severe photos first.

        Args:
            source: The model, the tiles and the threshold, in a line.
        """
        defect, counts = self._defect, self.metrics()
        cracked, photos = int(counts["survey/cracked_photos"]), int(counts["survey/photos"])
        rows = sorted(self._rows, key=_severity, reverse=True)
        outline = "the crack's width or depth" if defect == CRACK else "its outline or depth"
        about = [
            "The most severe photos come first, by the share of the photo that is marked. Click a photo to zoom.",
            f"Tiles that were classified as {defect.adjective} are marked. They are wider than the {defect}, and do "
            f"not show {outline}. Where the network looked is the evidence for {defect.phrase} in them (Grad-CAM), "
            "in full colour at the strongest place of each photo.",
        ]
        cards = [self._card(row) for row in rows]
        folder = self._folder()
        verdicts = _verdicts(rows[:LISTED], folder)
        unread = self._account.left_out
        files, reasons = [remark.file for remark in unread], [remark.reason for remark in unread]
        columns = [Column("file", files), Column("reason", reasons)]
        return Report(
            f"{cracked} of {photos} {'photo shows' if photos == 1 else 'photos show'} {defect.plural}",
            [
                Section(sentences=about, galleries=[Gallery(cards, width=17)], media=["html"]),
                Section(f"Survey of {on_one_line(folder)}", tables=[verdicts], media=["terminal"]),
                *([Section("Not read", tables=[Table(columns)], media=["html"])] if unread else []),
                Section(files={"photos.csv": self.table()}, media=[]),
            ],
            source=f"{source}; {int(counts['survey/tiles']):,} tiles",
        )

    def _folder(self) -> str:
        """Returns the common folder of all photos and other files."""
        names = [*(row["photo"] for row in self._rows), *(visible(remark.file) for remark in self._account.left_out)]
        return os.path.commonpath([Path(name).absolute().parent for name in names])

    def _card(self, row: Mapping[str, Any]) -> Card:
        picture, decision = self._shown.get(row["files"]), row["decision"]
        if decision == self._defect:
            regions = f"{row['regions']} region{'' if row['regions'] == 1 else 's'}"
            longest = f"longest {row['longest_extent_px']:,} px"
            if "longest_extent_mm" in row:
                longest += f" ({row['longest_extent_mm']:,.0f} mm)"
            facts = f"{100 * row['cracked_share']:.1f} % marked · {regions} · {longest}"
        else:
            facts = f"highest probability {row['highest_probability']:.2f}"
        if row.get("latitude") is not None:
            facts += f" · {row['latitude']:.5f}, {row['longitude']:.5f}"
        doubt = [f"In doubt: {row['doubt']}"] if row.get("doubt") else []
        return Card([picture] if picture else [], row["photo"], [facts, *doubt], decision_label(decision))

    def _show(self, stem: str, photo: PhotoSource, result: PhotoResult) -> None:
        rows, columns = result.saliency.shape
        size = round(columns * result.cell, 1), round(rows * result.cell, 1)
        heat = heat_layer(shrink(result.saliency, SIDE))
        overlays = [
            Overlay("regions", "marked regions", [region.path for region in result.regions]),
            Overlay("saliency", "where the network looked", image=heat, size=size),
        ]
        small, row = encode_jpeg(shrink(photo.picture, SIDE), 80), self._rows[-1]
        self._shown[f"photos/{stem}"] = Picture(small, row["photo"], (row["width"], row["height"]), overlays)
        if len(self._shown) > SHOWN:
            ranked = sorted(self._rows, key=_severity)
            least = next(row["files"] for row in ranked if row["files"] in self._shown)
            del self._shown[least]

    def _write(self, file: Path, data: bytes) -> None:
        with replacing(file) as temporary:
            temporary.write_bytes(data)
        self.files.append(file)


def _severity(row: Mapping[str, Any]) -> list[float]:
    return [row[key] for key in SEVERITY]


def _verdicts(rows: Sequence[Mapping[str, Any]], folder: str) -> Table:
    """Returns the table on the terminal, in which the paths of photos are relative to their common folder."""
    names = [row["photo"] for row in rows]
    extents = [row["longest_extent_px"] for row in rows]
    return Table(
        [
            Column("photo", [on_one_line(os.path.relpath(name, folder)) for name in names]),
            Column("decision", [row["decision"] for row in rows]),
            Column("marked", [f"{row['cracked_share']:.1%}" for row in rows], numeric=True),
            Column("regions", [str(row["regions"]) for row in rows], numeric=True),
            Column("longest extent", [f"{extent:,.0f} px" for extent in extents], extents, numeric=True),
        ]
    )
