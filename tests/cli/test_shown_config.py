"""Tests of what commands print of their configs."""

from collections.abc import Callable

import pytest
from omegaconf import DictConfig

from crackexp.cli.shown_config import show_config
from crackexp.config.checking import check
from crackexp.evaluate import EvaluateConfig
from crackexp.sweep.identity import training_digest
from crackexp.training.config import TrainConfig
from tests.conftest import Command

Compose = Callable[..., DictConfig]


def printed(capsys: pytest.CaptureFixture[str], cfg: DictConfig, composed: DictConfig | None, how: str) -> str:
    capsys.readouterr()
    show_config(cfg, composed, how)
    return capsys.readouterr().out


def test_the_defaults_are_printed_in_two_lines(compose_config: Compose, capsys: pytest.CaptureFixture[str]) -> None:
    composed = compose_config()
    text = printed(capsys, check(composed, TrainConfig), composed, "changes")
    assert "dataset=synthetic, backbone=mobilenet_v2, trainer=frozen, image_size=160, epochs=5" in " ".join(
        text.split()
    )
    assert "default" not in text.partition("Changed")[0]
    assert len(text.splitlines()) < 8


def test_what_differs_from_the_defaults_is_printed_with_them(
    compose_config: Compose, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = [
        "+experiment=robust",
        "dataset=folder",
        "dataset.path=PATCHES",
        "optimizer.learning_rate=0.5",
        "dropout=0.1",
    ]
    composed = compose_config(*typed)
    words = " ".join(printed(capsys, check(composed, TrainConfig), composed, "changes").split())
    assert "dataset=folder (default synthetic)" in words
    assert "dropout=0.1 (default 0.3)" in words
    assert "experiment=robust, " in words
    assert "head=mil (default pooled)" in words
    assert "dataset.path=PATCHES (default ???)" in words or "dataset.path=PATCHES" in words
    assert "optimizer.learning_rate=0.5" in words
    assert "head.dropout" not in words  # it takes the value of dropout
    assert "augmentation=none (default flip_rotate)" in words
    assert "evaluation.resamples" not in words


def test_a_resumed_run_prints_the_main_values(compose_config: Compose, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, check(compose_config("epochs=3"), TrainConfig), None, "changes")
    assert "epochs=3" in text
    assert "Changed" not in text


def test_all_or_nothing_is_printed_where_it_is_asked_for(
    compose_config: Compose, capsys: pytest.CaptureFixture[str]
) -> None:
    composed = compose_config("run=abc", root="evaluate")
    cfg = check(composed, EvaluateConfig)
    assert "resamples: 1000" in printed(capsys, cfg, composed, "full")
    assert "run=abc" in printed(capsys, cfg, composed, "changes")
    assert printed(capsys, cfg, composed, "none") == ""


def test_what_is_printed_does_not_make_another_training(compose_config: Compose) -> None:
    digests = {
        training_digest(check(compose_config(f"print_config={how}"), TrainConfig), "") for how in ("full", "none")
    }
    assert len(digests) == 1


def test_a_config_without_the_key_is_valid(compose_config: Compose) -> None:
    assert "print_config" not in check(compose_config("~print_config"), TrainConfig)


def test_nothing_is_printed_of_a_refused_config(command_here: Command) -> None:
    done = command_here("train", "dataset=folder", "dataset.path=nowhere", "tracking=none", "epochs=3")
    assert done.returncode == 2
    assert done.stdout == ""
