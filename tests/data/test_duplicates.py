"""Copies are found whatever was done to them, and nothing else is."""

from collections.abc import Callable, Mapping
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from crackexp.data import thumbnails
from crackexp.data.duplicates import Duplicates, find_duplicates
from crackexp.data.index import ImageIndex, build_index
from crackexp.data.sources.folder import class_members
from crackexp.data.synthetic import draw_patch

SIDE, ROOM = 227, 24
BASES = 20


def crop(drawn: np.ndarray, down: int = 0, right: int = 0) -> np.ndarray:
    """A patch out of a larger drawing, moved by some pixels."""
    return drawn[ROOM + down : ROOM + down + SIDE, ROOM + right : ROOM + right + SIDE]


def lit(patch: np.ndarray, by: int) -> np.ndarray:
    return np.clip(patch.astype(int) + by, 0, 255).astype(np.uint8)


def gamma(patch: np.ndarray, exponent: float) -> np.ndarray:
    return (255 * (patch / 255) ** exponent).round().astype(np.uint8)


COPIES: dict[str, tuple[Callable[[np.ndarray], np.ndarray], int, str]] = {
    # what is done to a drawing, the quality of its JPEG, and words of the kind
    "jpeg 50": (crop, 50, "re-encoded"),
    "brighter": (lambda drawn: lit(crop(drawn), 30), 92, "other light"),
    "darker": (lambda drawn: lit(crop(drawn), -30), 92, "other light"),
    "gamma": (lambda drawn: gamma(crop(drawn), 0.7), 92, "other light"),
    "left-right": (lambda drawn: crop(drawn)[:, ::-1], 92, "mirrored left-right"),
    "up-down": (lambda drawn: crop(drawn)[::-1], 92, "mirrored up-down"),
    "turned": (lambda drawn: crop(drawn)[::-1, ::-1], 92, "turned"),
    "shifted by 2": (lambda drawn: crop(drawn, 2, -2), 92, "re-encoded"),
    "shifted by 4": (lambda drawn: crop(drawn, 0, 4), 92, "re-encoded"),
    "shifted by 8": (lambda drawn: crop(drawn, -8, 8), 92, "shifted"),
    "shifted by 20": (lambda drawn: crop(drawn, 20, 0), 92, "shifted"),
    "all at once": (lambda drawn: lit(crop(drawn, 8, -8)[:, ::-1], 20), 50, "mirrored left-right, shifted"),
}


def write(file: Path, patch: np.ndarray, quality: int = 92) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(file), np.ascontiguousarray(patch[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality])


def indexed(root: Path, cache: Path) -> ImageIndex:
    return build_index(root, class_members(root), "Positive", cache)


def named_pairs(index: ImageIndex, found: Duplicates) -> Mapping[tuple[str, str], str]:
    names = [Path(file).stem for file in index.files]
    return {(names[a], names[b]): kind for (a, b), kind in zip(found.pairs, found.kinds, strict=True)}


@pytest.fixture(scope="session")
def drawings() -> list[np.ndarray]:
    return [draw_patch(3, number, number % 2 == 1, SIDE + 2 * ROOM) for number in range(BASES)]


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_of_every_kind_is_found_and_told(tmp_path: Path, drawings: list[np.ndarray], name: str) -> None:
    change, quality, words = COPIES[name]
    for number, drawn in enumerate(drawings):
        folder = tmp_path / "images" / ("Positive" if number % 2 else "Negative")
        write(folder / f"{number:02}a.jpg", crop(drawn))
        write(folder / f"{number:02}b.jpg", change(drawn), quality)
    index = indexed(tmp_path / "images", tmp_path)
    kinds = named_pairs(index, find_duplicates(index, tmp_path))
    assert set(kinds) == {(f"{number:02}a", f"{number:02}b") for number in range(BASES)}
    told = [kind for kind in kinds.values() if words in kind]
    assert len(told) >= BASES - 1  # a bright patch cannot grow much brighter


def test_chains_come_together_and_strangers_do_not(tmp_path: Path, drawings: list[np.ndarray]) -> None:
    """A copy of a copy, twice too far from the first to be its copy, belongs to the same group."""
    for number, right in enumerate((-24, 0, 24)):
        write(tmp_path / "images" / "Positive" / f"chain{number}.jpg", crop(drawings[0], 0, right))
    for number in (2, 3):
        write(tmp_path / "images" / "Negative" / f"alone{number}.jpg", crop(drawings[number]))
    index = indexed(tmp_path / "images", tmp_path)
    found = find_duplicates(index, tmp_path)
    assert set(named_pairs(index, found)) == {("chain0", "chain1"), ("chain1", "chain2")}
    assert found.groups.tolist() == [0, 1, 2, 2, 2]
    assert found.sizes.tolist() == [1, 1, 3, 3, 3]


