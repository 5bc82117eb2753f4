"""The frame of every entry point: Hydra composes, mistakes are told in a sentence, signals end the work in order."""

import logging
import os
import re
import select
import shlex
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from crackexp.data.accounting import Account
from crackexp.errors import UserError, refuse
from crackexp.faults import explain_fault
from crackexp.options import conf_dir, suggest
from crackexp.signals import answer, heed, listen
from crackexp.sweep.callback import closing
from crackexp.training.processes import leaving

PLUS_GROUPS = ("experiment", "debug", "sweep")


def run(task: Callable[[DictConfig], float | None], config_name: str) -> None:
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
    os.environ["HYDRA_FULL_ERROR"] = "1"
    listen()
    logging.getLogger("jax").setLevel(logging.WARNING)
    main = hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=config_name)
    with leaving():
        _told(main(task))


def leave(account: Account) -> None:
    """Ends a single run with status 3 where files were left out that may be images; see `Account.exit_status`.

    A job of a multirun is not ended: its sweep ends with that status.
    """
    if account.exit_status and HydraConfig.get().mode != RunMode.MULTIRUN:
        sys.exit(account.exit_status)


def _told(main: Callable[[], None]) -> None:
    """Calls `main`; tells mistakes in a sentence, and ends by the status that says how it went."""
    try:
        with closing():
            main()
            heed()
    except UserError as error:
        refuse(str(error))
    except (HydraException, OmegaConfBaseException) as error:
        refuse(_explain(error))
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


def _explain(error: Exception) -> str:
    """Says what Hydra or OmegaConf found wrong, and what to type."""
    if isinstance(error, MissingConfigException):
        return _explain_missing(error)
    text = str(error)
    if group := re.search(r"Could not override '([^'@]+)[^']*'\.?\s+No match in the defaults", text):
        name = group.group(1)
        if name in PLUS_GROUPS:
            return f"{name} is added with a plus. Type +{name}=NAME. Received: {_override(name)}"
        hint = suggest(name, _top_keys())
        return f"There is no config group '{name}'.{hint} Received: {_override(name)}"
    if key := re.search(r"Could not override '([^']+)'", text):
        parent, _, leaf = key.group(1).rpartition(".")
        hint = suggest(leaf, _keys_of(error) or _top_keys())
        where = parent or "the config"
        return f"'{leaf}' is no key of {where}.{hint} Received: {_override(key.group(1))}"
    cause = f" {error.__cause__}" if error.__cause__ else ""
    hint = _quoted(error.override) if isinstance(error, OverrideParseException) else ""
    return f"The command line cannot be composed: {text}{cause}{hint}"


def _quoted(override: str) -> str:
    """Says how to type a value with characters that mean something in Hydra's grammar, as the name of a folder may."""
    key, equals, value = override.partition("=")
    if not equals:
        return ""
    quoted = QuotedString(value, Quote.double).with_quotes()
    return f"\nWhere the value is meant as it stands, type {shlex.quote(f'{key}={quoted}')} Received: {override}"


def _explain_missing(error: MissingConfigException) -> str:
    missing = str(error.missing_cfg_file)
    group, _, option = missing.rpartition("/")
    options = error.options or []
    if not group:
        return f"{error}"
    if not options:
        hint = suggest(group, _top_keys())
        return f"There is no config group '{group}'.{hint} Received: {group}={option}"
    return f"{group} has no option '{option}'.{suggest(option, options)} Type {group}=NAME. Received: {group}={option}"


def _override(key: str) -> str:
    return next((arg for arg in sys.argv[1:] if arg.lstrip("+~").startswith(f"{key}=")), key)


def _top_keys() -> list[str]:
    folder = conf_dir()
    roots = [OmegaConf.load(file) for file in folder.glob("*.yaml")]
    scalars = {str(key) for root in roots for key in root if key not in ("defaults", "hydra")}
    return sorted(scalars | {path.name for path in folder.iterdir() if path.is_dir()})


def _keys_of(error: BaseException | None) -> list[str]:
    """Returns the keys beside the one that OmegaConf did not find."""
    while error is not None:
        node = getattr(error, "parent_node", None)
        if isinstance(node, DictConfig):
            return [str(key) for key in node if not str(key).startswith("_")]
        error = error.__cause__
    return []
