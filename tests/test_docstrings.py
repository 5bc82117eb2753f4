"""The examples in docstrings give what they say."""

import doctest
import importlib

import pytest

MODULES = [
    "crackexp.models.backbone",
    "crackexp.models.base",
    "crackexp.models.heads",
    "crackexp.embeddings.dataset",
    "crackexp.embeddings.leases",
    "crackexp.embeddings.store",
    "crackexp.inference.engine",
    "crackexp.reporting.formatting",
    "crackexp.reporting.report",
    "crackexp.training.callbacks",
    "crackexp.training.fine_tune",
    "crackexp.training.frozen",
    "crackexp.training.history",
    "crackexp.training.losses",
    "crackexp.training.trainer",
    "crackexp.utils.arrays",
    "crackexp.utils.pytree",
    "crackexp.utils.renamed",
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(name: str) -> None:
    outcome = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert outcome.attempted, "there is no example"
    assert not outcome.failed
