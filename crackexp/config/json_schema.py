"""JSON Schemas of the YAML files of a config, for editors: they complete keys, show what each is, and mark mistakes.

``python -m crackexp.config.json_schema FOLDER`` writes ``FOLDER/GROUP.json`` for the options of each config group.
"""

import json
import sys
from pathlib import Path
from typing import Any

from crackexp.config.contracts import CONTRACTS
from crackexp.config.options import packaged_targets
from crackexp.config.renamed import RENAMED
from crackexp.config.schema import schema_of
from crackexp.config.settings import SETTINGS
from crackexp.config.types import Strict
from crackexp.utils.files import write_text

OPEN: dict[str, Any] = {"type": "string", "pattern": r"\$\{|^\?\?\?$"}
"""An interpolation, or a value that is still missing: it may stand in the place of any value."""


def group_schema(group: str) -> dict[str, Any]:
    """Makes the JSON Schema of the files of a config group.

    Args:
        group: The name of the group, such as ``backbone``.

    Returns:
        A schema that takes each of the packaged classes with the keys of its constructor, and any other class with
        any keys. No key is required, since an option may inherit it from another one.

    Example:

    >>> schema = group_schema("policy")["allOf"][0]["then"]
    >>> schema["properties"]["recall"]["description"]
    'The share of the cracks that are to be found, such as 0.99; null for any.'
    """
    if group in SETTINGS:
        schema = _table(SETTINGS[group])
    else:
        targets = [target for target in sorted(packaged_targets(group)) if target not in RENAMED]
        known = {"allOf": [_if_target(target) for target in targets]} if targets else {}
        node: dict[str, Any] = {"type": "object", **known}
        named = {"type": "object", "additionalProperties": {"anyOf": [node, {"type": "null"}]}}
        contract = CONTRACTS[group]
        schema = named if contract.named else {**node, "properties": dict.fromkeys(contract.tables, named)}
    schema.setdefault("properties", {})["defaults"] = {"type": "array"}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": group, **schema}


def _if_target(target: str) -> dict[str, Any]:
    """Returns a schema that holds a table to the constructor of a class where the table names that class."""
    condition = {"properties": {"_target_": {"const": target}}, "required": ["_target_"]}
    return {"if": condition, "then": _table(schema_of(target))}


def _table(model: type[Strict]) -> dict[str, Any]:
    schema = model.model_json_schema(by_alias=True)
    properties = {
        name: {"description": value.pop("description", ""), "anyOf": [value, OPEN]}
        for name, value in schema.get("properties", {}).items()
    }
    properties["defaults"] = {"type": "array"}
    closed = schema.get("additionalProperties", True)
    return {"type": "object", "properties": properties, "additionalProperties": closed}


def main() -> None:
    """Writes the schemas into the folder that is named on the command line."""
    if len(sys.argv) != 2:
        sys.exit("Type python -m crackexp.config.json_schema FOLDER.")
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for group in [*SETTINGS, *CONTRACTS]:
        write_text(folder / f"{group}.json", json.dumps(group_schema(group), indent=2) + "\n")


if __name__ == "__main__":
    main()
