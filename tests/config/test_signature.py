"""The constructors of classes, read from their source."""

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from crackexp.config.schema import schema_of
from crackexp.config.signature import REQUIRED, signature_of
from crackexp.config.types import Epochs

Write = Callable[[str], str]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Write:
    """Writes a module of the user's own, and returns its name."""
    name = f"own_{abs(hash(request.node.name))}"

    def write(code: str) -> str:
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(code))
        return name

    monkeypatch.syspath_prepend(tmp_path)
    return write


def test_types_defaults_and_sentences_are_those_of_the_constructor(module: Write) -> None:
    own = module(
        '''
        from crackexp.config.types import Epochs

        class Part:
            """A part.

            Args:
                epochs: The passes over the data,
                    at most.
                rate: The rate.
            """

            def __init__(self, epochs: Epochs, rate: "float | None" = 0.5, other=None, *, last=1e-3):
                pass
        '''
    )
    signature = signature_of(f"{own}.Part")
    assert signature is not None
    assert not signature.open
    assert signature.arguments["epochs"].type == Epochs
    assert signature.arguments["epochs"].default is REQUIRED
    assert signature.arguments["epochs"].description == "The passes over the data, at most."
    assert signature.arguments["rate"].default == 0.5
    assert signature.arguments["last"].default == 1e-3
    assert list(signature.arguments) == ["epochs", "rate", "other", "last"]


def test_arguments_that_are_passed_on_are_those_of_the_base_class(module: Write) -> None:
    own = module(
        """
        class Base:
            def __init__(self, seed: int, width: int = 8): ...

        class Mixin:
            pass

        class Part(Mixin, Base):
            def __init__(self, depth: int, **kwargs):
                super().__init__(width=depth, **kwargs)

        class Silent(Part):
            pass

        class Keeps(Base):
            def __init__(self, **kwargs):
                self.kwargs = kwargs

        class Unknown(not_there.Base):
            pass
        """
    )
    for name in ("Part", "Silent"):
        signature = signature_of(f"{own}.{name}")
        assert signature is not None
        assert set(signature.arguments) == {"depth", "seed", "width"}
        assert not signature.open
    for name in ("Keeps", "Unknown"):
        signature = signature_of(f"{own}.{name}")
        assert signature is not None
        assert signature.open


def test_nothing_of_a_module_runs(module: Write) -> None:
    own = module("raise RuntimeError\nclass Part:\n    def __init__(self, a): ...")
    signature = signature_of(f"{own}.Part")
    assert signature is not None
    assert list(signature.arguments) == ["a"]


@pytest.mark.parametrize(
    "target", ["os.system", "no_such_module.Part", "crackexp.utils.seeds.Nothing", "Part", "", "."]
)
def test_what_is_no_class_has_no_signature(target: str) -> None:
    assert signature_of(target) is None


def test_classes_of_keras_are_read_as_keras_says_without_importing_it() -> None:
    script = """
import sys
from crackexp.config.signature import signature_of
kinds = "optimizers.Adam", "losses.KLDivergence", "callbacks.EarlyStopping"
read = [signature_of(f"keras.{kind}") for kind in kinds]
assert "keras" not in sys.modules
import inspect, keras
for kind, signature in zip(kinds, read):
    module, name = kind.split(".")
    there = inspect.signature(getattr(getattr(keras, module), name).__init__).parameters
    named = [p for p in there.values() if p.kind is p.POSITIONAL_OR_KEYWORD][1:]
    assert set(signature.arguments) >= {p.name for p in named}
    for p in named:
        assert signature.arguments[p.name].default == p.default, p
    print(signature.open)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == 3 * "False\n"


def test_an_argument_may_have_any_name(module: Write) -> None:
    own = module("class Part:\n    def __init__(self, copy: int, json: str = 'a', schema=None, _private=1): ...")
    schema = schema_of(f"{own}.Part")
    schema.model_validate({"_target_": f"{own}.Part", "copy": 1, "json": "b", "schema": [], "_private": 2})
    with pytest.raises(ValueError, match="copy"):
        schema.model_validate({"_target_": f"{own}.Part", "copy": "1"})
