"""What a run ran on: code, packages and machine."""

import importlib.metadata
import os
import platform
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class GitState:
    """A checkout: its commit, and how the files differ from it."""

    commit: str
    diff: str


def git_state(folder: Path) -> GitState | None:
    """Returns the state of the git checkout that `folder` stands in, or None outside one."""
    try:
        commit = _git(folder, "rev-parse", "HEAD").strip()
        return GitState(commit, _git(folder, "diff", "HEAD"))
    except (OSError, subprocess.CalledProcessError):
        return None


@cache
def packages() -> list[str]:
    """Returns name==version of every installed package, sorted."""
    found = {
        f"{distribution.name}=={distribution.version}"
        for distribution in importlib.metadata.distributions()
        if distribution.name
    }
    return sorted(found, key=str.lower)


def hardware() -> dict[str, str]:
    """Returns machine, Python, and the devices that JAX computes on."""
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
