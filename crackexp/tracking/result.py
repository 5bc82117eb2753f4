"""The file ``result.json`` of a run, which other programs read. One schema writes and reads it."""

import json
from pathlib import Path

from pydantic import BaseModel

RESULT = "result.json"
"""The name of the file in the folder of the run and among the artifacts of the store."""


class RunResult(BaseModel, extra="forbid"):
    """The result of a run.

    Attributes:
        run_id: The id of the run in the store; None where there is no store.
        model_uri: The address of the logged model; None where none was logged.
        metrics: The metrics by their names, such as ``test/accuracy``.
        seconds: The seconds that each section of the run took.
    """

    run_id: str | None = None
    model_uri: str | None = None
    metrics: dict[str, float] = {}
    seconds: dict[str, float] = {}

    def text(self) -> str:
        """Returns the content of the file."""
        return json.dumps(self.model_dump(), indent=2) + "\n"


def read_result(folder: Path) -> RunResult:
    """Returns the result that a run wrote to its folder."""
    return RunResult.model_validate_json((folder / RESULT).read_bytes())
