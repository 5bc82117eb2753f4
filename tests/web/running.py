"""A page that is served as a user serves it."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LISTENING = (
    "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "runpy.run_module('crackexp.{}', run_name='__main__', alter_sys=True)"
)
"""``python -m crackexp.NAME`` that hears Ctrl-C also where a shell started the tests in the background."""


@dataclass
class Served:
    """A running ``python -m crackexp.app``, or another command that serves a page.

    Attributes:
        folder: where it was started.
        process: of the server.
        address: of the page.
        said: lines that it printed before it was ready.
    """

    folder: Path
    process: subprocess.Popen[str]
    address: str
    said: list[str]

    def stop(self, number: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        """Sends a signal; returns the exit status, and what was printed since."""
        self.process.send_signal(number)
        said, _ = self.process.communicate(timeout=60)
        return self.process.returncode, said


@contextlib.contextmanager
def served(folder: Path, cache: Path, *arguments: str, name: str = "app", **variables: str) -> Iterator[Served]:
    """Yields a page that is served from `folder` on a free port, with variables of the environment, and ends it."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTEST_CURRENT_TEST"}
    process = subprocess.Popen(
        [sys.executable, "-c", LISTENING.format(name), "tracking=none", "port=0", *arguments],
        cwd=folder,
        env={**environment, "CRACKEXP_CACHE": str(cache), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout
    said = []
    try:
        for line in process.stdout:
            said.append(line.strip())
            if line.startswith("End "):
                break
        addresses = [line.split()[1] for line in said if line.startswith("Open ")]
        assert addresses, "\n".join(said)
        yield Served(folder, process, addresses[0], said)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
