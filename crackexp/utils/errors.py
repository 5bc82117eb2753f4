"""Errors that a user can mend: printed without a traceback, exit status 2."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn


class UserError(Exception):
    """Something the user gave cannot be used.

    The message says what was received, where, and what to type instead,
    in the form ``What is wrong, and the fix. Received: key=value``.
    """


class ConfigError(UserError):
    """A config or an override is wrong; raised before any data is read."""


class DataError(UserError):
    """A dataset, an archive or an image is wrong."""


class DamagedFileError(DataError):
    """A file that crackexp wrote does not hold any more what was written to it."""


@contextmanager
def about(what: str) -> Iterator[None]:
    """Says of a mistake in the `with` block what it is about, such as one of several datasets."""
    try:
        yield
    except UserError as error:
        error.args = (f"{what}: {error}",)
        raise


def refuse(message: str) -> NoReturn:
    """Ends the program with a sentence on stderr and exit status 2."""
    sys.stdout.flush()
    print(f"\ncrackexp: {message}", file=sys.stderr)
    sys.exit(2)
