"""Signals are put off while something is written, come through afterwards, and are never lost."""

import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest

from crackexp.utils.signals import STOPS, answer, heed, listen, uninterrupted
from tests.conftest import TINY, Command

SWALLOWS = """
import os, signal, keras

class Finalized:
    def __del__(self):
        os.kill(os.getpid(), {stop})
        sum(range(1000))

class Swallows(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 0:
            Finalized()
            print("swallowed")

class Converts(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        try:
            os.kill(os.getpid(), {stop})
            sum(range(1000))
        except BaseException as error:
            raise RuntimeError("a library failed") from error
"""
"""Callbacks in which the exception of a signal does not come through."""


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Lets the signals raise as in a command, also where a shell started the tests in the background."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in STOPS}
    listen()
    yield
    answer()
    for number, handler in before.items():
        signal.signal(number, handler)


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
        heed()

    thread = threading.Thread(target=write)
    thread.start()
    thread.join()
    assert written == [True]


@pytest.mark.parametrize(("stop", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_an_exception_lost_in_a_finalizer_is_raised_again(
    stop: signal.Signals, error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Finalized:
        def __del__(self) -> None:
            signal.raise_signal(stop)

    lost: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: lost.append(unraisable.exc_type))
    Finalized()
    assert lost == [error]
    for _ in range(2):
        with pytest.raises(error):
            heed()
    assert answer() == stop
    heed()


def test_ctrl_c_stays_ignored_where_it_was() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    listen()
    signal.raise_signal(signal.SIGINT)
    heed()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["Swallows", "Converts"])
@pytest.mark.parametrize(("stop", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_command_ends_by_its_first_signal_wherever_its_exception_goes(
    command: Command, tmp_path: Path, patches: Path, kind: str, stop: signal.Signals, code: int
) -> None:
    (tmp_path / "mine.py").write_text(SWALLOWS.format(stop=int(stop)))
    job = ["dataset=folder", f"dataset.path={patches}", *TINY, "epochs=1000", "callbacks=none"]
    done = command("train", *job, f"+callbacks.mine._target_=mine.{kind}")
    assert done.returncode == code, done.stderr
    if kind == "Swallows":
        assert "swallowed" in done.stdout
        assert "Exception ignored in" in done.stderr
        assert "Epoch 3/" not in done.stdout
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlruns/mlflow.db")
    (run,) = mlflow.search_runs(experiment_names=["crackexp"], output_format="list")
    assert run.info.status == "KILLED"
