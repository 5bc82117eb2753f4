"""Views: what they depend on, and what they do not."""

import numpy as np
import pytest

from crackexp.config.mistakes import validate
from crackexp.config.schema import schema_of
from crackexp.data.augmentation import Augmentation
from crackexp.data.transforms import RandomBrightness, RandomFlip, RandomRotation
from crackexp.utils.errors import ConfigError
from crackexp.utils.seeds import generator

IMAGE = generator(0, "image").integers(0, 256, (24, 24, 3)).astype(np.uint8)


def recipe(views: int | None = None) -> Augmentation:
    return Augmentation({"flip": RandomFlip("horizontal"), "rotation": RandomRotation(0.2)}, views)


def test_a_view_depends_on_seed_content_and_epoch() -> None:
    view = recipe()(IMAGE, 0, "abc", 0)
    np.testing.assert_array_equal(view, recipe()(IMAGE, 0, "abc", 0))
    for other in ((1, "abc", 0), (0, "abd", 0), (0, "abc", 1)):
        assert (recipe()(IMAGE, *other) != view).any()


def test_views_come_round_again() -> None:
    two = recipe(views=2)
    np.testing.assert_array_equal(two(IMAGE, 0, "abc", 1), two(IMAGE, 0, "abc", 5))
    assert [two.view_key(0, epoch) for epoch in (0, 1)] == [two.view_key(0, epoch) for epoch in (2, 3)]
    assert two.view_key(0, 0) != two.view_key(0, 1)


def test_a_fresh_view_is_the_same_whether_views_rotate_or_not() -> None:
    np.testing.assert_array_equal(recipe()(IMAGE, 0, "abc", 1), recipe(views=4)(IMAGE, 0, "abc", 1))
    assert recipe().view_key(0, 1) == recipe(views=4).view_key(0, 1)


def test_keys_tell_arguments_and_order_apart() -> None:
    flip, turn = RandomFlip("horizontal"), RandomRotation(0.2)
    keys = {
        Augmentation(transforms).view_key(0, 0)
        for transforms in (
            {"flip": flip, "rotation": turn},
            {"rotation": turn, "flip": flip},
            {"flip": flip},
            {"flip": RandomFlip("vertical")},
            {"rotation": RandomRotation(0.1)},
        )
    }
    assert len(keys) == 5


def test_one_transform_more_leaves_the_draws_of_the_others() -> None:
    black = np.zeros((24, 24, 3), np.uint8)
    alone = Augmentation({"light": RandomBrightness(0.5)})(black, 0, "abc", 0)
    beside = Augmentation({"flip": RandomFlip("horizontal"), "light": RandomBrightness(0.5)})(black, 0, "abc", 0)
    np.testing.assert_array_equal(alone, beside)


def test_nothing_to_do_is_the_plain_view() -> None:
    assert Augmentation({}).view_key(0, 3) == "plain"
    assert Augmentation({"flip": None}).view_key(1, 0) == "plain"
    np.testing.assert_array_equal(Augmentation({"flip": None})(IMAGE, 0, "abc", 0), IMAGE)


@pytest.mark.parametrize("views", [0, -1, 1.5, True])
def test_wrong_views_are_refused(views: int) -> None:
    node = {"_target_": "crackexp.data.augmentation.Augmentation", "transforms": {}, "views": views}
    (problem,) = validate(schema_of(node["_target_"]), node, "augmentation")
    assert f"Received: augmentation.views={views}" in problem.message


def test_what_is_no_transform_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"Received: flip="):
        Augmentation({"flip": print})
