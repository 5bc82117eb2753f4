"""Pictures made small."""

import numpy as np

from crackexp.utils.pictures import shrink


def test_a_picture_shrinks_to_a_side_and_never_grows() -> None:
    assert shrink(np.zeros((300, 1000, 3), np.uint8), 500).shape == (150, 500, 3)
    assert shrink(np.zeros((30, 100, 3), np.uint8), 500).shape == (30, 100, 3)
