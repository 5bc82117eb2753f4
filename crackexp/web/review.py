"""The page of a review: one patch or region at a time is shown, and answered by a key."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Protocol

from fastapi import FastAPI, HTTPException, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, NonNegativeInt

from crackexp.utils.names import visible
from crackexp.web.server_address import ServerAddress
from crackexp.web.serving import guarded_app, http_server

PAGE = Path(__file__).with_name("review.html")
MOST_BYTES = 10_000
"""The largest request: an answer is a word, and a comment some sentences."""


class Answer(BaseModel):
    """What a browser sends."""

    answer: str | None
    comment: str = ""


class Questions(Protocol):
    """What is asked, and where answers go; see `Answers` and `RegionReview`."""

    folder: Path
    question: str
    about: str
    choices: tuple[str, ...]
    comments: bool

    def items(self) -> list[dict[str, Any]]: ...

    def picture(self, number: int, kind: str) -> bytes: ...

    def give(self, number: int, answer: str | None, comment: str) -> None: ...


def review_app(questions: Questions, names: list[str], next_step: str, end: Callable[[], None]) -> FastAPI:
    """Returns the application.

    Args:
        questions: The questions, with the answers that were given before.
        names: The names that a browser may call it by; see `ServerAddress.names`.
        next_step: What to do when all is answered: a command, or the name of a file.
        end: A function that ends the server.
    """
    app = guarded_app(names, MOST_BYTES)

    @app.get("/")
    async def page() -> HTMLResponse:
        return HTMLResponse(PAGE.read_text(encoding="utf-8"))

    @app.get("/review.json")
    async def review() -> dict[str, Any]:
        return {
            "question": questions.question,
            "about": questions.about,
            "folder": visible(str(questions.folder)),
            "next": next_step,
            "choices": questions.choices,
            "comments": questions.comments,
            "items": questions.items(),
        }

    @app.get("/pictures/{number}/{kind}")
    async def picture(number: NonNegativeInt, kind: Literal["patch", "surroundings"]) -> Response:
        try:
            data = await asyncio.to_thread(questions.picture, number, kind)
        except IndexError:
            raise HTTPException(404, "There is no such picture.") from None
        except OSError as error:
            raise HTTPException(404, f"The picture is gone ({error.strerror}).") from None
        media = "image/png" if data.startswith(b"\x89PNG") else "image/jpeg"
        return Response(data, media_type=media, headers={"Cache-Control": "no-store"})

    @app.put("/answers/{number}")
    async def answer(number: int, body: Answer) -> Response:
        try:
            questions.give(number, body.answer, body.comment)
        except ValueError as error:
            raise HTTPException(422, str(error)) from None
        except OSError as error:
            raise HTTPException(507, f"The answer cannot be written ({error.strerror or error}).") from None
        return Response(status_code=204)

    @app.post("/end")
    async def finish() -> Response:
        end()
        return Response(status_code=204)

    return app


def serve_review(questions: Questions, address: ServerAddress, next_step: str) -> None:
    """Serves the page until the person ends it, or a signal does, which is then raised again; see `review_app`."""

    def end() -> None:
        server.should_exit = True

    server = http_server(review_app(questions, address.names, next_step, end))
    server.run(sockets=[address.socket])
