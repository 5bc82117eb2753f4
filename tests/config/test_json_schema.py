"""JSON Schemas of the configs, as editors use them."""

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from crackexp.config.contracts import CONTRACTS
from crackexp.config.json_schema import group_schema
from crackexp.config.options import conf_dir
from crackexp.config.settings import SETTINGS

FILES = sorted(file for group in [*SETTINGS, *CONTRACTS] for file in (conf_dir() / group).glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_every_packaged_option_keeps_its_schema(file: Path) -> None:
    jsonschema.validate(yaml.safe_load(file.read_text()) or {}, group_schema(file.parent.name))


@pytest.mark.parametrize(
    ("group", "text"),
    [
        ("head", "{_target_: crackexp.models.heads.PooledHead, dropuot: 0.1}"),
        ("head", "{_target_: crackexp.models.heads.PooledHead, dropout: 1.5}"),
        ("optimizer", "{_target_: keras.optimizers.SGD, momentum: fast}"),
        ("callbacks", "{stop: {_target_: keras.callbacks.EarlyStopping, patience: -1}}"),
        ("augmentation", "{transforms: {flip: {_target_: crackexp.data.transforms.RandomFlip, mode: up}}}"),
        ("evaluation", "{levle: 0.9}"),
    ],
)
def test_a_mistake_is_marked(group: str, text: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(text), group_schema(group))


def test_a_class_of_ones_own_has_keys_of_its_own() -> None:
    jsonschema.validate({"_target_": "own.Head", "units": 3}, group_schema("head"))


def test_the_command_writes_a_file_for_each_group(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "crackexp.config.json_schema", str(tmp_path / "schemas")]
    subprocess.run(words, check=True)
    written = {file.stem: json.loads(file.read_text()) for file in (tmp_path / "schemas").iterdir()}
    assert set(written) == {*SETTINGS, *CONTRACTS}
    settings = json.loads((Path(__file__).parents[2] / ".vscode" / "settings.json").read_text())
    assert set(settings["yaml.schemas"]) == {f".schemas/{group}.json" for group in written}
