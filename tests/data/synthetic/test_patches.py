"""The drawn dataset: repeatable, of the promised form, and its cracks are cracks."""

import copy
from pathlib import Path

import cv2
import numpy as np
import pytest

from crackexp.data.synthetic import draw_dataset, draw_patch
from crackexp.data.synthetic import patches as patches_module
from crackexp.data.synthetic.camera import photograph
from crackexp.data.synthetic.crack import STYLES, draw_crack
from crackexp.data.synthetic.marks import draw_marks
from crackexp.data.synthetic.texture import draw_surface, noise
from crackexp.utils.errors import ConfigError, DataError
from crackexp.utils.seeds import generator

SIZE = 48


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.jpg")}


@pytest.mark.parametrize("cracked", [False, True])
@pytest.mark.parametrize("size", [32, 160, 227, 300])
def test_a_patch_is_rgb_bytes_of_the_asked_size(size: int, cracked: bool) -> None:
    patch = draw_patch(0, 0, cracked, size)
    assert patch.shape == (size, size, 3)
    assert patch.dtype == np.uint8
    assert patch.std() > 1


def test_a_patch_depends_on_its_arguments_alone() -> None:
    forwards = [draw_patch(3, i, cracked, SIZE) for i in range(5) for cracked in (False, True)]
    backwards = [draw_patch(3, i, cracked, SIZE) for i in reversed(range(5)) for cracked in (True, False)]
    np.testing.assert_array_equal(forwards, backwards[::-1])


def test_numpy_integers_draw_what_plain_ones_draw() -> None:
    patch = draw_patch(np.int64(3), np.int64(2), np.bool_(True), np.int64(SIZE))
    np.testing.assert_array_equal(patch, draw_patch(3, 2, True, SIZE))


@pytest.mark.parametrize(
    ("arguments", "brightness"),
    [
        ((0, 0, True, 48), [62.54, 72.41, 69.64, 117.88]),
        ((3, 7, True, 160), [206.96, 214.78, 194.25, 215.87]),
        ((5, 2, False, 64), [170.78, 182.82, 164.67, 173.66]),
    ],
)
def test_the_default_draws_the_set_that_published_figures_are_of(
    arguments: tuple[int, int, bool, int], brightness: list[float]
) -> None:
    """The mean of each quarter, to a hundredth of a grey level: a digest would tell builds of OpenCV apart."""
    patch = draw_patch(*arguments).mean(axis=2)
    half = len(patch) // 2
    quarters = patch.reshape(2, half, 2, half).mean(axis=(1, 3)).ravel()
    np.testing.assert_allclose(quarters, brightness, atol=0.02)
    np.testing.assert_array_equal(draw_patch(*arguments), draw_patch(*arguments, "plain"))


def open_cracks(cracks: str) -> list[np.ndarray]:
    """Returns how open the cracks of 40 surfaces are, (128, 128) each."""
    surfaces = [draw_surface(generator(0, "surface", index), 128) for index in range(40)]
    return [draw_crack(surface, generator(0, "crack", i), cracks) for i, surface in enumerate(surfaces)]


def test_thin_cracks_are_thinner_and_none_gapes() -> None:
    widest = {
        cracks: [
            2 * cv2.distanceTransform((mask > 0.5).astype(np.uint8), cv2.DIST_L2, 5).max()
            for mask in open_cracks(cracks)
        ]
        for cracks in ("plain", "thin")
    }
    assert np.median(widest["thin"]) < 0.7 * np.median(widest["plain"])
    assert max(widest["thin"]) < 12 < max(widest["plain"])


def test_two_of_three_thin_cracks_are_hairlines() -> None:
    rng = np.random.default_rng(0)
    widths = np.array([STYLES["thin"].width(rng) for _ in range(4000)])
    assert np.mean(widths < 2.5) == pytest.approx(0.65 * 1.7 / 2.2, abs=0.03)
    assert np.mean(widths > 3) == pytest.approx(0.35 * 6 / 6.5, abs=0.03)
    assert 0.8 <= widths.min() < widths.max() <= 9


def test_sound_patches_are_the_same_whatever_the_cracks() -> None:
    for index in range(3):
        np.testing.assert_array_equal(draw_patch(1, index, False, SIZE), draw_patch(1, index, False, SIZE, "thin"))
        assert (draw_patch(1, index, True, SIZE) != draw_patch(1, index, True, SIZE, "thin")).any()


def test_unknown_cracks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"plain, thin, varied.*Received: cracks=thn"):
        draw_dataset(tmp_path / "drawn", 4, seed=0, size=32, cracks="thn")
    assert list(tmp_path.iterdir()) == []


def test_patches_are_distinct_across_index_class_and_seed() -> None:
    patches = {
        draw_patch(seed, i, cracked, SIZE).tobytes() for seed in (0, 1) for i in range(10) for cracked in (False, True)
    }
    assert len(patches) == 40


def test_brightness_spans_dark_to_bright_in_both_classes() -> None:
    for cracked in (False, True):
        means = [draw_patch(0, i, cracked, SIZE).mean() for i in range(60)]
        assert min(means) < 135 < 195 < max(means)


