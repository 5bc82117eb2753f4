import hashlib
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from crackexp.data.files.download import download
from crackexp.utils.errors import DataError

CONTENT = bytes(range(256)) * 12_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class _Server(ThreadingHTTPServer):
    """Serves one file; can break off, change the file, or answer with an error."""

    def __init__(self) -> None:
        self.content = CONTENT
        self.etag: str | None = '"version 1"'
        self.modified: str | None = None
        self.break_after: list[int] = []
        self.errors: list[int] = []
        self.ranges = True
        self.requests: list[dict[str, str]] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/set.zip"

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients break off in these tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        server = self.server
        server.requests.append(dict(self.headers))
        if server.errors:
            self.send_error(server.errors.pop(0))
            return
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        current = self.headers.get("If-Range") in (server.etag, server.modified)
        start = int(asked[1]) if asked and current and server.ranges else 0
        total = len(server.content)
        if start >= total:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{total}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        if server.etag:
            self.send_header("ETag", server.etag)
        if server.modified:
            self.send_header("Last-Modified", server.modified)
        self.send_header("Content-Length", str(total - start))
        self.end_headers()
        body = server.content[start:]
        if server.break_after:
            body = body[: server.break_after.pop(0)]
            self.close_connection = True
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[_Server]:
    with _Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def _download(server: _Server, folder: Path, **options: object) -> Path:
    return download(server.url, folder / "set.zip", **{"backoff": 0.01, **options})


def _part(folder: Path) -> Path:
    return folder / "set.zip.part"


def test_a_file_is_downloaded_once(server: _Server, tmp_path: Path) -> None:
    for _ in range(2):
        target = _download(server, tmp_path / "new", sha256=SHA256)
        assert target.read_bytes() == CONTENT
    assert len(server.requests) == 1
    assert [path.name for path in target.parent.iterdir()] == ["set.zip"]


def test_a_broken_connection_is_taken_up_where_it_broke(server: _Server, tmp_path: Path) -> None:
    server.break_after = [1_500_000, 1_200_000]
    assert _download(server, tmp_path).read_bytes() == CONTENT
    assert "Range" not in server.requests[0]
    begun = [int(request["Range"][6:-1]) for request in server.requests[1:]]
    assert 0 < begun[0] < begun[1] < len(CONTENT)
    assert {request["If-Range"] for request in server.requests[1:]} == {'"version 1"'}


def test_progress_buys_more_tries(server: _Server, tmp_path: Path) -> None:
    server.break_after = [1_500_000, 1_200_000]
    assert _download(server, tmp_path, attempts=2).read_bytes() == CONTENT


def test_a_later_run_goes_on(server: _Server, tmp_path: Path) -> None:
    server.break_after = [2_000_000, 0]
    with pytest.raises(DataError, match="The download failed"):
        _download(server, tmp_path, attempts=1)
    kept = _part(tmp_path).stat().st_size
    assert 0 < kept < len(CONTENT)
    server.break_after = []
    assert _download(server, tmp_path, sha256=SHA256).read_bytes() == CONTENT
    assert server.requests[-1]["Range"] == f"bytes={kept}-"


def test_by_last_modified_where_there_is_no_etag(server: _Server, tmp_path: Path) -> None:
    server.etag, server.modified = None, "Wed, 18 Nov 2026 10:00:00 GMT"
    server.break_after = [2_000_000]
    assert _download(server, tmp_path).read_bytes() == CONTENT
    assert server.requests[1]["If-Range"] == server.modified


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_a_strong_mark_it_starts_anew(server: _Server, tmp_path: Path, etag: str | None) -> None:
    server.etag = etag
    server.break_after = [2_000_000]
    assert _download(server, tmp_path).read_bytes() == CONTENT
    assert all("Range" not in request for request in server.requests)


def test_versions_are_not_mixed(server: _Server, tmp_path: Path) -> None:
    server.break_after = [2_000_000]
    with pytest.raises(DataError):
        _download(server, tmp_path, attempts=1)
    server.content, server.etag = CONTENT[::-1] + b"more", '"version 2"'
    assert _download(server, tmp_path).read_bytes() == server.content
    assert "Range" in server.requests[-1]


def test_bytes_of_another_address_are_not_used(server: _Server, tmp_path: Path) -> None:
    server.break_after = [2_000_000]
    with pytest.raises(DataError):
        _download(server, tmp_path, attempts=1)
    target = download(f"{server.url}?mirror", tmp_path / "set.zip", backoff=0.01)
    assert target.read_bytes() == CONTENT
    assert "Range" not in server.requests[-1]


def test_a_server_without_ranges_sends_all_again(server: _Server, tmp_path: Path) -> None:
    server.ranges = False
    server.break_after = [2_000_000]
    assert _download(server, tmp_path).read_bytes() == CONTENT


def test_a_part_that_is_whole_is_taken(server: _Server, tmp_path: Path) -> None:
    server.break_after = [2_000_000]
    with pytest.raises(DataError):
        _download(server, tmp_path, attempts=1)
    _part(tmp_path).write_bytes(CONTENT)
    assert _download(server, tmp_path, sha256=SHA256).read_bytes() == CONTENT


def test_a_part_that_is_too_long_starts_anew(server: _Server, tmp_path: Path) -> None:
    server.break_after = [2_000_000]
    with pytest.raises(DataError):
        _download(server, tmp_path, attempts=1)
    _part(tmp_path).write_bytes(CONTENT + b"more")
    assert _download(server, tmp_path, sha256=SHA256).read_bytes() == CONTENT


def test_passing_errors_are_tried_again(server: _Server, tmp_path: Path) -> None:
    server.errors = [503, 429, 500]
    assert _download(server, tmp_path).read_bytes() == CONTENT
    assert len(server.requests) == 4


def test_lasting_errors_are_not(server: _Server, tmp_path: Path) -> None:
    server.errors = [404]
    with pytest.raises(DataError, match="the server answered 404") as caught:
        _download(server, tmp_path, by_hand="Get it by hand.")
    assert str(caught.value).endswith(f"Get it by hand. Received: {server.url}")
    assert len(server.requests) == 1


def test_tries_end(server: _Server, tmp_path: Path) -> None:
    server.errors = [503] * 10
    with pytest.raises(DataError, match="the server answered 503, in 3 tries"):
        _download(server, tmp_path, attempts=3)
    assert len(server.requests) == 3


def test_other_content_is_refused_and_dropped(server: _Server, tmp_path: Path) -> None:
    server.content = CONTENT[:-1] + b"?"
    with pytest.raises(DataError, match=f"its sha256 is [0-9a-f]{{64}}, not {SHA256}"):
        _download(server, tmp_path, sha256=SHA256)
    assert list(tmp_path.iterdir()) == []


def test_offline_the_error_says_what_to_do(tmp_path: Path) -> None:
    with _Server() as closed:
        url = closed.url
    with pytest.raises(DataError, match=r"cannot be reached.*Get it by hand"):
        download(url, tmp_path / "a.zip", by_hand="Get it by hand.", attempts=2, backoff=0.01)


def test_an_address_that_is_none_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="The download failed"):
        download("set.zip", tmp_path / "a.zip", backoff=60)
