"""The server behind the page. Photos come in and are surveyed one by one; pictures and tables go out.

What belongs to a tab has the random id of NiceGUI's client in its address, which no other tab knows.
"""

import asyncio
import io
import logging
from collections.abc import AsyncIterator, Callable

import numpy as np
import pandas as pd
from fastapi import FastAPI, HTTPException, Request, Response
from nicegui import Client, ui
from starlette.requests import ClientDisconnect

from crackexp.data.images.headers import count_pages
from crackexp.data.images.pixels import UnusableImageError
from crackexp.data.images.windows import WholePhoto
from crackexp.predicting.inputs import page_name
from crackexp.predicting.predictor import MIN_SIDE
from crackexp.surveying.surveyor import Surveyor
from crackexp.utils.csv_text import csv_text
from crackexp.web.guard import OneLineFilter
from crackexp.web.server_address import ServerAddress
from crackexp.web.serving import guarded_app, http_server
from crackexp.web.session import Limits, Session, Stopped, analyze, photo_table, tile_table
from crackexp.web.view import TabPage

HELD = 8
"""The number of files of the largest size that fit into memory at once, from all tabs. More are sent again later."""
QUEUED = 8
"""The number of files that a tab may send at once; the page itself sends one after the other."""
RETRY = 3
"""The seconds after which a browser sends a file again that there was no memory for."""
RECONNECT = 60
"""The seconds after which a tab that is gone is forgotten."""
PICTURES = {"picture.jpg": "image/jpeg", "thumbnail.jpg": "image/jpeg", "heat.png": "image/png"}


