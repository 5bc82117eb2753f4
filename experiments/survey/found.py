"""How many tiles on a crack that was traced by eye a survey found: ``python found.py SURVEY_FOLDER``."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

INSIDE = 50
"""Pixels of a crack inside a tile from which on it is to be found; a corner that is grazed is no miss."""
BESIDE = 30
"""Pixels that a tile is off every traced crack to count as plain wall: as exact as the tracing is."""


def points(line: list[list[float]], scale: float) -> np.ndarray:
    """Returns points of a line, a pixel of the photo apart, (n, 2)."""
    corners = np.array(line) * scale
    far = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(corners, axis=0).T))])
    along = np.arange(0, far[-1])
    return np.stack([np.interp(along, far, corners[:, axis]) for axis in (0, 1)], axis=1)


def inside(tiles: pd.DataFrame, lines: list[np.ndarray], beyond: int) -> np.ndarray:
    """Returns how many of the points lie in each tile, which is taken to be larger by `beyond` pixels."""
    x, y = np.concatenate(lines).T
    left, top, right, bottom = (tiles[name].to_numpy()[:, None] for name in ("left", "top", "right", "bottom"))
    return np.sum((x >= left - beyond) & (x < right + beyond) & (y >= top - beyond) & (y < bottom + beyond), axis=1)


def main(folder: Path) -> None:
    """Prints a line a photo and kind of crack, and one for the wall beside them."""
    traces = json.loads(Path(__file__).with_name("traces.json").read_text())
    photos = pd.read_csv(folder / "photos.csv")
    for row in photos.itertuples():
        if (traced := traces.get(Path(row.photo).stem)) is None:
            continue
        tiles = pd.read_csv(folder / f"{row.files}.tiles.csv")
        cracked = (tiles["decision"] == "crack").to_numpy()
        lines = {kind: [points(line, row.width / traces["width"]) for line in found] for kind, found in traced.items()}
        for kind, of_kind in lines.items():
            on = inside(tiles, of_kind, 0) >= INSIDE
            if kind == "hairlines":
                on &= inside(tiles, lines["plain to see"], 0) == 0
            print(f"{Path(row.photo).name}  {kind:13} {cracked[on].sum():4} of {on.sum():4} tiles found")
        off = inside(tiles, [line for of_kind in lines.values() for line in of_kind], BESIDE) == 0
        print(f"{Path(row.photo).name}  {'plain wall':13} {cracked[off].sum():4} of {off.sum():4} tiles marked")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
