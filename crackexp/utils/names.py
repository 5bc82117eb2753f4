"""Names of files as text that every output can hold.

On Linux the name of a file is bytes, which need not be UTF-8. Python keeps such bytes as lone surrogates, which open
the file again, but which no UTF-8 file, database or terminal takes. So a name stays as Python has it while the program
works with it, and is written by one of the functions below where it leaves the program.
"""

import codecs
import re
import sys
from io import TextIOWrapper
from pathlib import PurePath

VISIBLE = "crackexp.visible"
"""The error handler of codecs by which a character that cannot be encoded is written as an escape such as ``\\xe9``."""
STEM_BYTES = 100
"""Bytes of UTF-8 that `file_stem` keeps; file systems take 255, of which numbers and suffixes need some."""

_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
"""Characters that break a line, move the cursor of a terminal, or turn the direction of the text after them."""
_REFUSED = re.compile(r'[<>:"/\\|?*#%]')
"""Characters that Windows, or an MLflow server, takes in no name of a file."""


def _escape(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError), error
    escaped = []
    for number in map(ord, error.object[error.start : error.end]):
        if 0xDC80 <= number <= 0xDCFF:
            escaped.append(f"\\x{number - 0xDC00:02x}")
        else:
            escaped.append(f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}")
    return "".join(escaped), error.end


codecs.register_error(VISIBLE, _escape)


def visible(name: str) -> str:
    """Returns a name as valid Unicode: a byte that is no UTF-8 becomes an escape, and everything else stays as it is.

    Example:

    >>> visible("caf\\udce9.jpg")
    'caf\\\\xe9.jpg'
    """
    return name.encode("utf-8", VISIBLE).decode("utf-8")


def on_one_line(name: str) -> str:
    """Returns a name for a line of text: control characters and marks of direction become escapes too."""
    return _CONTROLS.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), visible(name))


def file_stem(path: str) -> str:
    """Returns the stem of a path as the beginning of a file name that every file system and MLflow server takes."""
    stem = _REFUSED.sub("_", PurePath(on_one_line(path)).stem)
    return stem.encode("utf-8")[:STEM_BYTES].decode("utf-8", "ignore").rstrip(". ")


def set_up_streams() -> None:
    """Lets standard input take names of any bytes, and standard output and error show them escaped."""
    for stream, errors in ((sys.stdin, "surrogateescape"), (sys.stdout, VISIBLE), (sys.stderr, VISIBLE)):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors=errors)
