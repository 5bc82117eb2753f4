"""Tests of the live line, on a terminal and elsewhere."""

import io
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crackexp.utils import live_line
from crackexp.utils.progress import command_progress, of_one, progress, status


class Terminal:
    """A pseudo-terminal whose output is read by a thread."""

    def __init__(self) -> None:
        self.master, slave = os.openpty()
        self.stream = os.fdopen(slave, "w", buffering=1)
        self.read = b""
        self._reader = threading.Thread(target=self._collect, daemon=True)
        self._reader.start()

    def _collect(self) -> None:
        while True:
            try:
                data = os.read(self.master, 65536)
            except OSError:
                return
            self.read += data

    def close(self) -> str:
        self.stream.close()
        self._reader.join(5)
        os.close(self.master)
        return self.read.decode()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Terminal]]:
    """Makes stdout and stderr a terminal within the test."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(live_line, "PATIENCE", 0.0)
    made = []

    def begin() -> Terminal:
        made.append(Terminal())
        monkeypatch.setattr(sys, "stdout", made[-1].stream)
        monkeypatch.setattr(sys, "stderr", made[-1].stream)
        return made[-1]

    yield begin
    monkeypatch.undo()


def screen(text: str) -> list[str]:
    """Returns the lines that a terminal shows in the end, for the control sequences that the line uses."""
    lines, row, column = [""], 0, 0
    for token in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", text):
        if token == "\r":
            column = 0
        elif token == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif token.startswith("\x1b"):
            if token.endswith("K"):
                lines[row] = ""
            elif token.endswith("A"):
                row -= int(token[2:-1] or 1)
        else:
            lines[row] = lines[row][:column].ljust(column) + token + lines[row][column + len(token) :]
            column += len(token)
    return [line.rstrip() for line in lines]


def test_a_terminal_shows_one_line_that_gives_way_and_is_gone_at_the_end(terminal: Callable[[], Terminal]) -> None:
    shown = terminal()
    with command_progress("Reading the config"):
        time.sleep(0.3)
        status("Importing Keras")
        time.sleep(0.3)
        print("a line of the command")
        with progress("Classifying", 40) as advance:
            for _ in range(4):
                advance(16)  # batches of 16, of which the last is padded
                time.sleep(0.3)
                print("another")
        time.sleep(0.3)
    text = shown.close()
    for words in ("Reading the config", "Importing Keras", "Classifying", "16 of 40 images", "40 of 40 images"):
        assert words in text
    assert "48 of 40" not in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h")  # the cursor is shown again
    assert [line for line in screen(text) if line] == ["a line of the command", *["another"] * 4]


def test_the_line_waits_for_the_end_of_a_line_that_another_library_writes(terminal: Callable[[], Terminal]) -> None:
    shown = terminal()
    with command_progress("Working"):
        print("half a line", end="", flush=True)
        before = len(shown.read)
        time.sleep(0.4)
        assert "Working" not in shown.read[before:].decode()
        print(", and its end")
        time.sleep(0.4)
    assert [line for line in screen(shown.close()) if line] == ["half a line, and its end"]


def test_an_error_leaves_nothing_behind(terminal: Callable[[], Terminal]) -> None:
    shown = terminal()
    stream = sys.stderr

    def fail() -> None:
        with command_progress("Working"), progress("Drawing", 3):
            time.sleep(0.3)
            raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        fail()
    assert sys.stderr is stream
    assert [line for line in screen(shown.close()) if line] == []


def test_no_terminal_gets_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    told = io.StringIO()
    monkeypatch.setattr(live_line, "PACE", 0.3)
    monkeypatch.setattr(sys, "stderr", told)
    with progress("Classifying", 100, "photos") as advance:
        report = of_one(advance)
        report(0.5)
        report(1)
        time.sleep(0.8)
        advance(9)
        time.sleep(0.8)
    lines = told.getvalue().splitlines()
    assert 2 <= len(lines) <= 6
    assert lines[0].startswith("Classifying: 1 of 100 photos")
    assert lines[-1].startswith("Classifying: 10 of 100 photos")


def test_quick_work_prints_nothing(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with command_progress("Working"), progress("Drawing", 3) as advance:
        advance(3)
    assert capfd.readouterr() == ("", "")
