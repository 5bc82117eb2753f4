"""Downloads a large file over HTTP, and goes on where an earlier try stopped."""

import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path

import requests

from crackexp.errors import DataError
from crackexp.progress import progress

_BLOCK = 1 << 20
_TIMEOUTS = (10, 60)
"""Seconds to connect and between two blocks."""
_WORTH_ANOTHER_TRY = frozenset({408, 425, 429, 500, 502, 503, 504})


class _BrokenOffError(Exception):
    """The connection ended before the file did."""


_PASSING_ERRORS = (
    _BrokenOffError,
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
)


@dataclass(frozen=True)
class _Part:
    """A file on its way: the bytes so far, and what names the version that they belong to."""

    target: Path

    @property
    def data(self) -> Path:
        return self.target.with_name(f"{self.target.name}.part")

    @property
    def note(self) -> Path:
        return self.target.with_name(f"{self.target.name}.part.json")

    def size(self) -> int:
        return self.data.stat().st_size if self.data.exists() else 0

    def validator(self, url: str) -> str | None:
        """Returns the ETag or date that the bytes so far belong to, None where they are unfit."""
        try:
            note = json.loads(self.note.read_text())
        except (OSError, ValueError):
            return None
        return note.get("validator") if isinstance(note, dict) and note.get("url") == url else None

    def begin(self, url: str, response: requests.Response) -> None:
        """Forgets the bytes so far and notes the version that `response` brings."""
        etag = response.headers.get("ETag", "")
        strong = etag if etag and not etag.startswith("W/") else None
        validator = strong or response.headers.get("Last-Modified")
        self.data.write_bytes(b"")
        self.note.write_text(json.dumps({"url": url, "validator": validator}))

    def discard(self) -> None:
        self.data.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


def download(
    url: str,
    target: Path,
    *,
    sha256: str | None = None,
    by_hand: str = "",
    attempts: int = 4,
    backoff: float = 1.0,
) -> Path:
    """Downloads a file unless it is there.

    Bytes gather in `<target>.part`. A later try asks only for the missing ones, and only of the
    same version (Range guarded by If-Range, RFC 9110 section 13.1.5).

    Args:
        url: http or https.
        target: the file to make.
        sha256: hex digits that its content must have; None: not checked.
        by_hand: what to do without the network, for the message.
        attempts: tries in a row that bring nothing new before giving up.
        backoff: seconds before the next try; doubled after each that brought nothing.

    Returns:
        `target`.

    Raises:
        DataError: the server cannot be reached or has no such file, the connection keeps breaking
            off, or the content is not the expected one.
    """
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = _Part(target)
    fruitless = 0
    while True:
        before = part.size()
        try:
            _fetch(url, part)
            break
        except _PASSING_ERRORS as error:
            fruitless = 1 if part.size() > before else fruitless + 1
            if fruitless == attempts:
                reason = f"{_describe(error)}, in {attempts} tries"
                raise _failed(url, reason, by_hand) from error
            time.sleep(backoff * 2 ** (fruitless - 1))
        except OSError as error:
            raise _failed(url, _describe(error), by_hand) from error

    if sha256 is not None:
        with part.data.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if found != sha256.lower():
            part.discard()
            raise _failed(url, f"its sha256 is {found}, not {sha256}", by_hand)
    part.data.replace(target)
    part.discard()
    return target


def _fetch(url: str, part: _Part) -> None:
    validator = part.validator(url)
    begun = part.size() if validator else 0
    headers = {"Accept-Encoding": "identity"}
    if begun and validator:
        headers |= {"Range": f"bytes={begun}-", "If-Range": validator}
    with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUTS) as response:
        if response.status_code == 416:
            if response.headers.get("Content-Range") == f"bytes */{begun}":
                return
            part.discard()
            raise _BrokenOffError("the server has another version of the file now")
        if response.status_code in _WORTH_ANOTHER_TRY:
            raise _BrokenOffError(f"the server answered {response.status_code}")
        response.raise_for_status()
        if response.status_code == 206:
            start, total = _content_range(response.headers.get("Content-Range", ""))
            if start != begun:
                part.discard()
                raise _BrokenOffError("the server sent another range than was asked for")
        else:
            begun, total = 0, int(response.headers.get("Content-Length", 0)) or None
            part.begin(url, response)
        with (
            progress(f"Downloading {part.target.name}", total, "bytes") as advance,
            part.data.open("ab") as stream,
        ):
            advance(begun)
            for block in response.iter_content(_BLOCK):
                stream.write(block)
                advance(len(block))
    size = part.size()
    if total is not None and size != total:
        raise _BrokenOffError(f"{size:,} of {total:,} bytes came")


def _content_range(header: str) -> tuple[int, int | None]:
    """Reads `bytes FIRST-LAST/TOTAL`; (-1, None) where it is no such header."""
    try:
        span, total = header.removeprefix("bytes ").split("/")
        return int(span.split("-")[0]), None if total == "*" else int(total)
    except ValueError:
        return -1, None


def _describe(error: Exception) -> str:
    if isinstance(error, requests.HTTPError):
        return f"the server answered {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return "the server did not answer in time"
    if isinstance(error, requests.ConnectionError):
        return f"the server cannot be reached ({error})"
    return getattr(error, "strerror", None) or str(error)


def _failed(url: str, reason: str, by_hand: str) -> DataError:
    return DataError(f"The download failed: {reason}. {by_hand} Received: {url}".replace("  ", " "))
