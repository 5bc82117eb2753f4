"""Digests of the source of a user's own parts, and what is stored under them."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from omegaconf import DictConfig, OmegaConf, open_dict

from crackexp.data.augmentation import Augmentation
from crackexp.data.transforms import RandomFlip
from crackexp.embeddings.embedder import Embedder
from crackexp.models.backbone import SmallCNN
from crackexp.train import train
from crackexp.utils.source_code import digest_of, source_digest
from tests.conftest import TINY

Write = Callable[[str, str], Any]

TRANSFORM = """
from crackexp.data.transforms import Transform
{imports}

class Own(Transform):
    '''{doc}'''

    def __init__(self, amount):
        self.amount = amount

    def __call__(self, image, rng):
        return {result}
"""
BACKBONE = """
import keras

class Own:
    def build(self, image_size, seed):
        image = keras.Input((image_size, image_size, 3), dtype="uint8")
        x = keras.layers.Rescaling(1 / 255, dtype="float32")(image)
        return keras.Model(image, keras.layers.MaxPooling2D(4)(x) {operation})
"""
LAYER = """
import keras

class Own(keras.layers.Layer):
    def call(self, x):
        return keras.ops.{operation}(x)

@keras.saving.register_keras_serializable("own")
def function(x):
    return keras.ops.{operation}(x)
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Writes a module of a user, and imports it as a new process would."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    written: set[str] = set()

    def write(name: str, text: str) -> Any:
        (tmp_path / f"{name}.py").write_text(text)
        written.add(name)
        importlib.invalidate_caches()
        for one in written:
            sys.modules.pop(one, None)
        return importlib.import_module(name)

    yield write
    for one in written:
        sys.modules.pop(one, None)


def transform(doc: str = "", result: str = "255 - image", imports: str = "") -> str:
    return TRANSFORM.format(doc=doc, result=result, imports=imports)


def key(module: Any, amount: Any = 1) -> str:
    return Augmentation({"own": module.Own(amount)}).view_key(seed=0, epoch=0)


def test_an_edited_transform_has_views_of_its_own(write: Write) -> None:
    before = key(write("own_views", transform()))
    assert key(write("own_views", transform(doc="Says more."))) == before
    assert key(write("own_views", "# a comment\n" + transform())) == before
    assert key(write("own_views", transform(result="254 - image"))) != before
    assert key(write("own_views", transform())) == before


def test_an_edited_helper_counts_and_so_does_a_base(write: Write) -> None:
    write("own_helper", "WHITE = 255\n")
    text = transform(imports="from own_helper import WHITE", result="WHITE - image")
    before = key(write("own_views", text))
    write("own_helper", "WHITE = 254\n")
    assert key(write("own_views", text)) != before

    write("own_base", transform())
    child = "import own_base\n\nclass Own(own_base.Own):\n    pass\n"
    before = key(write("own_views", child))
    write("own_base", transform(result="image"))
    assert key(write("own_views", child)) != before


def test_the_content_of_a_file_that_a_transform_reads_counts(write: Write, tmp_path: Path) -> None:
    module = write("own_views", transform())
    (tmp_path / "mask.png").write_bytes(b"one")
    before = key(module, str(tmp_path / "mask.png"))
    (tmp_path / "mask.png").write_bytes(b"two")
    assert key(module, str(tmp_path / "mask.png")) != before


def test_an_own_augmentation_counts(write: Write) -> None:
    text = "from crackexp.data.augmentation import Augmentation\n\nclass Own(Augmentation):\n    {}\n"

    def named(body: str) -> str:
        return write("own_augmentation", text.format(body)).Own({"flip": RandomFlip()}).view_key(0, 0)

    before = named("pass")
    assert named("def __call__(self, image, seed, digest, epoch): return image") != before
    assert before != Augmentation({"flip": RandomFlip()}).view_key(0, 0)


def test_parts_of_crackexp_and_keras_have_no_source_in_their_keys() -> None:
    assert source_digest(RandomFlip()) is None
    assert source_digest(SmallCNN([4])) is None
    assert source_digest(keras.layers.ReLU()) is None


def test_a_class_without_a_file_is_known_by_its_text_or_not_at_all() -> None:
    space: dict[str, Any] = {"__name__": "nowhere"}
    exec("class Own: pass", space)  # noqa: S102
    assert source_digest(space["Own"]) != source_digest(space["Own"])


def test_of_a_library_the_named_module_counts_and_no_other() -> None:
    assert digest_of(["sklearn.metrics"]) == digest_of(["sklearn.metrics"]) != digest_of(["sklearn.cluster"])


def test_an_edited_backbone_or_layer_has_embeddings_of_its_own(write: Write, tmp_path: Path) -> None:
    def folder(backbone: keras.Model, source: str | None = None) -> Path:
        return Embedder(backbone, 32, 8, tmp_path / "cache", 1e9, source=source).store.folder

    def built(operation: str) -> Path:
        backbone = write("own_backbone", BACKBONE.format(operation=operation)).Own()
        return folder(backbone.build(32, 0), source_digest(backbone))

    assert built("* 2") == built("* 2") != built("* 3")

    def layered(operation: str, name: str) -> Path:
        part = getattr(write("own_layer", LAYER.format(operation=operation)), name)
        image = keras.Input((32, 32, 3), dtype="uint8")
        x = keras.layers.Rescaling(1 / 255, dtype="float32")(image)
        layer = part() if name == "Own" else keras.layers.Lambda(part)
        return folder(keras.Model(image, layer(x)))

    for name in ("Own", "function"):
        assert layered("tanh", name) == layered("tanh", name) != layered("relu", name)


@pytest.mark.slow
def test_a_run_embeds_anew_after_an_edit_and_reads_what_is_stored_without_one(
    write: Write, compose_config: Callable[..., DictConfig], patches: Path, tmp_path: Path
) -> None:
    def embedded(text: str) -> float:
        module = write("own_views", text)
        assert np.array_equal(module.Own(1)(np.zeros((2, 2, 3), np.uint8), None), np.full((2, 2, 3), 255, np.uint8))
        places = ["dataset=folder", f"dataset.path={patches}", "tracking=none", f"paths.cache={tmp_path / 'cache'}"]
        cfg = compose_config(*places, *TINY, "epochs=1", "augmentation=none")
        with open_dict(cfg):
            cfg.augmentation.transforms = OmegaConf.create({"own": {"_target_": "own_views.Own", "amount": 1}})
        return train(cfg)["time/embedded_images"]

    assert embedded(transform()) > 0
    assert embedded(transform()) == 0
    assert embedded(transform(doc="Says more.")) == 0
    assert embedded(transform(result="~image")) > 0
