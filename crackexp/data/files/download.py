"""Downloads a large file over HTTP, and resumes an interrupted download."""

import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path

import requests

from crackexp.utils.errors import DataError
from crackexp.utils.progress import progress

_BLOCK = 1 << 20
_TIMEOUTS = (10, 60)
"""The longest waits in seconds: for a connection, and between two blocks of data."""
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
    """A file that is partly downloaded: the bytes so far, and a note of the version that they belong to."""

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
        """Returns the ETag or date of the version that the bytes so far belong to; None where they cannot be used."""
        try:
            note = json.loads(self.note.read_text())
        except (OSError, ValueError):
            return None
        return note.get("validator") if isinstance(note, dict) and note.get("url") == url else None

    def begin(self, url: str, response: requests.Response) -> None:
        """Drops the bytes so far, and notes the version of the file in `response`."""
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
    """Downloads a file unless it exists.

    The bytes are collected in `<target>.part`. A later try asks for the missing ones only, and only of the same version
    (Range with If-Range, RFC 9110 section 13.1.5).

    Args:
        url: The address of the file, http or https.
        target: The file to make.
        sha256: The SHA-256 digest of the content in hex digits; None to skip the check.
        by_hand: A sentence for the error message that says what to do without the network.
        attempts: The number of tries in a row without any new bytes after which the download fails.
        backoff: The wait before the next try in seconds; it is doubled after each try without new bytes.

    Returns:
        `target`.

    Raises:
        DataError: The server cannot be reached or has no such file, the connection keeps breaking off, or the content
            has another digest.
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
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if digest != sha256.lower():
            part.discard()
            raise _failed(url, f"its sha256 is {digest}, not {sha256}", by_hand)
    part.data.replace(target)
    part.discard()
    return target


def _fetch(url: str, part: _Part) -> None:
    """Downloads the missing bytes of a file; raises _BrokenOffError where another try may bring more."""
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
    """Returns FIRST and TOTAL of a header `bytes FIRST-LAST/TOTAL`; (-1, None) for any other header."""
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
