"""Says what is being done, how much of it is done, and when it will end, so that no command is silent.

There is one line at a time, on standard error, below all that is printed. On a terminal it is drawn several times a
second, and it gives way to whatever else is written. In a notebook it is part of the output of the cell, and vanishes
at the end. Elsewhere a line is printed every ten seconds.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from crackexp.utils.live_line import LiveLine, Step
from crackexp.utils.signals import heed

_line = LiveLine()
_base: list[Step] = []


@contextmanager
def command_progress(text: str) -> Iterator[None]:
    """Shows what a command is doing for the `with` block: `text` at first, then what `status` says.

    Args:
        text: A few words, such as "Reading the config".
    """
    with _line.open():
        _base.append(_line.begin(text))
        try:
            yield
        finally:
            _line.end(_base.pop())


def status(text: str) -> None:
    """Says what the command does from now on; see `command_progress`, without which nothing is shown.

    Args:
        text: A few words, such as "Importing Keras"; "" shows nothing, and removes the line at once.
    """
    heed()
    if _base:
        _base[-1].text, _base[-1].begun, _base[-1].told = text, time.monotonic(), time.monotonic()
        if not text:
            _line.hide()


@contextmanager
def progress(description: str, total: float | None, unit: str = "images") -> Iterator[Callable[[float], None]]:
    """Shows the progress of a piece of work: a bar on a terminal, and a line now and then elsewhere.

    Args:
        description: A few words that say what is being done.
        total: The number of units of work; None where it is not known.
        unit: The plural of the unit. "bytes" are shown as sizes.

    Yields:
        A function that takes the number of units that have been done since its last call, which may be fractional.
    """
    with _line.open():
        step = _line.begin(description, total, unit)

        def advance(done: float) -> None:
            heed()
            step.advance(done)

        try:
            yield advance
        finally:
            _line.end(step)


def of_one(advance: Callable[[float], None]) -> Callable[[float], None]:
    """Returns a function that takes the share, in [0, 1], of one unit of work that has been done so far.

    Args:
        advance: The function that `progress` yields.
    """
    reported = 0.0

    def report(share: float) -> None:
        nonlocal reported
        advance(share - reported)
        reported = share

    return report
