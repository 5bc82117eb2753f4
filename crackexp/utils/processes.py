"""Processes for work that Python's lock would hold up in this one."""

import os
import signal
import threading
import time
from collections.abc import Callable

from loky import ProcessPoolExecutor

IDLE_SECONDS = 300.0
"""After how many seconds without work a process ends. The next work starts another."""


def process_pool(workers: int, start: Callable[[], object] = int) -> ProcessPoolExecutor:
    """Returns an executor with processes that leave Ctrl-C to this process and end with it, however it ends.

    They are loky's and not those of Python, which run the user's script anew, unless it hides what it does behind
    ``if __name__ == "__main__"``.

    Args:
        workers: The largest number of processes.
        start: What each process calls first, a function of a module or a partial of one; by default nothing.
    """
    return ProcessPoolExecutor(workers, timeout=IDLE_SECONDS, initializer=_start, initargs=(os.getpid(), start))


def _start(parent: int, start: Callable[[], object]) -> None:
    """Prepares this process, which `parent` started."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    start()


def _end_with(parent: int) -> None:
    """Ends this process after its parent, for whose work it would wait without end where the parent was killed."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
