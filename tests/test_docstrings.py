"""Examples in docstrings: each is run, in a folder of its own, and prints what it says."""

import doctest
import importlib
import re
from pathlib import Path

import pytest

import crackexp

PACKAGE = Path(crackexp.__file__).parent
MODULES = [
    ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts)
    for file in sorted(PACKAGE.rglob("*.py"))
    if re.search(r"^ *>>> ", file.read_text(), re.MULTILINE)
]


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_of_a_module_print_what_they_say(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    finder, runner = doctest.DocTestFinder(), doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for number, example in enumerate(finder.find(importlib.import_module(module))):
        folder = tmp_path / str(number)
        folder.mkdir()
        monkeypatch.chdir(folder)
        runner.run(example)
    assert runner.tries > 0
    assert runner.failures == 0
