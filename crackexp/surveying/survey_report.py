"""The folder that a survey writes: pictures, tables and outlines of each photo, and one report over all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from crackexp.data.accounting import Account, Remark
from crackexp.data.classes.decisions import CRACK, Defect
from crackexp.data.images.windows import PhotoSource
from crackexp.predicting.images import Input
from crackexp.predicting.inputs import InputFile, name_below
from crackexp.predicting.tables import decision_label
from crackexp.reporting import Card, Column, Gallery, Overlay, Picture, Report, Section, Table, artifacts, pdf, stored
from crackexp.reporting.formatting import counted
from crackexp.surveying.exif_gps import gps
from crackexp.surveying.overlay import heat_layer, overlay
from crackexp.surveying.photo_result import PhotoResult, RegionRules
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
SEVERITY = ["total_extent_px", "cracked_share", "highest_probability"]
"""The columns that say how severe a photo is: first the length of the damage, the extents of its regions in total."""


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
    """Keeps the results of a survey, photo by photo, and writes them.

    Args:
        folder: The folder to write to, which is made if it does not exist; None writes nothing.
        defect: The defect that the model looks for.
        mm_per_px: The scale of the photos; see `PhotoResult.verdict`.
        gps: Whether the table has the places where photos were taken, of those whose Exif data has one.
        account: The account of files, to which the photos are added; the caller adds the files that were left out.
        base: The folder to which the names of photos are relative in the report and all files.

    Attributes:
        files: The files that were written so far.
        rows: The row of each photo in the table, in the order in which they were added.
    """

    def __init__(
        self,
        folder: Path | None,
        defect: Defect,
        mm_per_px: float | None,
        gps: bool,
        account: Account,
        base: Path = Path(),
    ) -> None:
        self.folder = folder
        self.files: list[Path] = []
        self._account, self._base = account, base
        self._rules = RegionRules()
        self._defect, self._mm_per_px, self._gps = defect, mm_per_px, gps
        self.rows: list[dict[str, Any]] = []
        self._shown: dict[str, Picture] = {}

    def add(self, image: Input, photo: PhotoSource, result: PhotoResult) -> None:
        """Keeps the verdict of one photo and its entry of the page, and writes its overlays, tiles and outlines.

        Args:
            image: The page of a file that holds the photo, or an array.
            photo: The photo, read to the end; the overlays are as large as its picture.
            result: The result of the surveyor for the photo.
        """
        name = self.name(image.name)
        self._rules = result.rules
        stem = f"{len(self.rows) + 1:04}_{file_stem(image.name)}"
        row = {"photo": name, **result.verdict(self._mm_per_px)}
        if self.folder is not None:
            row["files"] = f"photos/{stem}"
        if result.doubts:
            row["doubt"] = "; ".join(result.doubts)
        if self._gps:
            place = gps(image.file) if isinstance(image, InputFile) else None
            row["latitude"], row["longitude"] = place or (None, None)
        self._account.used += 1
        self._account.doubt(visible(image.name), result.doubts)
        self.rows.append(row)
        if self.folder is None:
            return
        base = self.folder / "photos" / stem
        regions = [region.scaled(1 / photo.reduction) for region in result.regions]
        for suffix, heat, marked in (("jpg", result.heat, regions), ("gradcam.jpg", result.saliency, [])):
            picture = overlay(photo.picture, heat, result.cell / photo.reduction, marked)
            self._write(base.with_name(f"{stem}.{suffix}"), encode_jpeg(picture, 90))
        self._write(base.with_name(f"{stem}.tiles.csv"), csv_text(result.tiles()).encode())
        self._write(base.with_name(f"{stem}.geojson"), result.geojson(name, self._mm_per_px).encode())
        self._show(stem, photo, result)

    def table(self) -> pd.DataFrame:
        """Returns a table of the photos and of the files that were left out; see `by_severity`."""
        return by_severity(self.rows, self._left_out())

    def write(self, report: Report) -> list[Path]:
        """Writes the report to the folder, and returns all files of the survey, the page last.

        Beside them, it writes the report as `stored` keeps it, for a review to add its verdicts.
        """
        assert self.folder is not None
        stored.write(report, self.folder)
        return [*self.files, pdf.write(report, self.folder), *artifacts.write(report, self.folder)]

    def metrics(self) -> dict[str, float]:
        """Returns the metrics of the whole survey by name."""
        cracked = sum(row["decision"] == self._defect for row in self.rows)
        tiles = sum(row["tiles"] for row in self.rows)
        counts = {
            "photos": len(self.rows),
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
        rows = sorted(self.rows, key=_severity, reverse=True)
        outline = "the crack's width or depth" if defect == CRACK else "its outline or depth"
        about = [
            f"The most severe photos come first, by the length of the {defect}: the extents of all regions in total. "
            "The extent of a region is the largest distance between two of its points, up to a tile more than that of "
            f"the {defect} inside.",
            f"Tiles that were classified as {defect.adjective} are marked. They are wider than the {defect}, and do "
            f"not show {outline}. Where the network looked is the evidence for {defect.phrase} in them (Grad-CAM), "
            "in full colour at the strongest place of each photo; photos/*.gradcam.jpg show it too.",
        ]
        photo_cards = Gallery([self._card(row) for row in rows], width=17)
        base = on_one_line(str(self._base.absolute()))
        remarks = self._left_out()
        unread = [Column("file", [one.file for one in remarks]), Column("reason", [one.reason for one in remarks])]
        return Report(
            f"{cracked} of {photos} {'photo shows' if photos == 1 else 'photos show'} {defect.plural}",
            [
                Section(sentences=about, media=["html"]),
                Section("Table of photos", tables=[_verdicts(rows)], folded=True, media=["html"]),
                Section(galleries=[photo_cards], media=["html"]),
                Section(f"Survey of {base}", tables=[_verdicts(rows[:LISTED])], media=["terminal"]),
                *([Section("Not read", tables=[Table(unread)], media=["html"])] if remarks else []),
                Section(files={"photos.csv": self.table()}, media=[]),
            ],
            notes=self._notes(rows),
            source=f"photos in {base}; {source}; {counted(int(counts['survey/tiles']), 'tile')}",
        )

    def _notes(self, rows: Sequence[Mapping[str, Any]]) -> list[str]:
        """Returns what was joined and what was dropped, a sentence each; an empty list where there was nothing."""
        joined, dropped = (sum(row[name] for row in rows) for name in ("joined_pieces", "dropped_regions"))
        rules, notes = self._rules, []
        if joined:
            notes.append(
                f"Joined: {joined:,} pieces in line, across gaps of at most {rules.join:g} sides of a tile "
                "(regions.join)."
            )
        if dropped:
            notes.append(
                f"Dropped: {counted(dropped, 'region')} of an extent below {rules.min_extent:g} sides of a tile "
                "(regions.min_extent). A photo that has no other region is unsure."
            )
        return notes

    def name(self, path: str) -> str:
        """Returns a path relative to the folder of the input, or as it is where it is not in the folder."""
        return visible(name_below(self._base, path))

    def _left_out(self) -> list[Remark]:
        return [
            replace(remark, file=self.name(remark.file), reason=visible(remark.reason))
            for remark in self._account.left_out
        ]

    def _card(self, row: Mapping[str, Any]) -> Card:
        picture, decision = self._shown.get(row["files"]), row["decision"]
        if decision == self._defect:
            regions = counted(row["regions"], "region")
            if row["joined_pieces"]:
                regions += f" ({row['joined_pieces']} pieces joined)"
            length = f"length {_length(row, 'total_extent')}"
            if row["regions"] > 1:
                length += f", longest {_length(row, 'longest_extent')}"
            facts = f"{length} · {regions} · {row['cracked_share']:.1%} marked"
        else:
            facts = f"highest probability {row['highest_probability']:.2f}"
        if row["dropped_regions"]:
            facts += f" · {row['dropped_regions']} too small"
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
        small, row = encode_jpeg(shrink(photo.picture, SIDE), 80), self.rows[-1]
        self._shown[f"photos/{stem}"] = Picture(small, row["photo"], (row["width"], row["height"]), overlays)
        if len(self._shown) > SHOWN:
            ranked = sorted(self.rows, key=_severity)
            least = next(row["files"] for row in ranked if row["files"] in self._shown)
            del self._shown[least]

    def _write(self, file: Path, data: bytes) -> None:
        with replacing(file) as temporary:
            temporary.write_bytes(data)
        self.files.append(file)


def _severity(row: Mapping[str, Any]) -> list[float]:
    return [row[key] for key in SEVERITY]


def _length(row: Mapping[str, Any], name: str) -> str:
    """Returns a length of a photo in pixels, and in millimetres where the scale is known."""
    millimetres = f" ({row[f'{name}_mm']:,.0f} mm)" if f"{name}_mm" in row else ""
    return f"{row[f'{name}_px']:,} px{millimetres}"


def _verdicts(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Returns a table of photos."""
    lengths = {
        title: Column(title, [_length(row, name) for row in rows], [row[f"{name}_px"] for row in rows], numeric=True)
        for title, name in (("total extent", "total_extent"), ("longest extent", "longest_extent"))
    }
    shares, counts = [row["cracked_share"] for row in rows], [row["regions"] for row in rows]
    return Table(
        [
            Column("photo", [on_one_line(row["photo"]) for row in rows]),
            Column("decision", [row["decision"] for row in rows]),
            lengths["total extent"],
            Column("marked", [f"{row['cracked_share']:.1%}" for row in rows], shares, numeric=True),
            Column("regions", [str(count) for count in counts], counts, numeric=True),
            lengths["longest extent"],
        ],
        sortable=True,
    )
