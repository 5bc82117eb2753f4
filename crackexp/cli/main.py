"""The main function of every command, which runs Hydra, reports mistakes in a sentence, and handles signals."""

import functools
import logging
import os
import select
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import hydra
from hydra.conf import HydraConf
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from crackexp.cli.failed_job import FailureCallback
from crackexp.cli.faults import explain_fault
from crackexp.config.help import group_text, help_text
from crackexp.config.mistakes import refuse_mistakes, validate
from crackexp.config.options import conf_dir
from crackexp.config.overrides import explain
from crackexp.config.settings import CommandConfig, JobConfig
from crackexp.utils.distributed import abort_on_error, is_multirun
from crackexp.utils.errors import ConfigError, UserError, refuse
from crackexp.utils.names import set_up_streams
from crackexp.utils.progress import command_progress
from crackexp.utils.signals import answer, heed, listen, stops

Task = Callable[[DictConfig], float | None]
Multirun = Callable[[], AbstractContextManager[Callable[[], bool]]]
VALUED = ("--cfg", "-c", "--info", "-i", "--package", "-p", "--config-dir", "-cd", "--config-name", "-cn")
"""The options of Hydra that take the next word as their value."""
MODES = ("-h", "--help", "-m", "--multirun", "--resolve")
"""The options of Hydra that say what is done, of which ``--help`` is stronger than the others."""
IN_PLACE = ["hydra.mode=RUN", "hydra.run.dir=.", "hydra.output_subdir=null", "hydra/job_logging=none"]
"""Overrides of a job that writes no file. ``--help`` is one: Hydra's own lists all options of all groups first."""


def run(task: Task, config_name: str, command: type[CommandConfig], multirun: Multirun | None = None) -> None:
    """Runs `task` on the config that the command line composes from ``conf/<config_name>.yaml``.

    The exit status is 0 after success, 1 after a crash (with a traceback) or where trials of a sweep failed, 2 after a
    mistake of the user (with a sentence), 3 after success where files that may be images were left out, 130 and 143
    after Ctrl-C and SIGTERM, and 141 where the reader of stdout, such as ``head``, has closed it.

    Args:
        task: The function of the command, which takes the composed config.
        config_name: The name of the config.
        command: The class that declares the keys and groups of the config.
        multirun: A context manager that ends the sweep which a multirun opened, and yields a function that returns
            whether a sweep is open. None for a command without multiruns.
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
    last = overrides(sys.argv[1:])  # together and last: argparse would refuse `seed=1 -m dropout=0.1,0.2`
    sys.argv[1:] = [*(word for word in sys.argv[1:] if word not in last), *last]
    os.environ["HYDRA_FULL_ERROR"] = "1"
    listen()
    logging.getLogger("jax").setLevel(logging.WARNING)
    own = {kind.__name__: {"_target_": f"{kind.__module__}.{kind.__name__}"} for kind in (NameCheck, FailureCallback)}
    ConfigStore.instance().store(group="hydra", name="config", node=HydraConf(callbacks=own), provider="hydra")
    main = hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=config_name)
    if {"-h", "--help"} & set(sys.argv[1:]):
        task, multirun = _help(command, [word for word in last if "=" not in word and not word.startswith("~")]), None
    with abort_on_error(), command_progress("Reading the config"):
        _run_reporting_mistakes(main, task, multirun or _no_multirun)


def overrides(words: Sequence[str]) -> list[str]:
    """Returns the words of a command line that are neither options of Hydra nor their values."""
    values = [word for option, word in pairwise(words) if option in VALUED]
    return [word for word in words if not word.startswith("-") and word not in values]


def _help(command: type[CommandConfig], groups: Sequence[str]) -> Task:
    """Returns the task that prints the help of a command, or of some of its groups, and takes ``--help`` off argv."""
    sys.argv[1:] = [word for word in sys.argv[1:] if word not in (*MODES, *groups)] + IN_PLACE

    def task(composed: DictConfig) -> None:
        print("\n\n".join(group_text(group, command) for group in groups) or help_text(composed, command))

    return task


class NameCheck(Callback):
    """A Hydra callback that refuses an invalid `task_name` before Hydra creates the folder of that name."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Checks the name in a single run. A sweep checks it itself; see `crackexp.sweep.checks`."""
        HydraConfig.instance().set_config(config)
        try:
            if "task_name" in config:
                refuse_mistakes(validate(JobConfig, {"task_name": config.task_name}, "", ["task_name"]))
        except OmegaConfBaseException as error:
            refuse(explain(error))
        except ConfigError as error:
            refuse(str(error))


def leave(status: int) -> None:
    """Ends a single run with an exit status, such as `Account.exit_status`, where it is not 0.

    A job of a multirun goes on, since its sweep ends with that status.
    """
    if status and not is_multirun():
        sys.exit(status)


def _run_reporting_mistakes(main: Callable[[Task], Callable[[], None]], task: Task, multirun: Multirun) -> None:
    """Runs `task` under Hydra's `main`, reports mistakes in a sentence, and exits with the status of `run`."""
    begun = False

    @functools.wraps(task)
    def job(composed: DictConfig) -> float | None:
        nonlocal begun
        begun = True
        return task(composed)

    try:
        with multirun() as sweeping:
            try:
                main(job)()
            except (UserError, BrokenPipeError):
                raise
            except Exception as error:  # of any kind: before a job begins, Hydra has only read the user's input
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
    except Exception as error:  # of any kind: a signal or a fault of a disk may have caused it
        if stop := answer():
            sys.exit(128 + stop)
        if fault := explain_fault(error):
            refuse(fault)
        raise


@contextmanager
def _no_multirun() -> Iterator[Callable[[], bool]]:
    yield lambda: False


def _leave_unread() -> None:
    """Exits without a message, as after SIGPIPE, where the reader of stdout, such as ``head``, has closed it."""
    state = select.poll()
    state.register(sys.stdout, 0)
    if state.poll(0):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
