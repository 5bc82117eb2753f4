"""The result of the survey of one photo: its tiles, its heat map and its regions."""

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from crackexp.data.classes.decisions import SOUND, UNSURE, Thresholds
from crackexp.surveying.joining import join_in_line
from crackexp.surveying.outlines import simplified
from crackexp.surveying.regions import Region, find_regions
from crackexp.surveying.tiles import CELLS


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
