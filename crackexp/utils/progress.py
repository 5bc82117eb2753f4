"""Progress bars for work that takes a person's time."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from crackexp.utils.signals import heed

_PATIENCE = 1.0
"""Seconds before a bar appears."""


@contextmanager
def progress(description: str, total: int | None, unit: str = "") -> Iterator[Callable[[float], None]]:
    """Shows a bar on a terminal once the work has lasted a second; nothing elsewhere.

    Args:
        description: what is being done, in a few words.
        total: units of work, None where unknown.
        unit: "bytes" shows sizes and speed; anything else counts.

    Yields:
        A function that takes the number of units done since its last call; a part of a unit counts too.
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
    """Returns a function that takes the share, in [0, 1], of one unit of work that is done so far."""
    told = 0.0

    def tell(share: float) -> None:
        nonlocal told
        advance(share - told)
        told = share

    return tell
