"""Training of one run by several processes, on one host or on many."""

import contextlib
import os
import sys
import traceback
from collections.abc import Iterator

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from crackexp.utils.errors import ConfigError

ENVIRONMENT = "KERAS_DISTRIBUTION_"
"""The prefix of the environment variables that `keras.distribution.initialize` reads."""


def initialize_distributed() -> None:
    """Makes this process one of several that train one run, if the variables of Keras' distribution are set.

    It must be called before anything asks JAX for its devices.

    Raises:
        ConfigError: A variable is missing or is not a number, or the command is a sweep.
    """
    variables = {name: value for name, value in os.environ.items() if name.startswith(ENVIRONMENT)}
    if not variables:
        return
    if is_multirun():
        raise ConfigError(
            "A sweep shares its trials out by hydra/launcher, one process a trial. "
            f"Unset {ENVIRONMENT}*, or leave out -m. Received: -m"
        )
    try:
        processes, number = (int(variables[f"{ENVIRONMENT}{name}"]) for name in ("NUM_PROCESSES", "PROCESS_ID"))
        complete = bool(variables[f"{ENVIRONMENT}JOB_ADDRESSES"]) and 0 <= number < processes
    except (KeyError, ValueError):
        complete = False
    if not complete:
        raise ConfigError(
            f"Several processes train one run where all of {ENVIRONMENT}JOB_ADDRESSES=HOST:PORT, "
            f"{ENVIRONMENT}NUM_PROCESSES=P and {ENVIRONMENT}PROCESS_ID=0..P-1 are set; unset them for one alone. "
            f"Received: {' '.join(f'{name}={value}' for name, value in sorted(variables.items()))}"
        )
    import jax
    import keras

    jax.config.update("jax_enable_preemption_service", False)  # it would handle SIGTERM, and the process would not end
    keras.distribution.initialize()


def is_multirun() -> bool:
    """Returns whether this process runs a job of a Hydra multirun. Outside of Hydra it does not."""
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def is_first_process() -> bool:
    """Returns whether this is the process that logs and saves the results of all processes of a run."""
    return _process_index() == 0


def with_own_output(cfg: DictConfig) -> DictConfig:
    """Returns `cfg` with an output folder for this process, such as ``OUTPUT/process1``; the first keeps its own."""
    if is_first_process():
        return cfg
    output = str(cfg.paths.output)
    text = OmegaConf.to_yaml(cfg, resolve=True)
    return DictConfig(OmegaConf.create(text.replace(output, f"{output}/process{_process_index()}")))


@contextlib.contextmanager
def abort_on_error() -> Iterator[None]:
    """Ends a process of a distributed run at once if an error or a signal ends the `with` block.

    A normal exit of Python would wait for the other processes, which in turn wait for this process to compute its
    share. After an immediate exit, they see that its connections are closed, and end with an error of their own.
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


def _process_index() -> int:
    return int(os.environ.get(f"{ENVIRONMENT}PROCESS_ID", 0))
