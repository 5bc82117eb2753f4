"""Random overrides, wrong ones above all: each is accepted, or refused in a sentence, and never ends in a traceback."""

import math
import os
from collections.abc import Iterator
from typing import Any, get_args

import numpy as np
import pytest
from omegaconf import OmegaConf

from crackexp.config.checking import check
from crackexp.config.options import conf_dir, packaged_targets
from crackexp.config.schema import schema_of
from crackexp.config.settings import SETTINGS, CommandConfig
from crackexp.config.types import Strict
from crackexp.training.config import TrainConfig
from crackexp.utils.seeds import generator
from tests.composing import NEEDS, ROOTS, outcome

OPTIONS = {group: sorted(file.stem for file in (conf_dir() / group).glob("*.yaml")) for group in TrainConfig.groups}

SCALARS = [
    *("null", "true", "False", "0", "-1", "1", "7", "5.0", "0.5", "1e300", "-1e300", "1e21", "1e-400", "inf", "-inf"),
    *("nan", "9" * 25, "9" * 5000, "0x10", "1_000", "abc", "a/b", "../x", "..", ".", "/", "C:\\x", "2024-01-01", "???"),
    *("", '""', '" "', '"\t"', '"a\x07b"', '"a\nb"', "x" * 5000, '"裂縫"', "裂縫", "a#b", "it's", "(", "a(1)", "a=b"),
    *(
        "a,b",
        "1,2",
        "range(3)",
        "choice(1,2)",
        "glob(*)",
        "${nope}",
        "${seed}",
        "${paths}",
        "${",
        "$x",
        "%",
        "a b",
        "'",
    ),
    *("\\", '"', "a\\", "@", "a@b", "~", "!!python/object:os.system"),
]
NESTED = [
    *("[]", "[1]", "[null]", "[[]]", "[a,a]", "[a=b]", "[1,2", "[0.7,0.2,0.1]", "[nan,nan,nan]", "[true,true,true]"),
    *("[{}]", "[{a:1}]", "[synthetic]", "[{synthetic:1}]", "[{synthetic:{name:../x}}]", "[{folder:{path:1}}]"),
    *("[{synthetic:{_target_:1}}]", "[{null:{}}]", "[{1:2}]", "[{synthetic:{count:nan,weight:true}}]"),
    *("{}", "{a:1}", "{1:2}", "{a:{b:{c:[]}}}", "{_target_:1}", "{_target_:null}", "{_target_:[a]}", "{_target_:x.y}"),
    *("{_target_:''}", "{_target_:'..'}", "{_target_:'a b'}", "{_target_:keras}", "{_target_:os.system,_args_:[x]}"),
    *("{_target_:keras.losses.Loss,_partial_:true}", "{_recursive_:1}", "{a:'${b}'}", "{a}", "{a:1,a:2}", "{}}"),
]
FORMS = ["{key}={value}"] * 6 + ["+{key}={value}", "++{key}={value}", "~{key}", "~{key}={value}", "{key}", "+{key}"]


def fields(model: type[Strict], prefix: str) -> Iterator[str]:
    """Yields the dotted keys of a model, with those of the tables in it."""
    for name, field in model.model_fields.items():
        key = f"{prefix}{field.alias or name}"
        yield key
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, Strict):
                yield from fields(kind, f"{key}.")


def keys(root: type[CommandConfig]) -> list[str]:
    """Returns the keys that a config of `root` may have, and some that it has not."""
    found = {
        *fields(root, ""),
        *root.groups,
        "hydra",
        "hydra.run.dir",
        "hydra.job.chdir",
        "hydra/launcher",
        "hydra.mode",
    }
    for group in set(root.groups) - {"callbacks"}:
        models = [SETTINGS[group]] if group in SETTINGS else map(schema_of, packaged_targets(group))
        found |= {key for model in models for key in fields(model, f"{group}.")}
        found |= {f"{group}.nothing", f"{group}.nothing.below", f"{group}@x", f"{group}/x"}
    if "callbacks" in root.groups:
        found |= {"callbacks.mine", *fields(schema_of("keras.callbacks.EarlyStopping"), "callbacks.early_stopping.")}
        found |= {"augmentation.transforms.flip", "augmentation.transforms.flip.mode", "augmentation.transforms.mine"}
        found |= {"experiment", "debug", "sweep", "mix.0", "mix.0.synthetic"}
    return sorted(found | {"größe", "a b", "", ".", "1", "_target_", "seed.x", "*"})


def draw(rng: np.random.Generator) -> tuple[str, list[str]]:
    """Returns the name of a config, and random overrides for it."""
    name = str(rng.choice(list(ROOTS)))
    root = ROOTS[name]
    drawn = [f"{group}={rng.choice(OPTIONS[group])}" for group in root.groups if rng.random() < 0.5 / len(root.groups)]
    known = keys(root)
    for _ in range(rng.integers(0, 3)):
        values = SCALARS if rng.random() < 0.6 else NESTED
        form = FORMS[rng.integers(len(FORMS))]
        drawn.append(form.format(key=known[rng.integers(len(known))], value=values[rng.integers(len(values))]))
    return name, drawn


def numbers(node: Any) -> Iterator[float]:
    """Yields the floats of a config, but for those of classes that check their arguments themselves."""
    if isinstance(node, float):
        yield node
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from numbers(value) if key != "transforms" else ()
    elif isinstance(node, list):
        for value in node:
            yield from numbers(value)


COUNTS = [40, pytest.param(300, marks=pytest.mark.slow)]


@pytest.mark.parametrize(
    "count", [int(os.environ["CRACKEXP_RANDOM_OVERRIDES"])] if "CRACKEXP_RANDOM_OVERRIDES" in os.environ else COUNTS
)
def test_random_overrides_are_accepted_or_refused_in_a_sentence(count: int, capsys: pytest.CaptureFixture[str]) -> None:
    rng = generator(count, "overrides")
    failed, accepted = [], 0
    for _ in range(count):
        name, overrides = draw(rng)
        try:
            found = outcome(name, [*NEEDS.get(name, []), *overrides])
            if isinstance(found, str):
                assert len(found.split()) > 3
                assert "Traceback" not in found
            else:
                accepted += 1
                plain = OmegaConf.to_container(found)
                assert all(math.isfinite(number) for number in numbers(plain))
                assert OmegaConf.to_container(check(OmegaConf.create(plain), ROOTS[name])) == plain
        except Exception as error:
            failed.append(f"{name} {overrides}: {type(error).__name__}: {error}")
    with capsys.disabled():
        print(f"\nRandom overrides: tried {count}, held {count - len(failed)}")
    assert not failed, "\n".join(failed)
    assert 0 < accepted < count / 2
