"""Errors that a user can mend: printed without a traceback, exit status 2."""

import sys
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


def refuse(message: str) -> NoReturn:
    """Ends the program with a sentence on stderr and exit status 2."""
    sys.stdout.flush()
    print(f"\ncrackexp: {message}", file=sys.stderr)
    sys.exit(2)
