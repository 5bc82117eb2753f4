"""Twenty clients at once, good ones among slow and wrong ones: the good are answered rightly, and the server lives."""

import base64
import contextlib
import io
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import requests
from PIL import Image

from tests.faults.conftest import Tally
from tests.predicting.conftest import classifier, model
from tests.web.running import served
from tests.web.test_app_command import Tab

__all__ = ["classifier", "model"]

pytestmark = pytest.mark.slow
CLIENTS = 20
TURNS = 3
SECONDS = 120
"""In which a good request is answered, however busy the computer is with others."""


def photo(shade: int) -> bytes:
    """Returns a PNG file of one shade, which the model takes for cracked where it is dark."""
    stream = io.BytesIO()
    Image.fromarray(np.full((40, 40, 3), shade, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


@contextlib.contextmanager
def hostile(address: str, path: str) -> Iterator[None]:
    """Keeps clients at the server that send parts of requests, drip by drip, and what is no request."""
    place = urlsplit(address)
    head = f"POST {path} HTTP/1.1\r\nHost: {place.netloc}\r\n"
    beginnings = [
        "",
        "POST ",
        head,
        head + "Content-Length: 100000\r\n\r\n",
        head + "Transfer-Encoding: chunked\r\n\r\n",
        head + "X: " + 9000 * "x",
        "\x16\x03\x01\x02",
    ]
    ended = threading.Event()

    def drip(connection: socket.socket, beginning: str) -> None:
        with contextlib.suppress(OSError):
            connection.sendall(beginning.encode("latin-1"))
            while not ended.wait(0.5):
                connection.sendall(b"x")

    with contextlib.ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(3 * len(beginnings)))
        for beginning in 3 * beginnings:
            connection = socket.create_connection((place.hostname, place.port), timeout=10)
            stack.enter_context(connection)
            pool.submit(drip, connection, beginning)
        stack.callback(ended.set)
        yield


def at_once(one: Callable[[int], bool], tally: Tally, kind: str) -> None:
    """Lets twenty clients do `one` several times, each with numbers of its own."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        for right in pool.map(one, range(CLIENTS * TURNS)):
            tally(kind, right)


def test_the_page_answers_good_clients_among_slow_and_wrong_ones(
    cache: Path, model: str, tally: Tally, tmp_path: Path
) -> None:
    with served(tmp_path, cache, f"model={model}", "tile.size=40") as running:
        slow = Tab(running.address)
        path = slow.address.removeprefix(running.address) + "/photos?name=slow.png"

        def good(number: int) -> bool:
            begun = time.monotonic()
            tab = Tab(running.address)
            shade = 20 if number % 2 else 230
            sent = requests.post(
                f"{tab.address}/photos", photo(shade), params={"name": f"{number}.png"}, timeout=SECONDS
            )
            table = tab.table("photos")
            right = (sent.status_code, table["photo"].astype(str).tolist(), table["decision"].tolist())
            expected = (204, [f"{number}.png"], ["crack" if number % 2 else "sound"])
            return right == expected and time.monotonic() - begun < SECONDS

        def wrong(number: int) -> bool:
            address = slow.address
            asked = [
                lambda: requests.put(f"{address}/photos", timeout=SECONDS),
                lambda: requests.post(f"{address}/photos", b"x", timeout=SECONDS),
                lambda: requests.post(f"{address}/photos/forget", headers={"Origin": "http://evil"}, timeout=SECONDS),
                lambda: requests.get(f"{address}/photos/x/y", timeout=SECONDS),
                lambda: requests.get(f"{running.address}/_nicegui_ws/socket.io/?EIO=9", timeout=SECONDS),
            ]
            return 400 <= asked[number % len(asked)]().status_code < 500

        with hostile(running.address, path):
            at_once(good, tally, "Clients of the page, good")
            at_once(wrong, tally, "Clients of the page, wrong")
        assert running.process.poll() is None
        assert good(1)


def test_a_served_model_answers_good_clients_among_slow_and_wrong_ones(
    model: str, serve_mlflow: Callable[..., str], tally: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    address = serve_mlflow("models serve", "--model-uri", model, "--env-manager", "local")
    ask = f"{address}/invocations"

    def good(number: int) -> bool:
        shade = 20 if number % 2 else 230
        inputs = [base64.b64encode(photo(shade)).decode()] * (1 + number % 3)
        answer = requests.post(ask, json={"inputs": inputs}, timeout=SECONDS)
        assert answer.status_code == 200, answer.text[-3000:]
        decisions = [row["decision"] for row in answer.json()["predictions"]]
        return answer.status_code == 200 and decisions == ["crack" if number % 2 else "sound"] * len(inputs)

    def wrong(number: int) -> bool:
        kinds = ["text/plain", "application/xml", "application/json", "image/png"]
        headers = {"Content-Type": kinds[number % len(kinds)]}
        answer = requests.post(ask, b"{no json", headers=headers, timeout=SECONDS)
        return 400 <= answer.status_code < 500

    with hostile(address, "/invocations"):
        at_once(good, tally, "Clients of a served model, good")
        at_once(wrong, tally, "Clients of a served model, wrong")
    assert good(1)
