"""A client that is slow, hostile or many holds the page up for nobody else, and foreign pages cannot use it."""

import asyncio
import contextlib
import io
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import pytest
import requests
import uvicorn
import wsproto
from fastapi import FastAPI, HTTPException, Request
from PIL import Image

from crackexp.data.classes.decisions import Thresholds
from crackexp.web import guard, server
from crackexp.web.guard import RequestProtocol, SameOriginMiddleware, SlowBodyMiddleware
from crackexp.web.server import PhotoService
from crackexp.web.session import Limits, Session
from tests.web.running import Served
from tests.web.test_app_command import Tab, stripe

SLOW = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\nx"


@pytest.fixture
def echoing(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The port of a small application behind the guard, whose patience is a second."""
    monkeypatch.setattr(guard, "HEAD_SECONDS", 1)
    monkeypatch.setattr(guard, "WAITING", 20)
    app = FastAPI()
    app.add_middleware(SlowBodyMiddleware, rate=1000, window=1)
    app.add_middleware(SameOriginMiddleware)

    @app.post("/")
    async def count(request: Request) -> int:
        return len(await request.body())

    config = uvicorn.Config(
        app, log_config=None, log_level="error", http=RequestProtocol, h11_max_incomplete_event_size=2000
    )
    running = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=running.run, args=[[listening]])
        thread.start()
        yield listening.getsockname()[1]
        running.should_exit = True
        thread.join()


@contextlib.contextmanager
def connected(port: int, sent: bytes = b"") -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(sent)
        yield connection


def answer(connection: socket.socket) -> bytes:
    """Returns what is received until the server closes the connection."""
    parts = []
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(4096):
            parts.append(part)
    return b"".join(parts)


def good(port: int) -> int:
    return requests.post(f"http://127.0.0.1:{port}/", data=b"12345", timeout=20).json()


def test_a_head_that_does_not_come_is_not_waited_for(echoing: int) -> None:
    begun = time.monotonic()
    with connected(echoing) as silent, connected(echoing, b"POST / HTTP/1.1\r\nHo") as stuck:
        assert good(echoing) == 5
        assert answer(silent) == answer(stuck) == b""
    assert 0.5 < time.monotonic() - begun < 10


def test_a_head_that_drips_is_not_waited_for(echoing: int) -> None:
    with connected(echoing, b"POST / HTTP/1.1\r\n") as dripping:
        begun = time.monotonic()
        with contextlib.suppress(ConnectionError):
            for _ in range(100):
                dripping.sendall(b"A")
                time.sleep(0.1)
        assert 0.5 < time.monotonic() - begun < 5
        assert good(echoing) == 5


def test_the_next_head_on_a_connection_is_not_waited_for_either(echoing: int) -> None:
    request = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx"
    with connected(echoing, request) as connection:
        assert b"200 OK" in connection.recv(4096)
        connection.sendall(request)
        assert b"200 OK" in connection.recv(4096)
        connection.sendall(b"POST /")
        assert answer(connection) == b""


def test_of_many_silent_connections_the_oldest_are_closed_and_others_are_answered(echoing: int) -> None:
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(connected(echoing)) for _ in range(100)]
        assert good(echoing) == 5
        for one in silent[:75]:
            one.settimeout(0.5)
            assert answer(one) == b""


def test_a_body_that_drips_is_answered_by_408_and_its_connection_closed(echoing: int) -> None:
    with connected(echoing, SLOW % b"/") as slow:
        assert good(echoing) == 5
        assert answer(slow).startswith(b"HTTP/1.1 408 ")


def test_a_body_at_the_pace_of_a_poor_network_is_taken_however_long_it_lasts(echoing: int) -> None:
    def dripping() -> Iterator[bytes]:
        for _ in range(10):
            time.sleep(0.25)
            yield bytes(500)

    sent = requests.post(f"http://127.0.0.1:{echoing}/", data=dripping(), timeout=20)
    assert (sent.status_code, sent.json()) == (200, 5000)


@pytest.mark.parametrize(
    "head",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: many\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=["tls", "length", "chunks"],
)
def test_what_is_no_request_is_answered_by_400_and_the_rest_goes_on(echoing: int, head: bytes) -> None:
    with connected(echoing, head) as connection:
        assert answer(connection).startswith(b"HTTP/1.1 400 ")
    assert good(echoing) == 5


def test_a_huge_head_is_refused(echoing: int) -> None:
    with connected(echoing) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nX: " + 3_000_000 * b"x" + b"\r\n\r\n")
        assert answer(connection)[:13] in (b"HTTP/1.1 400 ", b""), "the answer is lost where much was sent already"
    assert good(echoing) == 5


ORIGINS = [
    (None, 200),
    ("http://{host}", 200),
    ("HTTP://{host}", 200),
    ("http://evil.example", 403),
    ("http://127.0.0.1", 403),
    ("http://localhost:1", 403),
    ("http://evil.example/{host}", 403),
    ("http://{host}@evil.example", 403),
    ("null", 403),
    ("http://[", 403),
]


@pytest.mark.parametrize(("origin", "status"), ORIGINS)
def test_a_page_of_another_origin_is_refused_wherever_it_knocks(
    page_served: Served, origin: str | None, status: int
) -> None:
    host = page_served.address.removeprefix("http://")
    headers = {} if origin is None else {"Origin": origin.format(host=host)}
    tab = Tab(page_served.address)
    sent = requests.post(f"{tab.address}/photos", {}, params={"name": "a.png"}, headers=headers, timeout=30)
    assert sent.status_code == (204 if status == 200 else status)
    assert requests.post(f"{tab.address}/photos/forget", headers=headers, timeout=30).status_code == sent.status_code
    polled = requests.get(
        f"{page_served.address}/_nicegui_ws/socket.io/?EIO=4&transport=polling", headers=headers, timeout=30
    )
    assert polled.status_code == status
    assert shaken(host, headers) == (101 if status == 200 else status)


def shaken(host: str, headers: dict[str, str]) -> int:
    """Returns the status by which the server answers when a web socket is asked for."""
    client = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
    asked = wsproto.events.Request(
        host=host,
        target="/_nicegui_ws/socket.io/?EIO=4&transport=websocket",
        extra_headers=[(name.encode(), value.encode()) for name, value in headers.items()],
    )
    with connected(int(host.rpartition(":")[2]), client.send(asked)) as connection:
        return int(connection.recv(4096).split()[1])


def photo() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(stream, "PNG")
    return stream.getvalue()


async def sent(service: PhotoService, session: Session, chunks: AsyncIterator[bytes]) -> int | None:
    """Returns the status of a refusal."""
    try:
        await service.take(session, "a.png", chunks)
    except HTTPException as error:
        return error.status_code
    return None


def test_slow_senders_hold_up_their_own_tab_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = Limits(photos=9, megapixels=1, megabytes=1)
    monkeypatch.setattr(server, "analyze", lambda *arguments: photo)
    monkeypatch.setattr(Session, "keep", lambda self, kept: self.photos.update({len(self.photos): kept}))

    async def scenario() -> None:
        never = asyncio.Event()

        async def endless() -> AsyncIterator[bytes]:
            yield b"x"
            await never.wait()

        async def whole() -> AsyncIterator[bytes]:
            yield b"image"

        async def large() -> AsyncIterator[bytes]:
            for _ in range(10 * server.HELD):
                yield bytes(limits.bytes // 8)

        service = PhotoService(None, limits, None)  # type: ignore[arg-type]
        slow = [Session(Thresholds(), limits) for _ in range(20)]
        waiting = [
            asyncio.create_task(sent(service, session, endless())) for session in slow for _ in range(server.QUEUED)
        ]
        await asyncio.sleep(0)
        assert await sent(service, slow[0], whole()) == 429
        other = Session(Thresholds(), limits)
        assert await asyncio.wait_for(sent(service, other, whole()), 5) is None
        assert len(other.photos) == 1
        assert await sent(service, other, large()) == 503
        assert await sent(service, other, whole()) is None
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert [session.sending for session in slow] == [0] * 20
        assert await sent(service, slow[0], whole()) is None

    asyncio.run(scenario())


def test_slow_and_many_clients_of_the_page_do_not_hold_up_another_tab(page_served: Served, tmp_path: Path) -> None:
    host, port = page_served.address.removeprefix("http://").split(":")
    tabs = [Tab(page_served.address) for _ in range(6)]
    with contextlib.ExitStack() as stack:
        for tab in tabs:
            path = tab.address.removeprefix(page_served.address) + "/photos?name=slow.png"
            for _ in range(3):
                head = (SLOW % path.encode()).replace(b"localhost", f"{host}:{port}".encode())
                stack.enter_context(connected(int(port), head))
        for _ in range(300):
            stack.enter_context(connected(int(port)))
        begun = time.monotonic()
        tab = Tab(page_served.address)
        assert tab.send("stripe.png", stripe()).status_code == 204
        assert tab.table("photos")["decision"].tolist() == ["crack"]
        assert time.monotonic() - begun < 20
        assert requests.put(f"{tab.address}/photos", timeout=20).status_code in (404, 405)
        assert requests.post(f"{tab.address}/photos", timeout=20).status_code == 422
        plain = {"Content-Type": "multipart/form-data"}
        wrong = requests.post(f"{tab.address}/photos?name=a.png", b"no form", headers=plain, timeout=20)
        assert wrong.status_code == 204
        assert tab.table("photos")["reason"].tolist()[1].startswith("not a JPEG")
