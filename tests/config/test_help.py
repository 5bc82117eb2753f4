"""``--help``: every key of every command and every option has a sentence, a type and a range."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from crackexp.config.contracts import CONTRACTS
from crackexp.config.options import packaged_targets
from crackexp.config.schema import schema_of
from crackexp.config.settings import SETTINGS
from crackexp.config.types import BatchSize, Bounds, Fraction, ImageSize, Inputs, Monitor, Ratio, Seed, type_text
from tests.composing import ROOTS
from tests.conftest import Command

TARGETS = sorted({target for group in CONTRACTS for target in packaged_targets(group)})


@pytest.mark.parametrize("model", [*ROOTS.values(), *SETTINGS.values()])
def test_every_key_of_a_command_has_a_sentence(model):
    keys = {name: field.description for name, field in model.model_fields.items()}
    assert [name for name, sentence in keys.items() if not (sentence or "").strip().endswith((".", "`"))] == []


@pytest.mark.parametrize("target", TARGETS)
def test_every_key_of_an_option_has_a_sentence(target):
    keys = {field.alias or name: field.description for name, field in schema_of(target).model_fields.items()}
    assert [name for name, sentence in keys.items() if not (sentence or "").strip().endswith(".")] == []


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (BatchSize | None, "int in [1, 65536] or null"),
        (ImageSize, "int in [32, 2048]"),
        (Fraction, "float in [0, 1)"),
        (Seed, "int in [0, 2^63)"),
        (Ratio, "list of 3 floats in (0, 1000000]"),
        (float | Bounds[float], "float or list of 2 floats"),
        (Monitor, "val_loss, val_accuracy, loss or accuracy"),
        (Inputs, "text or list of texts"),
        (bool, "true or false"),
        (Any, "any value"),
    ],
)
def test_the_values_that_a_key_takes_are_said_in_words(kind, words):
    assert type_text(TypeAdapter(kind).json_schema()) == words


def lines(text: str, key: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip().startswith(f"{key}:")]


def test_a_command_explains_its_keys(command_here: Command):
    done = command_here("train", "--help")
    assert done.returncode == 0, done.stderr
    (epochs, *_) = lines(done.stdout, "epochs")
    assert "epochs: 5" in epochs
    assert "(int in [1, 100000])" in epochs
    assert "optimizer: adam, adamw, sgd" in done.stdout


def test_a_group_is_explained_with_all_its_options(command_here: Command):
    done = command_here("train", "--help", "optimizer", "optimizer.learning_rate=0.5")
    assert done.returncode == 0, done.stderr
    for word in ("Chosen: adam", "optimizer=adam\n", "optimizer=adamw\n", "optimizer=sgd\n"):
        assert word in done.stdout
    rates = lines(done.stdout, "learning_rate")
    assert ["(float in (0, 1000])" in line for line in rates] == [True, True, True]
    (nesterov,) = lines(done.stdout, "nesterov")
    assert "nesterov: true" in nesterov
    assert all("0.9 " in line for line in lines(done.stdout, "beta_1")), "options leave it out: it has its default"


def test_an_experiment_is_shown_as_its_file_has_it(command_here: Command):
    done = command_here("train", "--help", "experiment", "metrics")
    assert done.returncode == 0, done.stderr
    assert "+experiment=robust\n" in done.stdout
    assert "override /head: mil" in done.stdout
    assert "metrics=default\n" in done.stdout


def test_a_group_that_the_command_does_not_have_is_refused(command_here: Command):
    done = command_here("cache", "--help", "optimizer")
    assert done.returncode == 2
    assert "'optimizer'" in done.stderr
    assert "Choose from: paths" in done.stderr
    done = command_here("train", "--help", "optmizer")
    assert done.returncode == 2
    assert "Did you mean 'optimizer'?" in done.stderr
