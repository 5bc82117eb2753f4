"""Tiles cover a photo, and vote on each of its cells."""

import numpy as np
import pytest

from crackexp.surveying.tiles import CELLS, MeanMap, Tiling


@pytest.mark.parametrize("overlap", [0.0, 0.3, 0.5, 0.75])
@pytest.mark.parametrize(("height", "width"), [(64, 64), (65, 200), (128, 192), (300, 1000), (64, 63), (20, 500)])
def test_tiles_cover_each_pixel_and_end_at_the_edges(height: int, width: int, overlap: float) -> None:
    boxes = Tiling(64, overlap).boxes(height, width)
    covered = np.zeros((height, width), int)
    for left, top, right, bottom in boxes:
        assert (right - left, bottom - top) == (min(64, width), min(64, height))
        covered[top:bottom, left:right] += 1
    assert covered.min() >= 1
    assert boxes.min(axis=0)[:2].tolist() == [0, 0]
    assert boxes.max(axis=0)[2:].tolist() == [width, height]
    for starts in (np.unique(boxes[:, 0]), np.unique(boxes[:, 1])):
        assert np.all(np.diff(starts) <= np.ceil(64 * (1 - overlap)))


def test_tiles_without_overlap_are_the_patches_of_a_mosaic() -> None:
    boxes = Tiling(50, 0.0).boxes(100, 150)
    assert boxes.tolist() == [
        [0, 0, 50, 50], [50, 0, 100, 50], [100, 0, 150, 50],
        [0, 50, 50, 100], [50, 50, 100, 100], [100, 50, 150, 100],
    ]  # fmt: skip


def test_maps_are_spread_over_their_tiles_and_averaged_where_these_overlap() -> None:
    tiling = Tiling(4 * CELLS, 0.5)
    boxes = tiling.boxes(4 * CELLS, 6 * CELLS)
    assert boxes[:, 0].tolist() == [0, 2 * CELLS]
    columns = np.arange(CELLS, dtype=np.float32)
    maps = np.stack([np.tile(columns, (CELLS, 1)), np.full((CELLS, CELLS), 20, np.float32)])
    whole, parts = (MeanMap(tiling, 4 * CELLS, 6 * CELLS) for _ in range(2))
    whole.add(boxes, maps)
    for number in range(len(boxes)):
        parts.add(boxes[number : number + 1], maps[number : number + 1])
    merged = parts.mean()
    np.testing.assert_array_equal(merged, whole.mean())
    np.testing.assert_allclose(merged, merged[:1].repeat(CELLS, axis=0))
    half = CELLS // 2
    np.testing.assert_allclose(merged[0, :half], columns[:half], atol=1e-5)
    np.testing.assert_allclose(merged[0, half:CELLS], (columns[half:] + 20) / 2, atol=1e-5)
    np.testing.assert_allclose(merged[0, CELLS:], 20, atol=1e-5)


def test_the_heat_of_a_cell_is_the_mean_of_the_tiles_over_it() -> None:
    tiling = Tiling(4 * CELLS, 0.5)
    height, width = 250, 399
    boxes = tiling.boxes(height, width)
    probabilities = np.random.default_rng(0).random(len(boxes)).astype(np.float32)
    votes = MeanMap(tiling, height, width)
    votes.add(boxes, probabilities[:, None, None])
    heat = votes.mean()
    assert heat.shape == (63, 100)
    for row, column in np.random.default_rng(1).integers(0, (63, 100), (200, 2)):
        x, y = min(column * 4 + 2, width - 1), min(row * 4 + 2, height - 1)
        near = np.abs(boxes - [x, y, x, y]).min() > 2  # away from edges, which lie within half a cell
        over = (boxes[:, 0] <= x) & (x < boxes[:, 2]) & (boxes[:, 1] <= y) & (y < boxes[:, 3])
        if near:
            assert heat[row, column] == pytest.approx(probabilities[over].mean(), abs=1e-6)
