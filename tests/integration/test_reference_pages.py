"""The reference of keys on the documentation site says what the schemas say."""

import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import yaml

from crackexp.config.options import conf_dir

ROOT = Path(__file__).parents[2]
PAGES: dict[str, Any] = runpy.run_path(str(ROOT / "docs" / "reference_pages.py"))


@pytest.mark.parametrize("name", sorted(file.stem for file in conf_dir().glob("*.yaml")))
def test_the_page_of_a_command_has_every_key_with_a_sentence_and_its_default(name: str) -> None:
    config = yaml.safe_load((conf_dir() / f"{name}.yaml").read_text())
    page = PAGES["_command"](name, config)
    rows = dict(re.findall(r"^\| `([\w.]+)` \| (.+)$", page, re.MULTILINE))
    typed = {key: value for key, value in config.items() if key not in ("defaults", "hydra")}
    keys = {f"{key}.{inner}" if inner else key for key, value in typed.items() for inner in _inner(value)}
    assert set(rows) == keys
    for key, told in rows.items():
        assert re.match(r"[A-Z].+[.!?]<br>(.+; )?(required|default `.+`) \|$", told), key
    for key, value in typed.items():
        if value == "???":
            assert rows[key].endswith("; required |")


def test_the_page_of_a_group_has_each_option_and_marks_the_keys_that_are_not_in_its_file() -> None:
    page = PAGES["_group"]("optimizer")
    assert re.findall(r"^## (\w+)$", page, re.MULTILINE) == ["adam", "adamw", "sgd"]
    assert "| `optimizer.learning_rate` | " in page
    assert "| `+optimizer.clipnorm` | " in page


def _inner(value: Any) -> list[str]:
    return list(value) if isinstance(value, dict) else [""]
