"""Processes, on one host or on several, that train one run together."""

import contextlib
import os
import sys
import traceback
from collections.abc import Iterator

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from crackexp.errors import ConfigError

ENVIRONMENT = "KERAS_DISTRIBUTION_"
"""Begins the names of the variables that `keras.distribution.initialize` reads."""


def join_processes() -> None:
    """Makes this process one of several that train one run, where the variables of Keras' distribution say so.

    Call it before anything asks JAX for its devices.

    Raises:
        ConfigError: a variable is missing, or no number; or it is a sweep.
    """
    given = {name: value for name, value in os.environ.items() if name.startswith(ENVIRONMENT)}
    if not given:
        return
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        raise ConfigError(
            "A sweep shares its cells out by hydra/launcher, one process a cell. "
            f"Unset {ENVIRONMENT}*, or leave out -m. Received: -m"
        )
    try:
        processes, number = (int(given[f"{ENVIRONMENT}{name}"]) for name in ("NUM_PROCESSES", "PROCESS_ID"))
        complete = bool(given[f"{ENVIRONMENT}JOB_ADDRESSES"]) and 0 <= number < processes
    except (KeyError, ValueError):
        complete = False
    if not complete:
        raise ConfigError(
            f"Several processes train one run where all of {ENVIRONMENT}JOB_ADDRESSES=HOST:PORT, "
            f"{ENVIRONMENT}NUM_PROCESSES=P and {ENVIRONMENT}PROCESS_ID=0..P-1 are set; unset them for one alone. "
            f"Received: {' '.join(f'{name}={value}' for name, value in sorted(given.items()))}"
        )
    import jax
    import keras

    jax.config.update("jax_enable_preemption_service", False)  # it would take SIGTERM, and not end the process
    keras.distribution.initialize()


def is_first() -> bool:
    """Says whether this process is the one that logs and keeps what several train together."""
    return _number() == 0


def apart(cfg: DictConfig) -> DictConfig:
    """Returns `cfg` with an output folder of its own, ``process1`` and so on below, for all processes but the first."""
    if is_first():
        return cfg
    output = str(cfg.paths.output)
    text = OmegaConf.to_yaml(cfg, resolve=True)
    return DictConfig(OmegaConf.create(text.replace(output, f"{output}/process{_number()}")))


@contextlib.contextmanager
def leaving() -> Iterator[None]:
    """Ends a process that trains a run with others at once where an error or a signal ends the `with` block.

    Python's own way out would wait for the others, who wait for this process to compute its share. So they see its
    connections close, and end by an error of their own.
    """
    try:
        yield
    except BaseException as error:
        if f"{ENVIRONMENT}PROCESS_ID" not in os.environ:
            raise
        if not isinstance(error, SystemExit):
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else 1)


def _number() -> int:
    return int(os.environ.get(f"{ENVIRONMENT}PROCESS_ID", 0))
