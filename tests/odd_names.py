"""Names that Linux takes for a file, and that break what is careless."""

import os
from pathlib import Path

import numpy as np
from PIL import Image

SCRIPT = "<img src=x onerror=document.title='pwned'>"
ODD = (
    os.fsdecode(b"caf\xe9.png"),
    "=1+1.png",
    "-2+3.png",
    "@SUM(A1).png",
    "+1.png",
    "\tab.png",
    "\return.png",
    "two\nlines.png",
    f"{SCRIPT}.png",
    "\"'><script>document.title='pwned'<|script>.png",
    "a'b\"c&amp;.png",
    "\x1b[31mred\x07.png",
    "[bold] [red :smile: {x} %s $\\frac$.png",
    "\u202egnp.exe.png",
    "crack \U0001f9f1 \u05e9\u05dc\u05d5\u05dd.png",
    "a#b%20c?.png",
    "n" * 251 + ".png",
    "\u00e9" * 125 + ".png",
)


def draw_oddly_named(folder: Path, names: tuple[str, ...] = ODD, side: int = 40) -> list[Path]:
    """Draws a patch of a shade of its own under each of `names`, and returns the files in the order of their names."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        noise = np.random.default_rng(number).integers(0, 40, (side, side, 3))
        Image.fromarray((noise + 10 * number).astype(np.uint8)).save(folder / name)
    return sorted(folder / name for name in names)
