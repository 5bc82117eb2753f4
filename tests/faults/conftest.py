"""What the attacks share: commands in a folder of their own, that can be killed, and a table of what held."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

TRIES = int(os.environ.get("CRACKEXP_FAULT_TRIES", "0"))
"""How often each attack that takes minutes is tried; it is skipped where the variable is not set."""

Start = Callable[..., subprocess.Popen[str]]
Tally = Callable[[str, bool], None]


@pytest.fixture
def start(cache: Path) -> Iterator[Start]:
    """Starts ``python -m crackexp.NAME ARGUMENTS`` in a folder, as the leader of a group of processes."""
    started: list[subprocess.Popen[str]] = []

    def begin(folder: Path, name: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        folder.mkdir(parents=True, exist_ok=True)
        process = subprocess.Popen(
            [sys.executable, "-m", f"crackexp.{name}", *arguments],
            cwd=folder,
            env={**os.environ, "CRACKEXP_CACHE": str(cache), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout:
            process.stdout.close()


@pytest.fixture
def tally(capsys: pytest.CaptureFixture[str]) -> Iterator[Tally]:
    """Counts how often each kind of attack was tried and held; prints the table, and fails where one did not hold."""
    found: dict[str, list[bool]] = {}

    def note(kind: str, held: bool) -> None:
        found.setdefault(kind, []).append(held)

    yield note
    with capsys.disabled():
        for kind, results in found.items():
            print(f"\n{kind}: tried {len(results)}, held {sum(results)}", end="")
    assert all(all(results) for results in found.values()), found


def finished(process: subprocess.Popen[str], seconds: float = 300) -> tuple[int, str]:
    """Returns the exit status of a process, and what it printed."""
    printed, _ = process.communicate(timeout=seconds)
    return process.returncode, printed