def test_files_of_the_same_bytes_are_paired_with_the_first(tmp_path: Path, drawings: list[np.ndarray]) -> None:
    for name in ("Negative/a", "Positive/b", "Positive/c"):
        write(tmp_path / "images" / f"{name}.jpg", crop(drawings[0]))
    write(tmp_path / "images" / "Positive" / "d.jpg", crop(drawings[0])[::-1])
    index = indexed(tmp_path / "images", tmp_path)
    found = find_duplicates(index, tmp_path)
    assert named_pairs(index, found) == {
        ("a", "b"): "identical",
        ("a", "c"): "identical",
        ("a", "d"): "mirrored up-down",
    }
    assert found.similarity[:2].tolist() == [1, 1]
    assert set(found.groups.tolist()) == {0}


def test_pictures_without_any_texture_are_no_copies(tmp_path: Path) -> None:
    for number in range(6):
        folder = tmp_path / "images" / ("Positive" if number % 2 else "Negative")
        write(folder / f"{number}.jpg", np.full((SIDE, SIDE, 3), 40 * number, np.uint8))
    index = indexed(tmp_path / "images", tmp_path)
    assert len(find_duplicates(index, tmp_path).pairs) == 0


def test_images_of_any_shape_are_compared(tmp_path: Path, drawings: list[np.ndarray]) -> None:
    for number in range(3):
        wide = np.concatenate([crop(drawings[number]), crop(drawings[number + 3])], axis=1)
        write(tmp_path / "images" / "Positive" / f"{number}.jpg", wide)
        write(tmp_path / "images" / "Negative" / f"{number}small.jpg", cv2.resize(wide, (300, 150)))
    index = indexed(tmp_path / "images", tmp_path)
    pairs = named_pairs(index, find_duplicates(index, tmp_path))
    assert set(pairs) == {(f"{number}small", str(number)) for number in range(3)}


def test_a_second_look_reads_no_image(tmp_path: Path, patches: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = indexed(patches, tmp_path)
    first = find_duplicates(index, tmp_path)
    smaller = index.subset(np.arange(40))

    def refuse(path: Path) -> np.ndarray:
        raise AssertionError(f"{path} was read")

    monkeypatch.setattr(thumbnails, "load_image", refuse)
    again = find_duplicates(index, tmp_path)
    assert again.pairs.tolist() == first.pairs.tolist()
    assert again.groups.tolist() == first.groups.tolist()
    find_duplicates(smaller, tmp_path)


@pytest.mark.parametrize("pattern", ["pairs-*", "thumbnails-*"])
def test_a_damaged_file_is_made_anew(
    tmp_path: Path, patches: Path, caplog: pytest.LogCaptureFixture, pattern: str
) -> None:
    index = indexed(patches, tmp_path)
    first = find_duplicates(index, tmp_path)
    for file in (tmp_path / "duplicates").iterdir():
        file.unlink() if not file.match(pattern) else file.write_bytes(file.read_bytes()[:99])
    assert find_duplicates(index, tmp_path).pairs.tolist() == first.pairs.tolist()
    assert "damaged" in caplog.text


@pytest.mark.slow
def test_copies_among_real_patches(real_data: Path, tmp_path: Path) -> None:
    """Against a list of copies that leaves shifted ones out."""
    root = real_data / "mendeley-sample"
    index = indexed(root, tmp_path)
    found = find_duplicates(index, tmp_path)
    table = pd.read_csv(real_data / "mendeley-sample.manifest.csv").set_index("path")
    listed = table["near_duplicate_group"][index.files].to_numpy()
    truth = {pair for rows in pd.Series(listed).groupby(listed).indices.values() for pair in combinations(rows, 2)}
    recalled = sum(found.groups[a] == found.groups[b] for a, b in truth)
    assert recalled >= 0.99 * len(truth)
    plain = found.pairs[["shifted" not in kind and "light" not in kind for kind in found.kinds]]
    assert np.mean(listed[plain[:, 0]] == listed[plain[:, 1]]) >= 0.99
    assert not np.any(index.labels[found.pairs[:, 0]] != index.labels[found.pairs[:, 1]])
    assert found.sizes.max() < 10
