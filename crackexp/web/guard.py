"""What keeps one client from holding the page up for the others, and foreign pages from using it.

uvicorn waits for the rest of a request as long as the client likes. Here a client must keep sending, at the pace that
Apache's mod_reqtimeout asks for by default, which the slowest of mobile networks keeps up.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import urlsplit

import h11
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from crackexp.utils.names import on_one_line

HEAD_SECONDS = 20
"""The seconds in which the head of a request must have arrived."""
HEAD_BYTES = 32 * 2**10
"""The largest head of a request; a browser names a file of a deep folder in it."""
WAITING = 200
"""The number of connections without a whole head of a request. Of more, the one that waited longest is closed."""
CONNECTIONS = 600
"""The number of open connections; more are told that the server is busy. A program may open at least 1,024 files."""
BODY_WINDOW = 30
"""The seconds over which the pace of a body is measured, long enough for a tunnel on the way of a train."""
BODY_RATE = 500
"""The least pace of a body, in bytes a second."""


class RequestProtocol(H11Protocol):
    """HTTP/1.1 as uvicorn speaks it, but a client that does not get on with its request is disconnected."""

    _waiting: ClassVar[dict["RequestProtocol", asyncio.TimerHandle]] = {}
    """Connections without a whole head of a request, the one that has waited longest first."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._stop_waiting()
        super().handle_websocket_upgrade(event)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._stop_waiting()
        self._waiting[self] = self.loop.call_later(HEAD_SECONDS, self._give_up)
        if len(self._waiting) > WAITING:
            next(iter(self._waiting))._give_up()

    def _stop_waiting(self) -> None:
        if timer := self._waiting.pop(self, None):
            timer.cancel()

    def _give_up(self) -> None:
        self._stop_waiting()
        self.transport.abort()


class SlowBodyMiddleware:
    """Answers a request whose body arrives too slowly by status 408, and closes its connection.

    The time in which the application does not ask for more of the body does not count.

    Args:
        app: The application.
        rate: Bytes a second that must arrive.
        window: Seconds over which they are counted.
    """

    def __init__(self, app: ASGIApp, rate: float, window: float) -> None:
        self.app, self.rate, self.window = app, rate, window

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        loop = asyncio.get_running_loop()
        seconds, arrived, more = self.window, 0, True

        async def receive_in_time() -> Message:
            nonlocal seconds, arrived, more
            if not more:
                return await receive()
            asked = loop.time()
            try:
                async with asyncio.timeout(seconds):
                    message = await receive()
            except TimeoutError:
                text = f"The request arrived slower than {self.rate:g} bytes a second."
                raise HTTPException(408, text, {"Connection": "close"}) from None
            seconds -= loop.time() - asked
            arrived += len(message.get("body", b""))
            more = message.get("more_body", False)
            if arrived >= self.rate * self.window:
                seconds, arrived = self.window, 0
            return message

        await self.app(scope, receive_in_time, send)


class SameOriginMiddleware:
    """Refuses requests and web sockets of other pages, which browsers mark by the header Origin, by status 403.

    Else any page that the user has open could talk to this one, which asks for no password. A request without the
    header, such as that of a user who follows a link, or of a program, is let through.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and _is_foreign(Headers(scope=scope)):
            if scope["type"] == "websocket":
                return await send({"type": "websocket.close", "code": 1008})
            return await PlainTextResponse("Another page asked for this.", 403)(scope, receive, send)
        await self.app(scope, receive, send)


class OneLineFilter(logging.Filter):
    """Escapes control characters in what is logged: an address that a client asks for may hold some.

    Any page that the user has open can ask for an address, such as that of a picture, and could clear the terminal.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = on_one_line(record.getMessage()), ()
        return True


class ResponseHeadersMiddleware:
    """Adds headers to every answer.

    Args:
        app: The application.
        headers: The headers by their names.
    """

    def __init__(self, app: ASGIApp, headers: Mapping[str, str]) -> None:
        self.app, self.headers = app, headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self.headers)
            await send(message)

        await self.app(scope, receive, send_with_headers if scope["type"] == "http" else send)


def _is_foreign(headers: Headers) -> bool:
    host = headers.get("host", "").lower()
    try:
        return any(urlsplit(origin).netloc.lower() != host or not host for origin in headers.getlist("origin"))
    except ValueError:  # such as of an address whose bracket is not closed
        return True
