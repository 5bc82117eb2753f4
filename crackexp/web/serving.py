"""What every page of crackexp is served by: an application behind the guard, and the server that runs it."""

import uvicorn
from fastapi import FastAPI
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from crackexp.web.guard import (
    BODY_RATE,
    BODY_WINDOW,
    CONNECTIONS,
    HEAD_BYTES,
    RequestProtocol,
    ResponseHeadersMiddleware,
    SameOriginMiddleware,
    SlowBodyMiddleware,
)

GRACE = 2
"""The seconds in which connections may end when the server stops."""
MESSAGE = 2**20
"""The largest message of a browser about its controls, in bytes."""
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' "
    "'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""The headers of every response: the browser asks no other server, and shows the page within no other page."""


def guarded_app(names: list[str], most_bytes: int) -> FastAPI:
    """Returns an application without routes, behind what guards it from slow and foreign clients.

    Args:
        names: The names that a browser may call it by; see `ServerAddress.names`.
        most_bytes: The largest body of a request, in bytes.
    """
    app = FastAPI(openapi_url=None)
    app.add_middleware(SlowBodyMiddleware, rate=BODY_RATE, window=BODY_WINDOW)
    app.add_middleware(RequestBodyLimitMiddleware, max_body_size=most_bytes)
    app.add_middleware(SameOriginMiddleware)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=names, www_redirect=False)
    app.add_middleware(ResponseHeadersMiddleware, headers=HEADERS)
    return app


def http_server(app: FastAPI) -> uvicorn.Server:
    """Returns a server, which runs until a signal ends it, and raises the signal again then."""
    config = uvicorn.Config(
        app, log_config=None, log_level="error", access_log=False, server_header=False, http=RequestProtocol,
        h11_max_incomplete_event_size=HEAD_BYTES, limit_concurrency=CONNECTIONS,
        ws="wsproto", ws_max_size=MESSAGE, timeout_graceful_shutdown=GRACE,
    )  # fmt: skip
    return uvicorn.Server(config)
