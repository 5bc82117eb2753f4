"""What a shell is told when the user presses Tab."""

import sys
from pathlib import Path

import pytest

from crackexp.__main__ import COMMANDS, candidates, main
from crackexp.cli.completion import candidates as arguments

ROOT = Path(__file__).parents[2]


def test_commands_are_completed_with_their_sentences(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["crackexp", "--complete", "e"])
    assert main() == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [name for name, _ in rows] == ["evaluate", "explain", "export"]
    assert all(len(text) > 10 for _, text in rows)
    assert len(candidates([""])) == len(COMMANDS)
    assert candidates(["--completion", "z"]) == ["zsh"]
    assert candidates(["unknown", ""]) == []


@pytest.mark.parametrize(
    ("command", "words", "expected"),
    [
        ("train", ["optim"], ["optimized_metric=", "optimizer.", "optimizer="]),
        ("train", ["optimizer=a"], ["optimizer=adam", "optimizer=adamw"]),
        ("train", ["optimizer=sgd", "optimizer.mo"], ["optimizer.momentum="]),
        ("train", ["dropuot=1", "epo"], ["epochs="]),
        ("train", ["epochs="], ["epochs=5"]),
        ("train", ["split.ratio="], ["split.ratio=[0.7,0.2,0.1]"]),
        ("train", ["+"], ["+debug=", "+experiment=", "+sweep="]),
        ("train", ["+experiment="], ["+experiment=mobilenet", "+experiment=robust"]),
        ("train", ["+optimizer.weight"], ["+optimizer.weight_decay="]),
        (
            "train",
            ["dataset=folder", "dataset.on_bad_file="],
            ["dataset.on_bad_file=error", "dataset.on_bad_file=skip"],
        ),
        ("train", ["--mu"], ["--multirun"]),
        ("train", ["--cfg", ""], ["all", "hydra", "job"]),
        ("train", ["hydra/la"], ["hydra/launcher="]),
        ("train", ["paths.root="], []),  # made of other values
        ("train", ["nonsense."], []),
        ("sweep", ["optimizer=sgd,"], ["optimizer=sgd,adam", "optimizer=sgd,adamw"]),
        ("sweep", ["dropout=0.1,0.2", "optimizer=sgd", "optimizer.mo"], ["optimizer.momentum="]),
        ("predict", ["model="], []),  # the shell completes the names of files
        ("compare", ["0123abcd", "metric"], ["metric=", "metrics.", "metrics="]),
    ],
)
def test_groups_options_and_keys_are_completed(command: str, words: list[str], expected: list[str]) -> None:
    assert candidates([command, *words]) == expected


def test_a_command_has_its_own_groups_only() -> None:
    heads = {found.rstrip("=.") for found in arguments("predict", [], "")}
    assert heads >= {"model", "input", "out", "paths", "tracking"}
    assert not heads & {"optimizer", "head", "+experiment", "hydra"}


def test_options_of_a_config_folder_of_ones_own_are_completed() -> None:
    own = ["--config-dir", str(ROOT / "tests" / "extension_project" / "conf")]
    assert set(arguments("train", own, "backbone=")) > set(arguments("train", [], "backbone="))
