"""The live line on standard error, which says what a command is doing; see `crackexp.utils.progress`."""

import os
import stat
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TextIO

from crackexp.utils.notebook import CellLine, cell_line

PATIENCE = 0.4
"""The number of seconds of work before the line appears on a terminal or in a notebook."""
PACE = 10.0
"""The number of seconds between two lines where there is neither."""
FRAMES = 8
"""How often the line is drawn in a second."""


@dataclass
class Step:
    """A piece of work that is being done.

    Attributes:
        text: A few words that say what is being done; "" shows nothing.
        total: The number of units of work; None where it is not known.
        unit: The plural of the unit, or "bytes", which are shown as sizes.
        stream: The standard error at its beginning.
        done: The number of units that have been done.
        begun: When it began, by `time.monotonic`.
        first: When the first units were done, and how many these were: compilation does not count in the rate.
        told: When a line was last printed about it, where there is no terminal.
    """

    text: str
    total: float | None
    unit: str
    stream: Any
    done: float = 0
    begun: float = field(default_factory=time.monotonic)
    first: tuple[float, float] | None = None
    told: float = field(default_factory=time.monotonic)

    def advance(self, done: float) -> None:
        """Adds units that have been done, at most up to the total, since batches may be padded."""
        self.done = self.done + done if self.total is None else min(self.done + done, self.total)
        self.first = self.first or (time.monotonic(), self.done)

    def facts(self) -> str:
        """Returns how much has been done, the rate and the time that is left, as far as these are known."""
        now = time.monotonic()
        if self.total is None and not self.done:
            return f"{now - self.begun:.0f} s"
        text = self._amount(self.done)
        text += "" if self.total is None else f" of {self._amount(self.total)}"
        text += "" if self.unit == "bytes" else f" {self.unit}"
        begun, before = self.first or (now, 0)
        if now - begun < 1 or self.done <= before:
            return f"{text}, {now - self.begun:.0f} s"
        rate = (self.done - before) / (now - begun)
        pace = f"{self._amount(rate)}/s" if rate >= 1 or self.unit == "bytes" else f"{1 / rate:.1f} s each"
        left = "" if self.total is None else f", {clock((self.total - self.done) / rate)} left"
        return f"{text}, {pace}{left}"

    def _amount(self, number: float) -> str:
        from rich.filesize import decimal

        return decimal(int(number)) if self.unit == "bytes" else f"{number:,.0f}"


