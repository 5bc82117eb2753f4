"""Measurements of this machine, which are made once and kept in the cache."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock

from crackexp.utils.files import write_text

FOLDER = "engines"
"""The folder in the cache that keeps them, a file for each measurement."""
T = TypeVar("T")


def measured_once(cache: Path, name: str, read: Callable[[Any], T], measure: Callable[[], Any]) -> T:
    """Returns what was measured on this machine before, or measures it now and keeps it.

    A cache that cannot be written only costs the measurement each time. Processes measure one after the other, and take
    what another has measured meanwhile.

    Args:
        cache: The folder of the cache.
        name: The name of the measurement, which holds all that its result depends on.
        read: Takes what is kept, as JSON has it, and returns what it means. It raises a KeyError, TypeError, ValueError
            or AttributeError where that cannot be used, as in a damaged file, and it is measured again.
        measure: Measures, and returns what to keep.
    """
    file = cache / FOLDER / f"{name}.json"

    def kept() -> T | None:
        with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
            return read(json.loads(file.read_bytes()))
        return None

    value = kept()
    if value is None:
        with _alone(file):
            value = kept()
            if value is None:
                made = measure()
                with suppress(OSError):
                    write_text(file, json.dumps(made))
                value = read(made)
    return value


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Lets one process after the other measure, where the cache can be written."""
    with ExitStack() as stack:
        with suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(FileLock(file.with_suffix(".lock")))
        yield
