"""Datasets of one class: what the class is taken for, what a model knows it as, and who refuses them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from crackexp.data.classes.decisions import Classes
from crackexp.data.classes.single import require_two_classes
from crackexp.data.index import ImageIndex
from crackexp.data.sources import ImageFolder
from crackexp.utils.errors import DataError

MODEL = Classes(("Negative", "Positive"), ("Positive",))
KINDS = Classes(("crack", "intact", "spalling"), ("crack", "spalling"))


@pytest.fixture
def prepared(tmp_path: Path, draw_tree: Callable[..., Path]) -> Callable[..., ImageIndex]:
    def prepare(tree: dict[str, int], positive: object = None, limit: int | None = None) -> ImageIndex:
        root = draw_tree(tmp_path / "set", tree)
        return ImageFolder(
            name="set", path=root, positive=positive, limit=limit, on_bad_file="error", cache=tmp_path / "cache"
        ).prepare()

    return prepare


@pytest.mark.parametrize(
    ("name", "positive", "label"),
    [
        ("crack", None, 1),
        ("Defect", None, 1),
        ("Positive", None, 1),
        ("Negative", None, 0),
        ("intact", None, 0),
        ("walls", "walls", 1),
        ("walls", "crack", 0),
        ("no_crack", "crack", 0),
        ("uncracked", "cracked", 0),
    ],
)
def test_the_class_is_told_by_its_name_or_by_what_is_typed(prepared, name, positive, label):
    index = prepared({name: 3}, positive)
    assert index.damaged.tolist() == [label == 1] * 3
    judged = index.judged_by(MODEL)
    assert judged.class_names == MODEL.names
    assert judged.labels.tolist() == [label] * 3
    assert judged.damaged.tolist() == [label == 1] * 3


def test_a_class_that_the_model_knows_needs_no_other_name(prepared):
    index = prepared({"walls": 2})
    assert index.judged_by(Classes(("joints", "walls"), ("joints",))).damaged.tolist() == [False, False]
    assert index.judged_by(Classes(("joints", "walls"), ("walls",))).damaged.tolist() == [True, True]


def test_a_model_of_more_classes_matches_them_by_name_or_merges_its_own(prepared):
    by_name = prepared({"crack": 2}).judged_by(KINDS)
    assert (by_name.class_names, by_name.labels.tolist()) == (KINDS.names, [0, 0])
    merged = prepared({"crack": 2}).judged_by(Classes(("fine", "net", "scaling"), ("net", "scaling")))
    assert len(merged.class_names) == 2
    assert merged.damaged.all()


@pytest.mark.parametrize("model", [MODEL, KINDS])
def test_a_name_that_tells_nothing_is_refused_with_what_to_type(prepared, model):
    index = prepared({"walls": 2})
    with pytest.raises(DataError, match=rf"walls.*dataset\.positive=walls .*dataset\.positive={model.positives[0]} "):
        index.judged_by(model)


@pytest.mark.parametrize(("name", "typed"), [("risse", "risse2"), ("crack", "crak"), ("Positive", "crack")])
def test_what_may_be_a_slip_is_not_taken_for_the_other_class(prepared, name, typed):
    with pytest.raises(DataError, match=rf"only class of .* is {name}.*Received: dataset\.positive={typed}"):
        prepared({name: 1}, typed)


def test_an_empty_folder_beside_the_class_is_no_hindrance(prepared, tmp_path):
    (tmp_path / "set" / "no_crack").mkdir(parents=True)
    assert prepared({"crack": 2}, limit=1).damaged.tolist() == [True]


@pytest.mark.parametrize(
    ("tree", "empty", "told"),
    [
        ({"crack": 2}, None, "Add a folder with images of another class"),
        ({"crack": 2}, "sound", "No images are in sound"),
        ({"crack/north": 1, "crack/south": 1}, None, "If north, south are the classes"),
    ],
)
def test_what_needs_two_classes_says_what_to_add(prepared, tmp_path, tree, empty, told):
    if empty:
        (tmp_path / "set" / empty).mkdir(parents=True)
    with pytest.raises(DataError, match=f"only one class, crack.*{told}.*Received: dataset.path="):
        require_two_classes(prepared(tree))
    assert np.all(prepared(tree).damaged)


def test_two_classes_are_enough(prepared):
    require_two_classes(prepared({"crack": 1, "sound": 1}))
