"""What a refused command line proposes to type does work when it is typed."""

import re
import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from crackexp.config.overrides import as_text, quoted
from tests.conftest import Command

TEXTS = [
    *(
        "/data/a#b",
        "/data/my project (1)",
        "/data/裂縫",
        "it's.jpg",
        "a=b",
        '"',
        "'",
        "a\"b'c",
        "a(1)\\",
        "\\\\(",
        "[a.jpg",
    ),
    *("{a", "a]b", "größe", "a (b), c", "!x", "a;b", "a&b", "a<b>", "`x`(", "$(x)", "C:\\data (1)\\", "x, (1)", "é,ü"),
]


def typed(proposal: str) -> tuple[str, object]:
    """Returns key and value that Hydra reads where `proposal` is typed in a shell."""
    (word,) = shlex.split(proposal)
    override = OverridesParser.create().parse_override(word)
    assert not override.is_sweep_override()
    return override.key_or_group, override.value()


@pytest.mark.parametrize("text", TEXTS)
def test_a_proposed_text_means_itself(text: str) -> None:
    proposal = quoted(f"dataset.path={text}")
    assert proposal is not None
    assert typed(proposal) == ("dataset.path", text)
    assert typed(as_text("input", text)) == ("input", text)


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("tags=[a=b]", "tags", ["a=b"]),
        ("+tags=[a, b#c,'d']", "tags", ["a", "b#c", "d"]),
        ("input=[a(1).jpg,5,null]", "input", ["a(1).jpg", 5, None]),
        (
            "mix=[{folder:{path:/a(1),limit:5}},synthetic]",
            "mix",
            [{"folder": {"path": "/a(1)", "limit": 5}}, "synthetic"],
        ),
        ("input=[裂縫/[1].jpg]", "input", ["裂縫/[1].jpg"]),
    ],
)
def test_what_needs_quotes_inside_lists_and_tables_gets_them(override: str, key: str, value: object) -> None:
    proposal = quoted(override)
    assert proposal is not None
    assert typed(proposal) == (key, value)


@pytest.mark.parametrize("override", ["größe=1", "a b=1", "=x#", "dropout", "."])
def test_a_wrong_key_has_no_proposal(override: str) -> None:
    assert quoted(override) is None


@pytest.mark.parametrize(
    ("name", "argument", "value"),
    [
        ("train", "dataset.path=/data/a#b", "/data/a#b"),
        ("train", "dataset.path=/data/my project (1)", "/data/my project (1)"),
        ("train", "dataset.path=/data/裂縫", "/data/裂縫"),
        ("train", "tags=[a=b]", ["a=b"]),
        ("predict", "input=it's.jpg", "it's.jpg"),
        ("predict", "input=a,b.jpg", "a,b.jpg"),
    ],
)
def test_a_refusal_shows_what_to_type(command_here: Command, name: str, argument: str, value: object) -> None:
    done = command_here(name, argument)
    assert done.returncode == 2
    match = re.search(r"Type ('.+?')(\. Received| for one text)", done.stderr)
    assert match is not None, done.stderr
    assert typed(match.group(1)) == (argument.partition("=")[0], value)


def test_a_comma_may_mean_a_list_or_a_sweep_too(command_here: Command) -> None:
    done = command_here("predict", "input=a,b.jpg")
    assert "'input=[a,b.jpg]' for a list" in done.stderr
    assert "-m input=a,b.jpg to sweep" in done.stderr


def test_a_range_asks_for_a_sweep(command_here: Command) -> None:
    assert "Type -m 'seed=range(3)'" in command_here("train", "seed=range(3)").stderr


@pytest.mark.parametrize(
    ("name", "argument", "words"),
    [
        ("app", "backbone=resnet50", ["no config group 'backbone' here", "Choose from"]),
        ("app", "+sweep=seeds", ["Received"]),
        ("predict", "debug=limit", ["no config group 'debug' here"]),
        ("train", "debug=limit", ["Type +debug=NAME"]),
        ("train", "+debug=nope", ["debug has no option 'nope'", "Type +debug=NAME", "Received: +debug=nope"]),
        ("train", "+seed=1", ["seed is there already", "Received: +seed=1"]),
        ("train", "++paths=default", ["paths is there already", "Received: ++paths=default"]),
        ("train", "seed@a=1", ["seed is not one", "Received: seed@a=1"]),
        ("train", "++mix.new=1", ["mix is a list, which has no key 'new'", "Received: ++mix.new=1"]),
        ("train", "+mix.new.key=1", ["mix is a list, which has no key 'new'"]),
        ("train", "optimizer.weight_decay=0.1", ["Type +optimizer.weight_decay=0.1"]),
        ("train", "optimizer.beta_3=0.1", ["Did you mean 'beta_2'"]),
        ("train", "~seed=5", ["'seed' is 0 and not 5", "'~seed=5'"]),
        ("train", f"nothing={'x' * 9000}", ["Received: nothing=xxx"]),
    ],
)
def test_what_hydra_refuses_is_told_with_the_override_at_fault(
    command_here: Command, name: str, argument: str, words: list[str]
) -> None:
    done = command_here(name, "model=abc" if name != "train" else "epochs=1", argument)
    assert done.returncode == 2
    assert all(word in done.stderr for word in words), done.stderr
    assert "Did you mean 'backbone'" not in done.stderr
    assert len(done.stderr) < 1000