class LiveLine:
    """The live line of the process, of the step that began last.

    Attributes:
        steps: The steps that are being done; each is part of the one before it.
    """

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._lock = threading.RLock()
        self._depth = 0
        self._live: Any = None
        self._cell: CellLine | None = None
        self._replaced: dict[str, tuple[TextIO, _Above]] = {}
        self._at_line_start = True
        self._ticker: threading.Thread | None = None
        self._ended = threading.Event()

    @contextmanager
    def open(self) -> Iterator[None]:
        """Makes the line possible in the `with` block, and removes it at its end."""
        with self._lock:
            self._depth += 1
            if self._depth == 1:
                self._start()
        try:
            yield
        finally:
            with self._lock:
                self._depth -= 1
                ticker = self._stop() if self._depth == 0 else None
            if ticker is not None:
                ticker.join()

    def begin(self, text: str, total: float | None = None, unit: str = "") -> Step:
        """Begins a step and returns it."""
        with self._lock:
            self.steps.append(step := Step(text, total, unit, sys.stderr))
        return step

    def end(self, step: Step) -> None:
        """Ends a step."""
        with self._lock:
            self.steps = [other for other in self.steps if other is not step]

    def hide(self) -> None:
        """Removes the line from the terminal until it is drawn again."""
        with self._lock:
            if self._live is not None and self._live.is_started:
                self._live.stop()

    def write(self, stream: TextIO, text: str) -> int:
        """Writes to a stream of the terminal, on which the line gives way."""
        with self._lock:
            self.hide()
            written = stream.write(text)
            if text:
                self._at_line_start = text.endswith("\n")
            return written

    def _start(self) -> None:
        self._ended = threading.Event()
        if _is_terminal(sys.stderr) and not _is_pipe(sys.stdout):
            from rich.console import Console
            from rich.live import Live

            console = Console(file=sys.stderr)
            self._live = Live(
                console=console,
                get_renderable=self._drawing,
                auto_refresh=False,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            for name in ("stdout", "stderr"):
                stream = getattr(sys, name)
                if _is_terminal(stream):
                    self._replaced[name] = (stream, _Above(stream, self))
                    setattr(sys, name, self._replaced[name][1])
        else:
            self._cell = cell_line()
        self._ticker = threading.Thread(target=self._tick, args=[self._ended], name="progress", daemon=True)
        self._ticker.start()

    def _stop(self) -> threading.Thread | None:
        self._ended.set()
        self.hide()
        if self._cell is not None:
            self._cell.hide()
        self.steps = []
        self._live = self._cell = None
        for name, (stream, above) in self._replaced.items():
            if getattr(sys, name) is above:
                setattr(sys, name, stream)
        self._replaced = {}
        ticker, self._ticker = self._ticker, None
        return ticker

    def _tick(self, ended: threading.Event) -> None:
        while not ended.wait(1 / FRAMES):
            with self._lock:
                if not ended.is_set():
                    self._draw()
                    self._tell()

    def _shown(self) -> Step | None:
        """Returns the last step whose standard error is the terminal of the line."""
        steps = [step for step in self.steps if step.text and isinstance(step.stream, _Above)]
        return steps[-1] if steps else None

    def _draw(self) -> None:
        step = self._shown()
        if step is None or self._live is None:
            self.hide()
        elif self._at_line_start and time.monotonic() - self.steps[0].begun > PATIENCE:
            self._live.start()
            self._live.refresh()

    def _drawing(self) -> Any:
        from rich.progress_bar import ProgressBar
        from rich.spinner import Spinner
        from rich.table import Table
        from rich.text import Text

        step = self._shown()
        if step is None:
            return ""
        row: list[Any] = [Spinner("dots", style="green"), Text(step.text, overflow="ellipsis", no_wrap=True)]
        if step.total:
            row.append(ProgressBar(step.total, step.done, width=24))
        grid = Table.grid(padding=(0, 1))
        grid.add_row(*row, Text(step.facts(), style="dim", overflow="ellipsis", no_wrap=True))
        return grid

    def _tell(self) -> None:
        """Prints a line about the last step of each stream that is no terminal, where the last one is long ago.

        In a notebook, the line is replaced instead.
        """
        now = time.monotonic()
        if self._cell is not None:
            step = next((step for step in reversed(self.steps) if step.text), None)
            if step is None:
                self._cell.hide()
            elif now - self.steps[0].begun > PATIENCE:
                share = step.done / step.total if step.total else None
                self._cell.show(f"{step.text}: {step.facts()}", share)
            return
        last = {id(step.stream): step for step in self.steps if step.text and not isinstance(step.stream, _Above)}
        for step in last.values():
            if now - step.told >= PACE:
                step.told = now
                try:
                    print(f"{step.text}: {step.facts()}", file=step.stream, flush=True)
                except (OSError, ValueError):  # its reader is gone, or it was closed
                    step.text = ""


class _Above:
    """A stream of the terminal that the live line gives way to."""

    def __init__(self, stream: TextIO, line: LiveLine) -> None:
        self._stream, self._line = stream, line

    def write(self, text: str) -> int:
        return self._line.write(self._stream, text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def clock(seconds: float) -> str:
    """Returns a duration, such as "0:07" or "1:02:33".

    Example:

    >>> clock(7), clock(3753)
    ('0:07', '1:02:33')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _is_terminal(stream: Any) -> bool:
    return os.environ.get("TERM") != "dumb" and bool(stream) and stream.isatty()


def _is_pipe(stream: Any) -> bool:
    """Returns whether a stream is a pipe, whose reader may write to the same terminal, such as ``tee``."""
    try:
        return stat.S_ISFIFO(os.fstat(stream.fileno()).st_mode)
    except (AttributeError, OSError, ValueError):
        return False
