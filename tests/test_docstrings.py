"""The examples in the docstrings run."""

import doctest
import importlib

import pytest

MODULES = ("crackexp.reporting.formatting", "crackexp.reporting.report")


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_show_what_is_returned(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0
    assert result.failed == 0
