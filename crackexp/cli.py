"""The frame of every entry point: Hydra composes, mistakes are told in a sentence, signals end the work in order."""

import functools
import logging
import os
import select
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from crackexp.data.accounting import Account
from crackexp.errors import ConfigError, UserError, refuse
from crackexp.faults import explain_fault
from crackexp.names import set_up_streams
from crackexp.options import conf_dir
from crackexp.overrides import explain
from crackexp.signals import answer, heed, listen, stops
from crackexp.sweep.callback import closing, sweeping
from crackexp.training.processes import leaving

Task = Callable[[DictConfig], float | None]


def run(task: Task, config_name: str) -> None:
    """Runs `task` on the config that the command line composes from ``conf/<config_name>.yaml``.

    Exit status: 0 done, 1 crashed (with a traceback) or with failed cells in a sweep, 2 a mistake of the user's (with a
    sentence), 3 done but for files that were left out and may be images, 130 and 143 stopped by Ctrl-C and SIGTERM, 141
    left by whoever read stdout.
    """
    if os.environ["KERAS_BACKEND"] != "jax":
        refuse(
            "crackexp computes on JAX. Type KERAS_BACKEND=jax, or unset it. "
            f"Received: KERAS_BACKEND={os.environ['KERAS_BACKEND']}"
        )
    if "${" in str(Path.cwd()):
        refuse(
            f"Hydra takes '${{' in the name of a folder for an interpolation. Rename the folder. Received: {Path.cwd()}"
        )
    set_up_streams()
    os.environ["HYDRA_FULL_ERROR"] = "1"
    listen()
    logging.getLogger("jax").setLevel(logging.WARNING)
    main = hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=config_name)
    with leaving():
        _told(main, task)


def leave(account: Account) -> None:
    """Ends a single run with status 3 where files were left out that may be images; see `Account.exit_status`.

    A job of a multirun is not ended: its sweep ends with that status.
    """
    if account.exit_status and HydraConfig.get().mode != RunMode.MULTIRUN:
        sys.exit(account.exit_status)


def _told(main: Callable[[Task], Callable[[], None]], task: Task) -> None:
    """Runs `task` under Hydra's `main`; tells mistakes in a sentence, and ends by the status that says how it went."""
    begun = False

    @functools.wraps(task)
    def job(composed: DictConfig) -> float | None:
        nonlocal begun
        begun = True
        try:
            return task(composed)
        except UserError as error:
            if HydraConfig.get().mode == RunMode.MULTIRUN:
                raise
            refuse(str(error))  # here, since Hydra prints a line of its own above what a job raises

    try:
        with closing():
            try:
                main(job)()
            except (UserError, BrokenPipeError):
                raise
            except Exception as error:  # of whatever kind: Hydra alone has run so far, on what was typed
                if begun or sweeping() or stops(error):
                    raise
                fault = explain_fault(error) if isinstance(error, OSError) else None
                raise ConfigError(fault or explain(error)) from error
            heed()
    except UserError as error:
        refuse(str(error))
    except (HydraException, OmegaConfBaseException) as error:
        refuse(explain(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        _leave_unread()
        raise
    except Exception as error:  # of whatever kind: a signal, or a fault of a disk, may have caused it
        if stop := answer():
            sys.exit(128 + stop)
        if fault := explain_fault(error):
            refuse(fault)
        raise


def _leave_unread() -> None:
    """Ends quietly, as by SIGPIPE, where whoever reads stdout has seen enough, such as ``head``."""
    state = select.poll()
    state.register(sys.stdout, 0)
    if state.poll(0):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
