"""Corruptions: what each does to a patch, how strength grows, what it depends on."""

from typing import get_args

import numpy as np
import pytest

from crackexp.config.settings import Evaluation
from crackexp.data.corruptions import SUITE, CastShadow, Exposure, FormworkJoint, corruptions
from crackexp.data.synthetic import draw_patch

PATCH = draw_patch(0, 0, cracked=True, size=160)
GRAY = np.full((100, 100, 3), 120, np.uint8)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_the_config_knows_all_of_them() -> None:
    (names,) = get_args(Evaluation.model_fields["corruptions"].annotation)
    assert set(get_args(names)) == set(SUITE)


@pytest.mark.parametrize("name", SUITE)
def test_each_grows_with_its_strength_and_leaves_the_image_alone(name: str) -> None:
    before = PATCH.copy()
    (views,) = corruptions([name], 160).values()
    changed = [view(PATCH, "abc") for view in views]
    assert np.array_equal(PATCH, before)
    assert len(changed) == 3
    assert all(image.shape == PATCH.shape and image.dtype == np.uint8 for image in changed)
    assert len({view.key for view in views}) == 3
    distances = [np.abs(image.astype(int) - PATCH).mean() for image in changed]
    assert min(distances) > 0
    if name not in ("far", "near", "rotation"):
        assert distances[0] < distances[1] < distances[2]
    assert np.array_equal(views[0](PATCH, "abc"), changed[0])


@pytest.mark.parametrize("name", ["noise", "shadow", "joint"])
def test_the_draws_are_those_of_the_image_content(name: str) -> None:
    view = corruptions([name], 160)[name][1]
    assert not np.array_equal(view(PATCH, "abc"), view(PATCH, "abd"))


def test_lengths_grow_with_the_image() -> None:
    small, large = (corruptions(["blur", "noise"], size) for size in (96, 224))
    assert small["blur"][0].key != large["blur"][0].key
    assert [view.key for view in small["noise"]] == [view.key for view in large["noise"]]


def test_names_may_come_in_any_order_and_twice() -> None:
    assert list(corruptions(["jpeg", "blur", "jpeg"], 160)) == ["jpeg", "blur"]


def test_exposure_doubles_linear_light() -> None:
    light = [(Exposure(stops)(GRAY, rng())[0, 0, 0] / 255) ** 2.2 for stops in (-1, 0, 1)]
    assert np.array(light) / light[1] == pytest.approx([0.5, 1, 2], rel=0.02)
    assert Exposure(3)(GRAY, rng()).max() == 255


def test_a_cast_shadow_has_two_sides_of_one_line() -> None:
    shallow, deep = (CastShadow(depth, 0.01)(GRAY, rng(3)) for depth in (0.25, 0.5))
    assert (deep.min(), deep.max()) == (60, 120)
    assert np.mean((shallow == 90) != (deep == 60)) < 0.01
    dark = deep[..., 0] == 60
    assert 0 < dark.mean() < 1
    rows = np.flatnonzero(dark.any(axis=1))
    assert np.array_equal(rows, np.arange(rows[0], rows[-1] + 1))


def test_a_formwork_joint_is_a_straight_dark_groove_of_its_width() -> None:
    image = FormworkJoint(6.0, 0.5)(np.full((227, 227, 3), 120, np.uint8), rng(1))[..., 0]
    y, x = np.nonzero(image < 80)
    spread = np.linalg.svd(np.stack([x - x.mean(), y - y.mean()]), full_matrices=False)[1] / np.sqrt(len(x))
    width = np.sqrt(12) * spread[1]
    assert 6 < width < 16
    assert spread[0] > 8 * spread[1]


@pytest.mark.parametrize(
    ("transform", "wrong"),
    [(Exposure, {"stops": 9}), (CastShadow, {"depth": 1.5}), (FormworkJoint, {"darkness": 0.5, "width": 0})],
)
def test_what_is_out_of_range_is_refused(transform: type, wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=list(wrong)[-1]):
        transform(**wrong)
