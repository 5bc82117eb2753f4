"""The server behind the page: photos come in and are looked at one by one, pictures and tables go out.

What belongs to a tab of a browser has the random id of NiceGUI's client in its address, which no other tab knows.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import numpy as np
import pandas as pd
import uvicorn
from fastapi import FastAPI, HTTPException, Request, Response
from nicegui import Client, ui
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect

from crackexp.csv_text import csv_text
from crackexp.data.pixels import UnusableImageError
from crackexp.page.listening import Place
from crackexp.page.session import Limits, Session, Stopped, develop, photo_table, tile_table
from crackexp.page.view import View
from crackexp.prediction.predictor import MIN_SIDE
from crackexp.prediction.surveyor import Surveyor

RECEIVING = 4
"""Files that are in memory at once, from all tabs; others wait in their browsers."""
PATIENCE = 300
"""Seconds in which a file must have arrived."""
RECONNECT = 60
"""Seconds after which a tab that is gone is forgotten."""
GRACE = 2
"""Seconds in which connections may end when the server does."""
MESSAGE = 2**20
"""Bytes of what a browser may say at once of its controls."""
PICTURES = {"picture.jpg": "image/jpeg", "thumbnail.jpg": "image/jpeg", "heat.png": "image/png"}
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' "
    "'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Of every answer: the browser asks no other server for anything, and shows the page within no other page."""


class Desk:
    """Takes photos from all tabs, and looks at them one at a time.

    Args:
        surveyor: of the model.
        limits: of what is taken.
        mm_per_px: see `Finding.verdict`.

    Attributes:
        stopping: says whether the server has been told to end.
    """

    def __init__(self, surveyor: Surveyor, limits: Limits, mm_per_px: float | None) -> None:
        self.surveyor = surveyor
        self.limits = limits
        self.stopping: Callable[[], bool] = lambda: False
        self._mm_per_px = mm_per_px
        self._sessions: dict[str, Session] = {}
        self._receiving = asyncio.Semaphore(RECEIVING)
        self._looking = asyncio.Lock()

    def warm_up(self) -> None:
        """Looks at nothing once, so that the first photo does not wait for the compiler."""
        self.surveyor.look_at(np.zeros((MIN_SIDE, MIN_SIDE, 3), np.uint8))

    def open(self, client: Client) -> Session:
        """Returns a new session, which ends with its tab."""
        session = self._sessions[client.id] = Session(self.surveyor.thresholds, self.limits)

        def close() -> None:
            session.close()
            del self._sessions[client.id]

        client.on_delete(close)
        return session

    def find(self, tab: str) -> Session:
        """Returns the session of a tab.

        Raises:
            HTTPException: there is none; status 404.
        """
        if tab not in self._sessions:
            raise HTTPException(404, "This page is closed.")
        return self._sessions[tab]

    async def take(self, session: Session, name: str, chunks: AsyncIterator[bytes]) -> None:
        """Receives a file, and has it looked at when its turn has come.

        Raises:
            HTTPException: the session is full, or the file takes too long to arrive; status 409 and 408.
            ClientDisconnect: the browser has given up.
        """
        going = session.going()
        async with self._receiving:
            if not session.room:
                raise HTTPException(409, f"{self.limits.photos} photos are kept at once.")
            try:
                async with asyncio.timeout(PATIENCE):
                    data = b"".join([chunk async for chunk in chunks])
            except TimeoutError:
                raise HTTPException(408, f"The file did not arrive within {PATIENCE} seconds.") from None
            async with self._looking:
                await self._look(session, name, data, going)

    async def _look(self, session: Session, name: str, data: bytes, going: Callable[[], bool]) -> None:
        loop = asyncio.get_running_loop()

        def advance(share: float) -> None:
            if self.stopping() or not going():
                raise Stopped
            loop.call_soon_threadsafe(session.told, share)

        pixels, scale = self.limits.pixels, self._mm_per_px
        try:
            photo = await asyncio.to_thread(develop, self.surveyor, name, data, pixels, scale, advance)
        except UnusableImageError as error:
            session.leave_out(name, str(error))
        except MemoryError:
            session.leave_out(name, "it takes more memory than there is")
        except Stopped:
            return
        else:
            if going():
                session.keep(photo)


def routes(desk: Desk, names: list[str]) -> FastAPI:
    """Returns the application without its page.

    Args:
        desk: of the photos.
        names: see `Place.names`.
    """
    app = FastAPI(openapi_url=None)
    app.add_middleware(RequestBodyLimitMiddleware, max_body_size=desk.limits.bytes)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=names, www_redirect=False)

    @app.middleware("http")
    async def harden(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call_next(request)
        response.headers.update(HEADERS)
        return response

    @app.post("/tabs/{tab}/photos")
    async def take(tab: str, name: str, request: Request) -> Response:
        try:
            await desk.take(desk.find(tab), name, request.stream())
        except ClientDisconnect:
            return Response(status_code=400)
        return Response(status_code=204)

    @app.post("/tabs/{tab}/photos/forget")
    async def forget(tab: str) -> Response:
        desk.find(tab).clear()
        return Response(status_code=204)

    @app.get("/tabs/{tab}/photos/{number}/{file}")
    async def picture(tab: str, number: int, file: str) -> Response:
        photo = desk.find(tab).photos.get(number)
        if photo is None or file not in PICTURES:
            raise HTTPException(404, "There is no such picture.")
        return Response(photo.pictures[file], media_type=PICTURES[file], headers={"Cache-Control": "no-store"})

    @app.get("/tabs/{tab}/photos.csv")
    async def photos(tab: str) -> Response:
        session = desk.find(tab)
        return await _csv(photo_table, [*session.photos.values()], [*session.unread], session.thresholds)

    @app.get("/tabs/{tab}/tiles.csv")
    async def tiles(tab: str) -> Response:
        session = desk.find(tab)
        return await _csv(tile_table, [*session.photos.values()], session.thresholds)

    return app


async def _csv(table: Callable[..., pd.DataFrame], *arguments: object) -> Response:
    text = await asyncio.to_thread(lambda: csv_text(table(*arguments)))
    return Response(text, media_type="text/csv", headers={"Content-Disposition": "attachment"})


def serve(desk: Desk, place: Place, how: str) -> None:
    """Serves the page until a signal ends it, which is raised again then.

    Args:
        desk: of the photos.
        place: to serve at.
        how: the model and the tiles, in a line.
    """
    whose = "this computer" if place.is_private else "the computer that serves this page"
    where = f"Photos stay in the memory of {whose}."

    @ui.page("/", title=f"{desk.surveyor.thresholds.defect.plural.capitalize()} in photos")
    def page(client: Client) -> None:
        View(desk.open(client), f"/tabs/{client.id}", desk.limits, how, where, desk.surveyor.tiling.cell)

    app = routes(desk, place.names)
    ui.run_with(app, tailwind=False, reconnect_timeout=RECONNECT, show_welcome_message=False)
    config = uvicorn.Config(
        app, log_config=None, log_level="warning", access_log=False, server_header=False,
        ws="wsproto", ws_max_size=MESSAGE, timeout_graceful_shutdown=GRACE,
    )  # fmt: skip
    server = uvicorn.Server(config)
    desk.stopping = lambda: server.should_exit
    server.run(sockets=[place.socket])
