"""Signals are put off while something is written, and come through afterwards."""

import signal
import threading
from collections.abc import Iterator

import pytest

from crackexp.tracking.signals import uninterrupted


@pytest.fixture(autouse=True)
def ctrl_c() -> Iterator[None]:
    """Makes Ctrl-C raise KeyboardInterrupt, also where a shell started the tests in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_waits_for_the_end_of_the_block() -> None:
    written: list[str] = []

    @uninterrupted()
    def write() -> None:
        signal.raise_signal(signal.SIGINT)
        written.append("all of it")

    with pytest.raises(KeyboardInterrupt):
        write()
    assert written == ["all of it"]


def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(RuntimeError), uninterrupted():
        raise RuntimeError
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_another_thread_may_write_too() -> None:
    written: list[bool] = []

    def write() -> None:
        with uninterrupted():
            written.append(True)

    thread = threading.Thread(target=write)
    thread.start()
    thread.join()
    assert written == [True]
