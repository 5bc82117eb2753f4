"""Pytrees come back from their file to the bit."""

from pathlib import Path

import numpy as np

from crackexp.utils.pytree import is_pytree, load_pytree, save_pytree


def test_a_pytree_comes_back_to_the_bit(tmp_path: Path) -> None:
    data = {
        "numbers": [0.1, 1e-300, float("inf"), 2**70, True, None],
        "text": "é",
        "arrays": {"weights": [np.float32([0.1, np.nan]), np.arange(6, dtype=np.uint32).reshape(2, 3)]},
    }
    save_pytree(tmp_path / "data.npz", data)
    back = load_pytree(tmp_path / "data.npz")
    assert back["numbers"] == data["numbers"]
    assert back["text"] == data["text"]
    for a, b in zip(back["arrays"]["weights"], data["arrays"]["weights"], strict=True):
        np.testing.assert_array_equal(a, b, strict=True)
    assert not is_pytree({"model": object()})
    assert [file.name for file in tmp_path.iterdir()] == ["data.npz"]
