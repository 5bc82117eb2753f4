"""Completion in real shells: keys are pressed in a terminal, and the shell is asked what it has."""

import os
import pty
import select
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

START = {"bash": ["--norc", "--noprofile", "-i"], "zsh": ["-f", "-i"], "fish": ["--no-config", "-i"]}
INSTALL = {
    "bash": 'eval "$(crackexp --completion bash)"',
    "zsh": 'eval "$(crackexp --completion zsh)"',
    "fish": "crackexp --completion fish | source",
}
ASKED = """#!{python}
import sys
from pathlib import Path
if sys.argv[1].startswith("--complet"):
    from crackexp.__main__ import main
    sys.exit(main())
Path("typed").write_text(" ".join(sys.argv[1:]))
"""
"""A script that completes as crackexp does, and only notes the command line that is entered."""


class Terminal:
    """A shell in a terminal of its own."""

    def __init__(self, shell: str, folder: Path) -> None:
        self.process, self.screen = pty.fork()
        if self.process == 0:
            os.chdir(folder)
            os.environ.update(TERM="dumb", HOME=str(folder), PS1="ready> ")
            os.execvp(shell, [shell, *START[shell]])

    def type(self, keys: str) -> None:
        os.write(self.screen, keys.encode())

    def read_until(self, text: str, seconds: float = 60) -> str:
        """Returns what the terminal shows until it shows `text`."""
        shown, end = "", time.monotonic() + seconds
        while text not in shown:
            assert time.monotonic() < end, f"no {text!r} in {shown!r}"
            shown += self.read()
        return shown

    def read(self) -> str:
        """Returns what the terminal has shown since, within a tenth of a second."""
        ready, _, _ = select.select([self.screen], [], [], 0.1)
        return os.read(self.screen, 65536).decode(errors="replace") if ready else ""

    def entered(self, file: Path, seconds: float = 60) -> str:
        """Returns what the script notes of the entered command line, and removes it."""
        end = time.monotonic() + seconds
        while not file.is_file() or not file.read_text():
            assert time.monotonic() < end
            self.read()
        text = file.read_text()
        file.unlink()
        return text

    def close(self) -> None:
        os.kill(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)
        os.close(self.screen)


@pytest.fixture(params=START)
def terminal(request: pytest.FixtureRequest, script: Path, tmp_path: Path) -> Iterator[Terminal]:
    shell = request.param
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    script.write_text(ASKED.format(python=sys.executable))
    opened = Terminal(shell, tmp_path)
    try:
        opened.type(f"{INSTALL[shell]}; echo in''stalled\n")
        opened.read_until("installed\r\n")
        yield opened
    finally:
        opened.close()


# JAX and Python warn of forks beside threads, which may hold locks; here, the shell replaces the fork at once
@pytest.mark.filterwarnings("ignore:.*fork")
@pytest.mark.slow
def test_tab_completes_commands_groups_options_keys_and_files(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "wall.jpg").touch()
    for keys, expected in [
        ("tra\t", "train"),
        ("train hea\t=mi\t", "train head=mil"),
        ("train trainer=scr\ttrainer.prec\tten\t", "train trainer=scratch trainer.precision=tensorfloat32"),
        ("sweep optimizer=sgd,adamw optimizer.l\t0.1,0.2", "sweep optimizer=sgd,adamw optimizer.learning_rate=0.1,0.2"),
        ("train split.rat\t\t", "train split.ratio=[0.7,0.2,0.1]"),
        ("predict input=wa\t", "predict input=wall.jpg"),
    ]:
        terminal.type(f"crackexp {keys}\n")
        assert terminal.entered(tmp_path / "typed").strip() == expected
