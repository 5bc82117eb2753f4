"""Files that are there whole or not at all."""

import uuid
from pathlib import Path


def write_text(file: Path, text: str) -> None:
    """Writes `text` under a temporary name of its own, then renames it; makes the folder."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f"{file.name}.{uuid.uuid4().hex}.tmp")
    temporary.write_text(text)
    temporary.replace(file)
