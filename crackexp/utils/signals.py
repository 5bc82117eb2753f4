"""Ctrl-C and SIGTERM: put off while something is written, and never lost.

A signal's exception is raised wherever the program stands, which may be a finalizer, or a library's ``except`` block
that swallows it. So the signal is remembered until it is answered, and its exception raised again at safe points.
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
    """Lets Ctrl-C raise KeyboardInterrupt and SIGTERM SystemExit, each until it is answered.

    Ctrl-C stays ignored where the program was started so, as by a shell in the background.
    """
    for number in STOPS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)


def heed() -> None:
    """Raises again what a signal raised and something swallowed: a safe point, for the main thread.

    Raises:
        KeyboardInterrupt: Ctrl-C.
        SystemExit: SIGTERM, with status 143.
    """
    if _unanswered is not None and threading.current_thread() is threading.main_thread():
        _stop(_unanswered)


def stops(error: BaseException | None) -> bool:
    """Returns whether `error` is a stop from outside, or came up while one waits for its answer."""
    return isinstance(error, (KeyboardInterrupt, SystemExit)) or (error is not None and _unanswered is not None)


def answer() -> int | None:
    """Takes a stop as answered: from here on `heed` raises no more.

    Returns:
        The number of the signal, or None where none came since the last answer.
    """
    global _unanswered
    number, _unanswered = _unanswered, None
    return number


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Puts off Ctrl-C and SIGTERM to the end of the `with` block, so that a write to a store is not left half done.

    Outside the main thread, where Python delivers no signals, it does nothing.
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