class PhotoService:
    """Takes photos from all tabs and surveys them one at a time.

    Args:
        surveyor: The surveyor of the model.
        limits: The limits of what is taken.
        mm_per_px: The scale of the photos; see `PhotoResult.verdict`.

    Attributes:
        stopping: A function that says whether the server was told to stop.
    """

    def __init__(self, surveyor: Surveyor, limits: Limits, mm_per_px: float | None) -> None:
        self.surveyor = surveyor
        self.limits = limits
        self.stopping: Callable[[], bool] = lambda: False
        self._mm_per_px = mm_per_px
        self._sessions: dict[str, Session] = {}
        self._held = 0
        self._surveying = asyncio.Lock()

    def warm_up(self) -> None:
        """Surveys an empty photo, so that the first real one does not wait for the compiler."""
        self.surveyor.survey_photo(WholePhoto(np.zeros((MIN_SIDE, MIN_SIDE, 3), np.uint8)))

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
            HTTPException: There is none; the status is 404.
        """
        if tab not in self._sessions:
            raise HTTPException(404, "This page is closed.")
        return self._sessions[tab]

    async def take(self, session: Session, name: str, chunks: AsyncIterator[bytes]) -> None:
        """Receives a file and surveys it when its turn has come. Each tab has one file in work at a time.

        Raises:
            HTTPException: The session is full (status 409), sends too many files at once (429), or there is no memory
                for more files (503).
            ClientDisconnect: The browser has given up.
        """
        going = session.going()
        if session.sending >= QUEUED:
            raise HTTPException(429, f"A page sends at most {QUEUED} photos at once.")
        session.sending += 1
        try:
            async with session.receiving:
                if not session.room:
                    raise HTTPException(409, f"{self.limits.photos} photos are kept at once.")
                await self._receive(session, name, chunks, going)
        finally:
            session.sending -= 1

    async def _receive(
        self, session: Session, name: str, chunks: AsyncIterator[bytes], going: Callable[[], bool]
    ) -> None:
        data = bytearray()
        try:
            async for chunk in chunks:
                data += chunk
                self._held += len(chunk)
                if self._held > HELD * self.limits.bytes:
                    raise HTTPException(503, "Too many photos arrive at once.", {"Retry-After": str(RETRY)})
            async with self._surveying:
                await self._survey(session, name, bytes(data), going)
        finally:
            self._held -= len(data)

    async def _survey(self, session: Session, name: str, data: bytes, going: Callable[[], bool]) -> None:
        """Surveys each page of a file, as far as the session has room."""
        for page in range(await asyncio.to_thread(count_pages, io.BytesIO(data))):
            if going() and session.room:
                await self._survey_page(session, page_name(name, page), data, page, going)

    async def _survey_page(
        self, session: Session, name: str, data: bytes, page: int, going: Callable[[], bool]
    ) -> None:
        loop = asyncio.get_running_loop()

        def advance(share: float) -> None:
            if self.stopping() or not going():
                raise Stopped
            loop.call_soon_threadsafe(session.on_progress, share)

        pixels, scale = self.limits.pixels, self._mm_per_px
        try:
            photo = await asyncio.to_thread(analyze, self.surveyor, name, data, page, pixels, scale, advance)
        except UnusableImageError as error:
            session.leave_out(name, str(error))
        except MemoryError:
            session.leave_out(name, "it takes more memory than there is")
        except Stopped:
            return
        else:
            if going():
                session.keep(photo)


def routes(service: PhotoService, names: list[str]) -> FastAPI:
    """Returns the application without its page.

    Args:
        service: The service that takes the photos.
        names: The names that a browser may call it by; see `ServerAddress.names`.
    """
    app = guarded_app(names, service.limits.bytes)

    @app.post("/tabs/{tab}/photos")
    async def take(tab: str, name: str, request: Request) -> Response:
        try:
            await service.take(service.find(tab), name, request.stream())
        except ClientDisconnect:
            return Response(status_code=400)
        return Response(status_code=204)

    @app.post("/tabs/{tab}/photos/forget")
    async def forget(tab: str) -> Response:
        service.find(tab).clear()
        return Response(status_code=204)

    @app.get("/tabs/{tab}/photos/{number}/{file}")
    async def picture(tab: str, number: int, file: str) -> Response:
        photo = service.find(tab).photos.get(number)
        if photo is None or file not in PICTURES:
            raise HTTPException(404, "There is no such picture.")
        return Response(photo.pictures[file], media_type=PICTURES[file], headers={"Cache-Control": "no-store"})

    @app.get("/tabs/{tab}/photos.csv")
    async def photos(tab: str) -> Response:
        session = service.find(tab)
        return await _csv(photo_table, [*session.photos.values()], [*session.unread], session.thresholds)

    @app.get("/tabs/{tab}/tiles.csv")
    async def tiles(tab: str) -> Response:
        session = service.find(tab)
        return await _csv(tile_table, [*session.photos.values()], session.thresholds)

    return app


async def _csv(table: Callable[..., pd.DataFrame], *arguments: object) -> Response:
    text = await asyncio.to_thread(lambda: csv_text(table(*arguments)))
    return Response(text, media_type="text/csv", headers={"Content-Disposition": "attachment"})


def serve(service: PhotoService, address: ServerAddress, how: str) -> None:
    """Serves the page until a signal ends it, which is then raised again.

    Args:
        service: The service that takes the photos.
        address: The address to serve at.
        how: The model and the tiles, in a line.
    """
    whose = "this computer" if address.is_private else "the computer that serves this page"
    where = f"Photos stay in the memory of {whose}."

    @ui.page("/", title=f"{service.surveyor.thresholds.defect.plural.capitalize()} in photos")
    def page(client: Client) -> None:
        TabPage(service.open(client), f"/tabs/{client.id}", service.limits, how, where, service.surveyor.tiling.cell)

    app = routes(service, address.names)
    logging.getLogger("nicegui").addFilter(OneLineFilter())
    ui.run_with(app, tailwind=False, reconnect_timeout=RECONNECT, show_welcome_message=False)
    server = http_server(app)
    service.stopping = lambda: server.should_exit
    server.run(sockets=[address.socket])
