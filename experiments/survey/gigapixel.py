"""Draws one orthomosaic of a gigapixel as TIFF, PNG and JPEG files: ``python gigapixel.py FOLDER [KIND ...]``.

A block is a drawn patch and its three mirror images, so that it goes on without a seam; three blocks in a hundred are
cracked. Kinds: tiles (JPEG in a tiled TIFF), strips (deflate in a BigTIFF), png, jpg, and photo: 12 megapixels of it.
"""

import sys
from pathlib import Path

import numpy as np
import pyvips

from crackexp.data.synthetic import DEFAULT_SIZE, draw_patch

SEED = 1
"""Of the patches; those that the model is trained on have another."""
DRAWN, CRACKED = 100, 0.03
"""Patches of each class, and the share of blocks that are cracked."""
SIDE = 70
"""Blocks along a side."""
SAVE = {
    "tiles": ("wall.tif", {"tile": True, "tile_width": 256, "tile_height": 256, "compression": "jpeg", "Q": 90}),
    "strips": ("strips.tif", {"bigtiff": True, "compression": "deflate", "predictor": "horizontal"}),
    "png": ("wall.png", {"compression": 3}),
    "jpg": ("wall.jpg", {"Q": 90}),
    "photo": ("photo.jpg", {"Q": 90}),
}


def block(number: int, cracked: bool) -> pyvips.Image:
    """Returns a patch with its mirror images, twice as large along each side."""
    patch = draw_patch(SEED, number, cracked)
    wide = np.hstack([patch, patch[:, ::-1]])
    return pyvips.Image.new_from_array(np.vstack([wide, wide[::-1]]))


def main(folder: Path, kinds: list[str]) -> None:
    """Draws, and writes band by band."""
    pyvips.cache_set_max(0)
    folder.mkdir(parents=True, exist_ok=True)
    sound, cracked = ([block(number, kind) for number in range(DRAWN)] for kind in (False, True))
    rng = np.random.default_rng(SEED)
    for kind in kinds or SAVE:
        side = SIDE if kind != "photo" else round((12e6) ** 0.5 / (2 * DEFAULT_SIZE))
        chosen = [(cracked if rng.random() < CRACKED else sound)[rng.integers(DRAWN)] for _ in range(side**2)]
        wall = pyvips.Image.arrayjoin(chosen, across=side)
        name, options = SAVE[kind]
        wall.write_to_file(str(folder / name), **options)
        print(f"{folder / name}: {wall.width} x {wall.height}, {(folder / name).stat().st_size / 1e6:,.0f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
