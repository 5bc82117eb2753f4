"""Addresses of MLflow stores: which ones can be used, and the file of a local store."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote

SQLITE = "sqlite:///"
SERVER = re.compile(r"https?://[^\s/]\S*|(postgresql|mysql|mssql)(\+\w+)?://\S+|databricks(://\S+)?")
FORMS = "sqlite:///FILE, http://HOST:PORT, https://HOST, postgresql://, mysql://, mssql:// or databricks"


def database_file(uri: str) -> Path | None:
    """Returns the file of a local store, or None where the store is in a server or another database."""
    return Path(uri.removeprefix(SQLITE)) if uri.startswith(SQLITE) else None


def ui_words(uri: str) -> list[str]:
    """Returns the words of the command that opens the MLflow UI for a store without a server."""
    return ["mlflow", "ui", "--backend-store-uri", uri]


def ui_lines(uri: str, pages: Mapping[str, str]) -> list[str]:
    """Returns lines that say how to open pages of the MLflow UI, and where there is no server how to start it before.

    Args:
        uri: The address of the store.
        pages: The addresses of the pages, relative to the root of the UI, by what they are called.

    Example:

    >>> for line in ui_lines("sqlite:///mlflow.db", {"Look at it": "#/experiments/1"}):
    ...     print(line)
    Open it     mlflow ui --backend-store-uri sqlite:///mlflow.db
    Look at it  http://127.0.0.1:5000/#/experiments/1
    """
    serve, root = {"Open it": shlex.join(ui_words(uri))}, "http://127.0.0.1:5000"
    if uri.startswith("http"):
        serve, root = {}, uri.rstrip("/")
    lines = serve | {name: f"{root}/{page}" for name, page in pages.items()}
    return [f"{name:<12}{words}" for name, words in lines.items()]


def uri_problem(uri: str) -> str | None:
    """Returns why MLflow cannot use the store at `uri`, as the predicate of a sentence, or None where it can."""
    file = database_file(uri)
    if file is None:
        return None if SERVER.fullmatch(uri) else f"must be {FORMS}"
    if uri == SQLITE or file.name in ("", ":memory:"):
        return f"must name a file: a store in memory is lost. It must be {FORMS}"
    return path_problem(file)


def path_problem(file: Path) -> str | None:
    """Returns why the path of a SQLite file cannot be part of an address, or None where it can.

    SQLAlchemy decodes the address that MLflow passes to it, while MLflow itself does not decode it when it creates the
    folder. No encoding is right for both, so a name that decoding would change is refused.
    """
    for part in file.absolute().parts:
        if "?" in part:
            return _misread(part, "?", "the beginning of options")
        if escape := re.search(r"%[0-9A-Fa-f]{2}", part):
            return _misread(part, escape.group(), repr(unquote(escape.group())))
        if re.search("[\ud800-\udfff]", part):
            return _misread(part, "bytes that are no UTF-8", "another name")
    return None


def _misread(part: str, character: str, meaning: str) -> str:
    shown = part.encode(errors="backslashreplace").decode()
    return f"must not contain '{shown}': {character} in it is read as {meaning}. Rename it, or name another place"
