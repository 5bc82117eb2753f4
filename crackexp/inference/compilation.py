"""Compiled programs: what they compute with, one for each step, and kept for later processes."""

import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import jax
import keras
from filelock import FileLock, Timeout

PROGRAM_BYTES = 2 * 1024**3
"""How many bytes all compiled programs may take; JAX removes those that were used least recently."""
KEPT_FROM_SECONDS = 0.01
"""How long the compilation of a program must take for it to be kept: dozens in a run take 20 ms each."""
LOCK_SECONDS = 10
"""How long to wait for a process that reads or writes a program."""

_log = logging.getLogger(__name__)


def keep_programs(cache: Path) -> None:
    """Keeps compiled programs in `cache`, so that a later process need not compile them again."""
    folder = cache / "programs"
    if folder.is_dir():
        with suppress(OSError, Timeout), FileLock(folder / ".lockfile", timeout=LOCK_SECONDS):  # JAX's own lock
            for program in folder.glob("*-cache"):
                if not program.with_name(program.name.replace("-cache", "-atime")).exists():
                    program.unlink(missing_ok=True)  # its process was killed half-way, and JAX would stumble over it
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_compilation_cache_max_size", PROGRAM_BYTES)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", KEPT_FROM_SECONDS)


def sharing_programs() -> dict[str, str]:
    """Returns the environment variables by which a process without crackexp shares the kept programs."""
    names = (
        "jax_compilation_cache_dir",
        "jax_compilation_cache_max_size",
        "jax_persistent_cache_min_compile_time_secs",
    )
    values = {name.upper(): getattr(jax.config, name) for name in names}
    return {name: str(value) for name, value in values.items() if value is not None}


def use_cpu() -> None:
    """Makes this process compute on CPU whatever devices there are; call it before the first computation."""
    jax.config.update("jax_platforms", "cpu")


def set_precision(precision: str) -> None:
    """Sets the precision of the models that are built from now on.

    Args:
        precision: "tensorfloat32", with which a GPU rounds the factors of matrix products and convolutions to 10 bits
            for speed, or a dtype policy of Keras. Products of float32 are exact to float32 on every device. Mixed
            policies compute in 16 bits and keep weights in 32.
    """
    rounded = precision == "tensorfloat32"
    keras.config.set_dtype_policy("float32" if rounded else precision)
    jax.config.update("jax_default_matmul_precision", "tensorfloat32" if rounded else "highest")


def compile_once(model: keras.Model) -> keras.Model:
    """Makes `model` warn when `fit` compiles its step a second time, and name the shapes that caused it.

    A batch of another shape costs a compilation, which for a backbone takes as long as thousands of images.

    Returns:
        `model` itself; call it before the first step.
    """
    model.train_step = trace_once(model.train_step, f"train_step of {model.name}")
    return model


def trace_once(step: Callable[[Any, Any], Any], name: str) -> Callable[[Any, Any], Any]:
    """Returns `step`, which JAX calls once per compilation, such that it warns of every compilation but the first."""
    seen: list[str] = []

    def traced(state: Any, data: Any) -> Any:
        seen.append(", ".join(f"{leaf.dtype}{list(leaf.shape)}" for leaf in jax.tree.leaves(data)))
        if len(seen) > 1:
            _log.warning("%s is compiled once more. Received: batch %s after %s", name, seen[-1], seen[-2])
        return step(state, data)

    return traced
