"""Photos with dark places, and the commands that review them."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.predicting.conftest import classifier, model

__all__ = ["classifier", "model"]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Two photos of 300 x 400 pixels that differ from place to place, in folders, and a patch of 32 pixels."""
    rng = np.random.default_rng(0)
    for number, name in enumerate(("north/wall.jpg", "south/wall.png", "patch.png")):
        size = (32, 32) if name == "patch.png" else (300, 400)
        shades = cv2.resize(rng.integers(40, 220, (6, 8), np.uint8), size[::-1], interpolation=cv2.INTER_CUBIC)
        file = tmp_path / "site" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(file), np.stack([shades] * 3, axis=2) // (1 + number % 2))
    return tmp_path / "site"
