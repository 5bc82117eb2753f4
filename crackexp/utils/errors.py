"""Errors that a user can correct. They are printed without a traceback, and the exit status is 2."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn


class UserError(Exception):
    """Raised where an input of the user cannot be used.

    The message says what is wrong, what to type instead, and what was received, in the form ``What is wrong, and the
    fix. Received: key=value``.
    """


class ConfigError(UserError):
    """Raised where a config or an override is wrong, before any data is read."""


class DataError(UserError):
    """Raised where a dataset, an archive or an image is wrong."""


class DamagedFileError(DataError):
    """Raised where a file that crackexp wrote has changed since."""


@contextmanager
def about(what: str) -> Iterator[None]:
    """Puts the subject, such as one of several datasets, before the message of a `UserError` in the `with` block."""
    try:
        yield
    except UserError as error:
        error.args = (f"{what}: {error}",)
        raise


def refuse(message: str) -> NoReturn:
    """Ends the program with a message on stderr and exit status 2."""
    sys.stdout.flush()
    print(f"\ncrackexp: {message}", file=sys.stderr)
    sys.exit(2)
