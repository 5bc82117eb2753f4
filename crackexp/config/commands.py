"""Command lines: that of this process, and those that are printed as a next step."""

import shlex
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig

from crackexp.config.overrides import task_overrides

PLACES = ("paths", "paths.root", "paths.cache", "tracking", "tracking.uri", "tracking.experiment")
"""The keys of the overrides that say where a command finds the results of this one."""


def this_command() -> str:
    """Returns the command line of this process."""
    return shlex.join([*command_words(Path(sys.argv[0]).stem), *sys.argv[1:]])


def next_command(name: str, *words: str, places: Collection[str] = PLACES, hydra: Any = None) -> str:
    """Returns a command line that finds the results of this one, since it repeats the overrides of store and folders.

    Args:
        name: The name of the command, such as ``evaluate``.
        words: The words of its command line.
        places: The keys of the overrides to repeat where they were typed.
        hydra: The node `hydra` of the config; None for that of the running job.
    """
    repeated = [word for key, word in typed(hydra).items() if key in places and word != "tracking=none"]
    return shlex.join([*command_words(name), *words, *repeated])


def command_words(name: str) -> list[str]:
    """Returns ``crackexp NAME``, where the user typed ``crackexp``, or ``python -m crackexp.NAME``, as words."""
    by_script = len(sys.orig_argv) > 1 and Path(sys.orig_argv[1]).stem == "crackexp"
    return ["crackexp", name] if by_script else ["python", "-m", f"crackexp.{name}"]


def typed(hydra: Any = None) -> dict[str, str]:
    """Returns the overrides of this command line by their keys; see `next_command`."""
    if hydra is None and not HydraConfig.initialized():
        return {}
    return {override.lstrip("+").partition("=")[0]: override for override in task_overrides(hydra or HydraConfig.get())}
