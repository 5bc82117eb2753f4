"""What the scripts of this study share; the peers import it too, so it needs Python alone."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("CRACKEXP_CACHE", ".cache")).absolute() / "peers"
"""Holds the peers' virtual environments, beside what crackexp keeps."""


def python_of(peer: str) -> str:
    """Returns the Python of a peer's virtual environment.

    Args:
        peer: a file name of ``peers/``, without its ending.

    Raises:
        SystemExit: it is not made yet.
    """
    python = CACHE / peer / "bin" / "python"
    if not python.exists():
        sys.exit(
            f"This peer is not installed; type `python experiments/speed/peers.py {peer}` first. Received: {python}"
        )
    return str(python)


def is_installed(peer: str) -> bool:
    """Returns whether a peer's virtual environment is made."""
    return (CACHE / peer / "bin" / "python").exists()


def environment(**variables: str) -> dict[str, str]:
    """Returns this process' environment for a peer: with `variables`, without crackexp's, and TensorFlow kept quiet."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "KERAS_BACKEND")}
    return kept | {"TF_CPP_MIN_LOG_LEVEL": "3"} | variables


def timed(command: Sequence[str], env: dict[str, str], folder: Path) -> tuple[float, str]:
    """Runs a command in `folder`.

    Returns:
        The seconds from its start to its end, and what it printed to standard output.

    Raises:
        SystemExit: it failed; says what it wrote to standard error.
    """
    started = time.perf_counter()
    done = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}\nA command failed. Received: {' '.join(command)}")
    return seconds, done.stdout


def last_json(printed: str) -> dict[str, Any]:
    """Returns the JSON object on the last line of what a peer printed."""
    answer: dict[str, Any] = json.loads(printed.strip().splitlines()[-1])
    return answer


class Steps:
    """Measures the steps of a process one after the other, in seconds.

    Attributes:
        seconds: by name of the step.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Adds the time in the block to step `name`."""
        started = time.perf_counter()
        yield
        self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - started, 3)


def spread(values: Sequence[float], digits: int = 0) -> str:
    """Returns the median, and the smallest and largest of `values` behind it."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def machine() -> str:
    """Returns one line on this machine: processor, cores that this process may use, Python."""
    info = Path("/proc/cpuinfo")
    names = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    return f"{names[0]}, {len(os.sched_getaffinity(0))} cores, Python {sys.version.split()[0]}"
