"""Addresses of registered models, such as ``models:/NAME@champion``, which are checked before MLflow is imported."""

import os
import re
import sqlite3
from contextlib import closing
from pathlib import Path

from crackexp.config.options import suggest
from crackexp.tracking.stored_runs import read_only
from crackexp.utils.errors import ConfigError

ADDRESS = re.compile(r"models:/(?P<name>[^/@]+)(/(?P<version>[0-9]+)|@(?P<alias>[^/@]+))")
"""The form of an address that names a version by its number or by an alias."""


def require_registered(address: str, file: Path, received: str) -> None:
    """Refuses the address of a registered model that a local store does not hold.

    Addresses of other forms are left to MLflow, and so are all where ``MLFLOW_REGISTRY_URI`` names another registry.

    Args:
        address: The address that the user typed.
        file: The database of the store.
        received: The input of the user, for the message.

    Raises:
        ConfigError: There is no such model, version or alias.
        sqlite3.Error: The database is not one of MLflow.
    """
    match = ADDRESS.fullmatch(address)
    if match is None or os.environ.get("MLFLOW_REGISTRY_URI"):
        return
    name, version, alias = match["name"], match["version"], match["alias"]
    with closing(read_only(file)) as connection:
        names = _column(connection, "SELECT name FROM registered_models")
        aliases = _column(connection, "SELECT alias FROM registered_model_aliases WHERE name = ?", name)
        versions = _column(
            connection,
            "SELECT version FROM model_versions WHERE name = ? AND current_stage <> 'Deleted_Internal'",
            name,
        )
    if name not in names:
        problem = f"no model is registered as {name}.{suggest(name, names)}"
    elif alias and alias not in aliases:
        problem = f"no version of {name} has the alias {alias}.{suggest(alias, aliases)}"
    elif version and version not in versions:
        problem = f"{name} has no version {version}.{suggest(version, versions)}"
    else:
        return
    raise ConfigError(f"The store at {file} holds no such model: {problem} {received}")


def _column(connection: sqlite3.Connection, query: str, *values: str) -> list[str]:
    return [str(value) for (value,) in connection.execute(query, values)]
