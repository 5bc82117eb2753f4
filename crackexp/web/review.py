"""The page of a review: one patch at a time is shown, and answered by a key."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from fastapi import FastAPI, HTTPException, Response
from fastapi.responses import FileResponse, HTMLResponse
from pydantic import BaseModel

from crackexp.reviewing.answers import Answers
from crackexp.web.server_address import ServerAddress
from crackexp.web.serving import guarded_app, http_server

PAGE = Path(__file__).with_name("review.html")
MOST_BYTES = 10_000
"""The largest request: an answer is a word."""


class Answer(BaseModel):
    """What a browser sends."""

    answer: str


def review_app(answers: Answers, names: list[str], next_step: str, end: Callable[[], None]) -> FastAPI:
    """Returns the application.

    Args:
        answers: The answers to the proposal, those that were given before among them.
        names: The names that a browser may call it by; see `ServerAddress.names`.
        next_step: The command to type when all patches are answered.
        end: A function that ends the server.
    """
    app = guarded_app(names, MOST_BYTES)
    proposal = answers.proposal

    @app.get("/")
    async def page() -> HTMLResponse:
        return HTMLResponse(PAGE.read_text(encoding="utf-8"))

    @app.get("/review.json")
    async def review() -> dict[str, Any]:
        return {
            "question": f"Does this patch show {proposal.defect.phrase}?",
            "model": proposal.model,
            "folder": str(answers.folder),
            "next": next_step,
            "choices": answers.choices,
            "patches": [
                {
                    "photo": patch.photo,
                    "box": patch.box,
                    "probability": patch.probability,
                    "frame": patch.frame,
                    "answer": answers.given.get(number),
                }
                for number, patch in enumerate(proposal.patches)
            ],
        }

    @app.get("/pictures/{number}/{kind}")
    async def picture(number: int, kind: Literal["patch", "surroundings"]) -> FileResponse:
        if not 0 <= number < len(proposal.patches):
            raise HTTPException(404, "There is no such patch.")
        patch = proposal.patches[number]
        file = answers.folder / (patch.file if kind == "patch" else patch.surroundings)
        if not file.is_file():
            raise HTTPException(404, f"The picture {file} is gone.")
        return FileResponse(file, headers={"Cache-Control": "no-cache"})

    @app.put("/answers/{number}")
    async def answer(number: int, body: Answer) -> Response:
        try:
            answers.give(number, body.answer)
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


def serve_review(answers: Answers, address: ServerAddress, next_step: str) -> None:
    """Serves the page until the person ends it, or a signal does, which is then raised again; see `review_app`."""

    def end() -> None:
        server.should_exit = True

    server = http_server(review_app(answers, address.names, next_step, end))
    server.run(sockets=[address.socket])
