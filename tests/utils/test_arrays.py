"""Arrays that are computed once are read from their file until it is damaged or its version is another."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crackexp.utils.arrays import ArrayCache


@pytest.fixture
def cache(tmp_path: Path) -> ArrayCache:
    return ArrayCache(tmp_path / "pairs.npz", 1, {"a": ("i", ("n",)), "b": ("f", ("n", 2))}, "they are computed anew")


def make(value: int) -> dict[str, np.ndarray]:
    return {"a": np.full(3, value), "b": np.full((3, 2), float(value))}


def test_arrays_are_computed_once(cache: ArrayCache) -> None:
    assert cache.read() is None
    assert cache.get(lambda: make(1))["a"].tolist() == [1, 1, 1]
    again = cache.get(lambda: make(2))
    assert again.keys() == {"a", "b"}
    np.testing.assert_array_equal(again["b"], make(1)["b"], strict=True)


def test_another_version_is_computed_without_a_warning(cache: ArrayCache, caplog: pytest.LogCaptureFixture) -> None:
    cache.write(make(1))
    assert replace(cache, version=2).get(lambda: make(2))["a"].tolist() == [2, 2, 2]
    assert not caplog.records


@pytest.mark.parametrize("damage", ["byte", "end", "layout", "lengths", "name"])
def test_a_damaged_file_is_named_and_made_anew(
    cache: ArrayCache, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    cache.write(make(1))
    content = bytearray(cache.file.read_bytes())
    if damage == "byte":
        content[content.index(b"NUMPY") + 130] ^= 1
        cache.file.write_bytes(content)
    elif damage == "end":
        cache.file.write_bytes(content[:-20])
    elif damage == "layout":
        cache.write({"a": np.zeros(3), "b": np.zeros((3, 2))})
    elif damage == "lengths":
        cache.write({"a": np.zeros(3, int), "b": np.zeros((4, 2))})
    else:
        other = replace(cache, file=cache.file.with_name("other.npz"))
        other.write(make(1))
        other.file.replace(cache.file)
    assert cache.get(lambda: make(2))["a"].tolist() == [2, 2, 2]
    (record,) = caplog.records
    assert str(cache.file) in record.message
    assert "they are computed anew" in record.message
    assert cache.get(lambda: make(3))["a"].tolist() == [2, 2, 2]
