"""The model that crackexp comes with: whole, made by the recipe that it says, and named `ready` by every command."""

import json
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from crackexp.data.images.pixels import resize
from crackexp.data.synthetic import draw_patch
from crackexp.models import ready
from crackexp.models.ready import CARD, FACTS, FOLDER, WEIGHTS, recipe_of
from crackexp.tracking.models import load
from crackexp.utils.errors import DamagedFileError
from tests.composing import outcome


def test_it_is_the_model_of_the_robust_experiment_as_that_is_now() -> None:
    """Where this fails, the experiment was changed: make the model anew, see experiments/ready."""
    composed = outcome("train", ["+experiment=robust"])
    assert not isinstance(composed, str), composed
    recipe = recipe_of(OmegaConf.to_container(composed, resolve=True))
    made = json.loads(FACTS.read_text())["recipe"]
    listed = recipe["mix"][0]["synthetic"]
    assert made["mix"][0]["synthetic"].items() >= listed.items()
    assert {**made, "mix": None} == {**recipe, "mix": None}


def test_it_is_small_and_its_card_says_what_it_is() -> None:
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 300_000
    card = CARD.read_text()
    for word in ("CC BY 4.0", "10.17632/5y9wdsg2zt.2", "SDNET2018", "must not"):
        assert word in card


def test_it_tells_drawn_cracks_from_drawn_concrete() -> None:
    model = load("ready", None, "model")
    assert model.classes.names == ("sound", "crack")
    assert model.run_id is None
    assert model.trained_in is None
    patches = [draw_patch(99, i, cracked, 227, "thin") for i in range(20) for cracked in (True, False)]
    said = model.classifier.predict(np.stack([resize(patch, model.image_size) for patch in patches]), verbose=0)
    right = (said[:, 1] >= model.thresholds.crack) == (np.arange(40) % 2 == 0)
    assert right.mean() > 0.85


@pytest.mark.parametrize("damage", ["weights", "metadata", "missing"])
def test_changed_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    weights, facts = tmp_path / WEIGHTS.name, tmp_path / FACTS.name
    content = bytearray(WEIGHTS.read_bytes())
    content[len(content) // 2] ^= 1
    if damage != "missing":
        weights.write_bytes(content if damage == "weights" else WEIGHTS.read_bytes())
    text = FACTS.read_text()
    facts.write_text(text.replace('"threshold": 0', '"threshold": 1') if damage == "metadata" else text)
    for name, file in (("WEIGHTS", weights), ("FACTS", facts)):
        monkeypatch.setattr(ready, name, file)
    monkeypatch.setattr("crackexp.tracking.models.WEIGHTS", weights)
    with pytest.raises(DamagedFileError, match=r"not as it was shipped.*Received: model=ready"):
        load("ready", None, "model")
