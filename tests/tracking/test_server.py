"""A tracking server that does not answer is told before anything slow begins."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from crackexp.tracking import server
from crackexp.tracking.server import require_server
from crackexp.utils.errors import UserError
from tests.conftest import Command


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def refusing() -> str:
    """An address where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def answering() -> Iterator[str]:
    """The address of a server that answers every request with status 501."""
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("train", []),
        ("train", ["-m", "dropout=0.1,0.2"]),
        ("predict", ["model=latest", "input=."]),
        ("predict", ["model=models:/name/1", "input=."]),
        ("compare", ["latest"]),
        ("calibrate", ["model=latest", "dataset=synthetic"]),
    ],
)
def test_a_command_is_refused_where_no_server_listens(
    command_here: Command, refusing: str, command: str, words: list[str]
) -> None:
    done = command_here(command, *words, "tracking=server", f"tracking.uri={refusing}")
    assert done.returncode == 2, done.stderr
    assert "No tracking server answers" in done.stderr
    assert f"Received: tracking.uri={refusing}" in done.stderr
    assert not Path(".cache", "synthetic").exists()


def test_a_server_that_never_answers_is_told(silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "TIMEOUT", 0.1)
    with pytest.raises(UserError, match=r"within 0\.1 s at this address"):
        require_server(silent)


def test_any_answer_will_do_and_other_stores_are_not_asked(answering: str) -> None:
    require_server(answering)
    for uri in (None, "sqlite:///mlflow.db", "postgresql://127.0.0.1:9/mlflow", "databricks"):
        require_server(uri)
