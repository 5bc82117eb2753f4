"""``--help``: every key of every command and every option has a sentence, a type and a range."""

import pytest

from crackexp.config.contracts import CONTRACTS
from crackexp.config.options import packaged_targets
from crackexp.config.schema import schema_of
from crackexp.config.settings import SETTINGS
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
