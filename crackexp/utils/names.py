"""Names of files as text that every output can hold.

On Linux, the name of a file consists of bytes, which need not be UTF-8. Python represents such bytes as lone
surrogates. They open the file again, but a UTF-8 file, a database or a terminal cannot hold them. So a name is kept as
Python has it within the program, and passes through one of the functions below where it is written or printed.
"""

import codecs
import re
import sys
from collections.abc import Callable
from io import TextIOWrapper
from pathlib import PurePath

VISIBLE = "crackexp.visible"
"""The name of the codec error handler that writes a character which cannot be encoded as an escape like ``\\xe9``."""
STEM_BYTES = 100
"""The number of UTF-8 bytes that `file_stem` keeps. File systems allow 255, some of which are left for suffixes."""

_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
"""Characters that break a line, move the cursor of a terminal, or change the direction of the text after them."""
_REFUSED = re.compile(r'[<>:"/\\|?*#%]')
"""Characters that Windows or an MLflow server does not allow in the name of a file."""

_PLACES = re.compile(r"(?<=[/\\_-])(?![/\\_-])|(?<=[^./\\_-])(?=\.)")
"""Where a long name may be broken: between runs of separators and what follows, and before a dot."""


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
    """Returns a name as valid Unicode. A byte that is not UTF-8 becomes an escape, and everything else stays as it is.

    Example:

    >>> visible("caf\\udce9.jpg")
    'caf\\\\xe9.jpg'
    """
    return name.encode("utf-8", VISIBLE).decode("utf-8")


def on_one_line(name: str) -> str:
    """Returns a name for a line of text, in which control characters and direction marks become escapes too."""
    return _CONTROLS.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), visible(name))


def file_stem(path: str) -> str:
    """Returns the stem of a path as the beginning of a file name that every file system and MLflow server allows."""
    stem = _REFUSED.sub("_", PurePath(on_one_line(path)).stem)
    return stem.encode("utf-8")[:STEM_BYTES].decode("utf-8", "ignore").rstrip(". ")


def broken(name: str, fits: Callable[[str], bool]) -> list[str]:
    """Returns a name in lines, which end behind a slash, an underscore or a dash, or before a dot.

    A part of the name that has no such place is a line of its own, although it does not fit.

    Args:
        name: The name.
        fits: Whether a text fits into a line.

    Example:

    >>> broken("site_12/wall_039.jpg", lambda text: len(text) <= 10)
    ['site_12/', 'wall_039', '.jpg']
    """
    if fits(name):
        return [name]
    lines = [""]
    for part in _PLACES.split(name):
        if lines[-1] and not fits(lines[-1] + part):
            lines.append("")
        lines[-1] += part
    return lines


def set_up_streams() -> None:
    """Lets standard input accept names with any bytes, and makes standard output and error show them escaped."""
    for stream, errors in ((sys.stdin, "surrogateescape"), (sys.stdout, VISIBLE), (sys.stderr, VISIBLE)):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors=errors)
