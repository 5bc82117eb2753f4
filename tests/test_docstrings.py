"""The examples in docstrings give what they say."""

import doctest
import importlib

import pytest

MODULES = [
    "crackexp.models.backbone",
    "crackexp.models.base",
    "crackexp.models.heads",
    "crackexp.tracking.logger",
    "crackexp.tracking.mlflow_logger",
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(name: str) -> None:
    outcome = doctest.testmod(importlib.import_module(name))
    assert outcome.attempted, "there is no example"
    assert not outcome.failed
