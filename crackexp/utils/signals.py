"""Handling of Ctrl-C and SIGTERM, which are delayed while something is written and never lost.

Python raises the exception of a signal wherever the program is, which may be in a finalizer or in a ``try`` block of a
library that swallows it. So a signal is remembered until it is answered, and its exception is raised again at safe
points.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

STOPS = (signal.SIGINT, signal.SIGTERM)

_unanswered: int | None = None


def listen() -> None:
    """Installs the handlers, with which Ctrl-C raises KeyboardInterrupt and SIGTERM raises SystemExit.

    Ctrl-C stays ignored where the program was started that way, such as by a shell in the background.
    """
    for number in STOPS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)


def heed() -> None:
    """Raises the exception of an unanswered signal again. It is called in the main thread at safe points.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed.
        SystemExit: SIGTERM was received; the status is 143.
    """
    if _unanswered is not None and threading.current_thread() is threading.main_thread():
        _stop(_unanswered)


def stops(error: BaseException | None) -> bool:
    """Returns whether `error` comes from a signal, or was raised while a signal is unanswered."""
    return isinstance(error, (KeyboardInterrupt, SystemExit)) or (error is not None and _unanswered is not None)


def answer() -> int | None:
    """Marks the signal as answered, so that `heed` no longer raises.

    Returns:
        The number of the signal, or None where there was none since the last answer.
    """
    global _unanswered
    number, _unanswered = _unanswered, None
    return number


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Delays Ctrl-C and SIGTERM to the end of the `with` block, so that a write to a store is completed.

    It does nothing outside the main thread, to which Python delivers no signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        received.append(number)

    handlers = {number: signal.signal(number, remember) for number in STOPS}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if received:
        signal.raise_signal(received[0])


def _stop(number: int, frame: FrameType | None = None) -> NoReturn:
    global _unanswered
    _unanswered = number
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)
