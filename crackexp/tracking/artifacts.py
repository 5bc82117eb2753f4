"""Files of a run that crackexp reads again later, known by a digest that the run carries as a tag."""

import hashlib
import tempfile
from pathlib import Path

import mlflow
from mlflow.entities import Run

from crackexp.errors import DamagedFileError

READ_AGAIN = ("config/config.yaml", "data/manifest.csv", "data/mixed/", "test/predictions.csv", "result.json")
"""Artifact paths of such files, or of folders of them."""


def digest_tag(path: str, content: bytes) -> dict[str, str]:
    """Returns the tag by which `read_again` knows the artifact `path`; none for a file that is not read again."""
    return {f"sha256.{path}": hashlib.sha256(content).hexdigest()} if path.startswith(READ_AGAIN) else {}


def read_again(run: Run, path: str, uri: str) -> bytes:
    """Returns the content of a logged file.

    Args:
        run: that logged it; one of an earlier version has no digest of the file, which is then taken as it is.
        path: of the artifact.
        uri: of the store.

    Raises:
        MlflowException, OSError: there is no such file.
        DamagedFileError: it is not the file that was logged.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = mlflow.artifacts.download_artifacts(f"{run.info.artifact_uri}/{path}", dst_path=folder, tracking_uri=uri)
        content = Path(file).read_bytes()
    known = run.data.tags.get(f"sha256.{path}")
    if known not in (None, hashlib.sha256(content).hexdigest()):
        raise damaged(run, path, "its sha256 is not the one that was logged")
    return content


def damaged(run: Run, path: str, problem: str) -> DamagedFileError:
    """Returns the error that says that a logged file is not what it was."""
    reason = " ".join(problem.split())
    return DamagedFileError(
        f"The file {path} of a run is damaged: {reason}. Get it back from a copy of the store, or train the run anew. "
        f"Received: {run.info.run_id}"
    )
