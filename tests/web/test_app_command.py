"""``python -m crackexp.app``: what it refuses, whom it lets in, how it ends."""

import contextlib
import io
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import requests
from PIL import Image

from tests.conftest import Command
from tests.web.running import Served, served


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def stripe() -> bytes:
    """A light photo with a dark stripe."""
    photo = np.full((200, 300, 3), 230, np.uint8)
    photo[:, 120:200] = 20
    return png(photo)


def bomb(width: int, height: int) -> bytes:
    """The head of a PNG file that promises so many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


class Tab:
    """A page as a browser opens it, without its script."""

    def __init__(self, address: str) -> None:
        self.page = requests.get(address, timeout=30)
        found = re.search(r"/tabs/[0-9a-f-]{36}", self.page.text)
        assert found, self.page.text
        self.address = address + found.group()

    def send(self, name: str, data: bytes) -> requests.Response:
        return requests.post(f"{self.address}/photos", params={"name": name}, data=data, timeout=60)

    def send_in_vain(self, data: bytes) -> None:
        """Sends what the server ends before."""
        with contextlib.suppress(requests.RequestException):
            self.send("vain.png", data)

    def table(self, name: str) -> pd.DataFrame:
        answer = requests.get(f"{self.address}/{name}.csv", timeout=60)
        answer.raise_for_status()
        return pd.read_csv(io.StringIO(answer.text))


def test_photos_come_in_and_tables_and_pictures_go_out(page_served: Served) -> None:
    tab = Tab(page_served.address)
    for name, data in (("../../etc/<i>stripe.png", stripe()), ("notes.jpg", b"no photo")):
        assert tab.send(name, data).status_code == 204
    table = tab.table("photos")
    assert table["photo"].tolist() == ["../../etc/<i>stripe.png", "notes.jpg"]
    assert table["decision"][0] == "crack"
    assert table["threshold"][0] == 0.5
    assert table["longest_extent_mm"][0] == pytest.approx(table["longest_extent_px"][0] / 2, abs=0.3)
    assert table["reason"][1].startswith("not a JPEG, PNG")
    tiles = tab.table("tiles")
    assert len(tiles) == table["tiles"][0]
    assert set(tiles["photo"]) == {"../../etc/<i>stripe.png"}
    for kind, size in (("picture.jpg", (300, 200)), ("thumbnail.jpg", (144, 96)), ("heat.png", (120, 80))):
        answer = requests.get(f"{tab.address}/photos/1/{kind}", timeout=30)
        assert Image.open(io.BytesIO(answer.content)).size == size
    assert requests.get(f"{tab.address}/photos/1/../../etc/passwd", timeout=30).status_code == 404
    assert not list(page_served.folder.iterdir())
    assert requests.post(f"{tab.address}/photos/forget", timeout=30).status_code == 204
    assert tab.table("tiles").empty
    assert requests.get(f"{tab.address}/photos/1/picture.jpg", timeout=30).status_code == 404


def test_tabs_do_not_mix_and_what_is_none_is_not_found(page_served: Served) -> None:
    one, other = Tab(page_served.address), Tab(page_served.address)
    assert one.send("stripe.png", stripe()).status_code == 204
    assert len(one.table("photos")) == 1
    assert requests.get(f"{other.address}/photos/1/picture.jpg", timeout=30).status_code == 404
    other.address = page_served.address + "/tabs/00000000-0000-0000-0000-000000000000"
    assert other.send("stripe.png", stripe()).status_code == 404


def test_a_tab_takes_no_more_than_its_limits(page_served: Served) -> None:
    tab = Tab(page_served.address)
    assert tab.send("large.png", bytes(1_000_001)).status_code == 413
    endless = requests.post(
        f"{tab.address}/photos", params={"name": "endless.png"}, data=iter([bytes(600_000)] * 2), timeout=60
    )
    assert endless.status_code == 413
    for name, data in (
        ("a.png", bomb(60_000, 60_000)),
        ("b.png", bomb(1200, 900)),
        ("c.png", png(np.zeros((9, 9), "u1"))),
    ):
        assert tab.send(name, data).status_code == 204
    reasons = tab.table("photos")["reason"].tolist()
    told = ("more than 1,000,000", "more than 1,000,000", "9 x 9 pixels are too few")
    for reason, words in zip(reasons, told, strict=True):
        assert words in reason
    assert tab.send("one_more.png", stripe()).status_code == 409


@pytest.mark.parametrize(("host", "status"), [("evil.example", 400), ("localhost:1", 200), ("[::1]:8080", 200)])
def test_a_foreign_name_is_let_in_nowhere(page_served: Served, host: str, status: int) -> None:
    assert requests.get(page_served.address, headers={"Host": host}, timeout=30).status_code == status


def test_every_answer_forbids_the_browser_to_ask_elsewhere(page_served: Served) -> None:
    tab = Tab(page_served.address)
    assert tab.page.headers["Content-Security-Policy"].startswith("default-src 'self'")
    assert not re.search(r"(src|href)=.https?:", tab.page.text)


@pytest.mark.slow
@pytest.mark.parametrize(("stop", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_amid_a_look_frees_the_port_and_leaves_no_file(
    tmp_path: Path, cache: Path, model: str, stop: signal.Signals, code: int
) -> None:
    with served(tmp_path, cache, f"model={model}", "tile.size=16", "tile.overlap=0.9") as running:
        tab = Tab(running.address)
        minutes_of_tiles = threading.Thread(target=tab.send_in_vain, args=[png(np.zeros((1500, 1500), np.uint8))])
        minutes_of_tiles.start()
        time.sleep(2)
        assert running.stop(stop) == (code, "")
        minutes_of_tiles.join()
        with socket.create_server(("127.0.0.1", int(running.address.rpartition(":")[2]))):
            pass
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_an_address_writes_no_control_characters_on_the_terminal(tmp_path: Path, cache: Path, model: str) -> None:
    with served(tmp_path, cache, f"model={model}") as running:
        assert requests.get(f"{running.address}/%1b[2J", timeout=30).status_code == 404
        code, said = running.stop(signal.SIGINT)
    assert code == 130
    assert "\\x1b[2J not found" in said
    assert "\x1b" not in said


@pytest.mark.slow
def test_an_open_host_is_warned_of_called_by_any_name_and_opened_in_the_browser(
    tmp_path: Path, cache: Path, model: str
) -> None:
    browser = {"BROWSER": "/bin/sh -c 'echo %s > opened'"}
    with served(tmp_path, cache, f"model={model}", "host=0.0.0.0", "open_browser=true", **browser) as running:
        assert "Anybody who reaches this computer" in "".join(running.said)
        assert running.address.startswith("http://localhost:")
        address = running.address.replace("localhost", "127.0.0.1")
        answer = requests.get(address, headers={"Host": "laboratory.example"}, timeout=30)
        assert "the memory of the computer that serves this page" in answer.text
        assert (tmp_path / "opened").read_text().strip() == running.address


def test_a_port_in_use_is_refused_before_the_model_is_looked_for(command_here: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = command_here("app", "model=none", f"port={port}")
    assert done.returncode == 2
    assert "Another program listens on this port" in done.stderr
    assert f"Received: host=127.0.0.1 port={port}" in done.stderr


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("port=70000", ["port", "65535"]),
        ("limits.megapixels=1000", ["limits.megapixels", "178"]),
        ("limits.megabyte=1", ["'megabyte'", "limits", "'megabytes'"]),
        ("threshold=0", ["threshold", "greater than 0"]),
        ("host=no.such.host.invalid", ["host is not known", "host=127.0.0.1"]),
        ("host=192.0.2.1", ["host is not this computer"]),
    ],
)
def test_a_mistake_is_refused_in_a_sentence(command_here: Command, argument: str, words: list[str]) -> None:
    done = command_here("app", "model=none", argument)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def test_without_its_extra_it_says_what_to_install() -> None:
    script = (
        "import sys; sys.modules['nicegui'] = None; sys.argv = ['app', 'model=none']\n"
        "import crackexp.app as a; a.run(a.main, 'app', a.AppConfig)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'crackexp[app]'" in done.stderr


def test_each_page_of_a_file_is_looked_at(page_served: Served) -> None:
    stream = io.BytesIO()
    pages = [Image.open(io.BytesIO(stripe())).convert("RGB"), Image.new("RGB", (64, 64), "white")]
    pages[0].save(stream, "TIFF", save_all=True, append_images=pages[1:])
    tab = Tab(page_served.address)
    assert tab.send("scan.tif", stream.getvalue()).status_code == 204
    table = tab.table("photos").set_index("photo")
    assert set(table.index) == {"scan.tif", "scan.tif#2"}
    assert "one colour" in table.loc["scan.tif#2", "doubt"]
