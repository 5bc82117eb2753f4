"""Pictures as they are put into a report."""

import numpy as np

from crackexp.reporting.pictures import shrunk


def test_a_picture_shrinks_to_a_side_and_never_grows() -> None:
    assert shrunk(np.zeros((300, 1000, 3), np.uint8), 500).shape == (150, 500, 3)
    assert shrunk(np.zeros((30, 100, 3), np.uint8), 500).shape == (30, 100, 3)
