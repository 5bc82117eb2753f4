"""The environment of a run: its code, its packages and its machine."""

import importlib.metadata
import os
import platform
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class GitState:
    """The state of a git checkout.

    Attributes:
        commit: The hash of its commit.
        diff: The differences of its files from the commit, as ``git diff`` prints them.
    """

    commit: str
    diff: str


def git_state(folder: Path) -> GitState | None:
    """Returns the state of the git checkout that contains `folder`, or None where there is none."""
    try:
        commit = _git(folder, "rev-parse", "HEAD").strip()
        return GitState(commit, _git(folder, "diff", "HEAD"))
    except (OSError, subprocess.CalledProcessError):
        return None


@cache
def packages() -> list[str]:
    """Returns the sorted list of installed packages, each as name==version."""
    pinned = {
        f"{distribution.name}=={distribution.version}"
        for distribution in importlib.metadata.distributions()
        if distribution.name
    }
    return sorted(pinned, key=str.lower)


def hardware() -> dict[str, str]:
    """Returns the machine, the version of Python, and the devices on which JAX computes."""
    import jax

    devices = jax.devices()
    return {
        "machine": f"{platform.system()} {platform.machine()}",
        "cpus": str(os.cpu_count()),
        "python": platform.python_version(),
        "device": f"{len(devices)} x {devices[0].device_kind}",
    }


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
