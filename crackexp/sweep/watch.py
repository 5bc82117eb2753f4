"""Shows the progress of a sweep and when it will end, from the files that its trials write when they end."""

import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path

from crackexp.sweep import grid
from crackexp.sweep.trial import OUTCOME, Outcome
from crackexp.utils.progress import progress

POLL_SECONDS = 0.5
WORDS = {"finished": "", "kept": "kept from before", "failed": "FAILED"}


class Watch:
    """Prints a line for each trial that ends, and shows how many have ended and when the sweep will end.

    Args:
        folder: The folder of the sweep, in which each trial has a folder.
        total: The number of trials; None where it is not known.
        keys: The swept keys.
    """

    def __init__(self, folder: Path, total: int | None, keys: Sequence[str]) -> None:
        self.folder = folder
        self.total = total
        self.keys = keys
        self.ended: dict[Path, Outcome] = {}
        self.begun = time.monotonic()
        self.stdout = sys.stdout
        self._shown = ExitStack()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Starts to look for trials that have ended, in a thread of its own."""
        self._advance = self._shown.enter_context(progress("Sweep", self.total, "trials"))
        self._thread.start()

    def stop(self) -> None:
        """Looks a last time and stops showing the sweep."""
        self._stop.set()
        self._thread.join()
        self._shown.close()

    def _run(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            self._look()
        self._look()

    def _look(self) -> None:
        for file in sorted(self.folder.glob(f"*/{OUTCOME}")):
            if file not in self.ended:
                outcome = self.ended[file] = _read(file)
                self._advance(1)
                print(self._line(outcome), file=self.stdout, flush=True)

    def _line(self, outcome: Outcome) -> str:
        done = f"[{len(self.ended):>3}/{self.total or '?'}]"
        accuracy, word = outcome.accuracy, WORDS[outcome.state]
        score = f"test accuracy {accuracy:.4f}" if accuracy is not None else outcome.error
        time_spent = f"{outcome.seconds:.1f} s"
        name = grid.name(grid.configuration(self.keys, outcome.overrides))
        parts = [name, *([word] if word else []), score, *([] if word else [time_spent]), self._left()]
        return f"{done} " + "  ".join(parts)

    def _left(self) -> str:
        """Returns when the sweep will end if the rest takes as long as the trials that were computed."""
        computed = sum(outcome.state != "kept" for outcome in self.ended.values())
        if self.total is None or not computed or len(self.ended) == self.total:
            return ""
        seconds = (time.monotonic() - self.begun) / computed * (self.total - len(self.ended))
        return f"ends about {datetime.now() + timedelta(seconds=seconds):%H:%M}"


def _read(file: Path) -> Outcome:
    """Returns the outcome of a trial, which is "failed" where its file cannot be read."""
    try:
        return Outcome.model_validate_json(file.read_bytes())
    except ValueError:
        return Outcome(state="failed", seconds=0, error=f"{file} is damaged")