def test_a_crack_darkens_a_long_connected_line_of_its_surface() -> None:
    reaching = darker = 0
    for index in range(40):
        whole = draw_surface(generator(0, "surface", index), 128)
        cracked = copy.deepcopy(whole)
        mask = draw_crack(cracked, generator(0, "crack", index))
        assert mask.min() >= 0
        assert mask.max() <= 1
        before = photograph(whole, generator(0, "camera", index)).mean(axis=2)
        after = photograph(cracked, generator(0, "camera", index)).mean(axis=2)
        open_pixels = mask > 0.5 * mask.max()
        darker += before[open_pixels].mean() - after[open_pixels].mean() > 10
        _, _, stats, _ = cv2.connectedComponentsWithStats((mask > 0.1).astype(np.uint8))
        reaching += stats[1:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max() > 128 / 5
    assert reaching == 40
    assert darker >= 36


def test_marks_leave_colour_and_relief_finite() -> None:
    for index in range(40):
        rng = generator(0, "marks", index)
        surface = draw_surface(rng, SIZE)
        draw_marks(surface, rng)
        assert np.isfinite(surface.colour).all()
        assert np.isfinite(surface.height).all()


@pytest.mark.parametrize("cell", [1.0, 3.0, 12.0, 40.0])
def test_noise_varies_over_the_asked_distance(cell: float) -> None:
    """Neighbours a twentieth of a cell apart agree, those two cells apart do not."""
    fields = [noise(generator(0, "noise", i), 256, cell, angle=0.7) for i in range(8)]
    stacked = np.stack(fields)
    assert stacked.std() == pytest.approx(0.8, abs=0.25)
    far = int(2 * cell) + 1
    assert abs(np.corrcoef(stacked[:, far:].ravel(), stacked[:, :-far].ravel())[0, 1]) < 0.2
    if cell >= 12:
        assert np.corrcoef(stacked[:, 1:].ravel(), stacked[:, :-1].ravel())[0, 1] > 0.95


@pytest.mark.parametrize(("count", "positives"), [(2, 1), (6, 3), (7, 3)])
def test_classes_are_halves_and_an_odd_one_is_negative(tmp_path: Path, count: int, positives: int) -> None:
    draw_dataset(tmp_path / "drawn", count, seed=0, size=32)
    names = sorted(contents(tmp_path / "drawn"))
    assert names == sorted(
        [f"Positive/{i + 1:05d}.jpg" for i in range(positives)]
        + [f"Negative/{i + 1:05d}.jpg" for i in range(count - positives)]
    )


def test_files_hold_the_patches(tmp_path: Path) -> None:
    draw_dataset(tmp_path / "drawn", 4, seed=5, size=96)
    for name, cracked in (("Positive", True), ("Negative", False)):
        stored = cv2.imread(str(tmp_path / "drawn" / name / "00002.jpg"), cv2.IMREAD_COLOR_RGB)
        drawn = draw_patch(5, 1, cracked, 96)
        assert np.abs(stored.astype(float) - drawn).mean() < 4


def test_a_larger_set_begins_with_the_smaller_one(tmp_path: Path) -> None:
    draw_dataset(tmp_path / "small", 5, seed=0, size=SIZE)
    draw_dataset(tmp_path / "large", 12, seed=0, size=SIZE)
    small, large = contents(tmp_path / "small"), contents(tmp_path / "large")
    assert small.items() <= large.items()
    assert len(set(large.values())) == 12


def test_another_seed_draws_other_files(tmp_path: Path) -> None:
    draw_dataset(tmp_path / "a", 4, seed=0, size=32)
    draw_dataset(tmp_path / "b", 4, seed=1, size=32)
    assert not set(contents(tmp_path / "a").values()) & set(contents(tmp_path / "b").values())


def test_processes_write_what_one_process_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw_dataset(tmp_path / "one", 60, seed=2, size=32)
    monkeypatch.setattr(patches_module, "_PARALLEL_FROM", 60)
    monkeypatch.setattr(patches_module, "_CHUNK", 25)
    seen: list[int] = []
    draw_dataset(tmp_path / "many", 60, seed=2, size=32, progress=seen.append)
    assert contents(tmp_path / "one") == contents(tmp_path / "many")
    assert len(seen) == 3
    assert seen == sorted(seen)
    assert seen[-1] == 60


def test_drawing_keeps_the_callers_opencv_threads(tmp_path: Path) -> None:
    threads = cv2.getNumThreads()
    draw_dataset(tmp_path / "drawn", 2, seed=0, size=32)
    assert cv2.getNumThreads() == threads


def test_an_interrupted_drawing_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patches_module, "_CHUNK", 5)

    def interrupt(done: int) -> None:
        assert done == 5
        assert not (tmp_path / "drawn").exists()
        assert any(tmp_path.iterdir())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw_dataset(tmp_path / "drawn", 20, seed=0, size=32, progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_is_filled_and_a_full_one_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "drawn"
    folder.mkdir()
    draw_dataset(folder, 2, seed=0, size=32)
    before = contents(folder)
    with pytest.raises(DataError, match=r"delete the folder.*Received: folder="):
        draw_dataset(folder, 4, seed=0, size=32)
    assert contents(folder) == before


@pytest.mark.parametrize("count", [1, 0, -3])
def test_too_small_a_count_is_refused(tmp_path: Path, count: int) -> None:
    with pytest.raises(ConfigError, match=f"Received: count={count}"):
        draw_dataset(tmp_path / "drawn", count, seed=0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [31, 0, -227])
def test_too_small_a_size_is_refused(tmp_path: Path, size: int) -> None:
    with pytest.raises(ConfigError, match=f"Received: size={size}"):
        draw_patch(0, 0, True, size)
    with pytest.raises(ConfigError, match=f"Received: size={size}"):
        draw_dataset(tmp_path / "drawn", 4, seed=0, size=size)
    assert list(tmp_path.iterdir()) == []
