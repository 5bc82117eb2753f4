"""Progress bars for work that takes long enough to make a user wait."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from crackexp.utils.signals import heed

_PATIENCE = 1.0
"""The number of seconds before a bar appears."""


@contextmanager
def progress(description: str, total: int | None, unit: str = "") -> Iterator[Callable[[float], None]]:
    """Shows a progress bar on a terminal after a second of work. Elsewhere nothing is shown.

    Args:
        description: A few words that say what is being done.
        total: The number of units of work; None where it is not known.
        unit: The unit. With "bytes", the bar shows sizes and speed, else a count.

    Yields:
        A function that takes the number of units that have been done since its last call, which may be fractional.
    """
    if not sys.stderr.isatty():
        yield lambda done: heed()
        return

    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    counts = (DownloadColumn(), TransferSpeedColumn()) if unit == "bytes" else (MofNCompleteColumn(),)
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        *counts,
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    task = bar.add_task(description, total=total)
    begun, shown = time.monotonic(), False

    def advance(done: float) -> None:
        nonlocal shown
        heed()
        bar.update(task, advance=done)
        if not shown and time.monotonic() - begun > _PATIENCE:
            bar.start()
            shown = True

    try:
        yield advance
    finally:
        if shown:
            bar.stop()


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
