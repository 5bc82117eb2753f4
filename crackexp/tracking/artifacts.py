"""Files of a run that crackexp reads again later, known by a digest that the run carries as a tag."""

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
from mlflow.entities import Run
from sqlalchemy.exc import SQLAlchemyError

from crackexp.tracking.result import RESULT
from crackexp.utils.errors import DamagedFileError, UserError

READ_AGAIN = ("config/config.yaml", "data/manifest.csv", "data/mixed/", "test/predictions.csv", RESULT)
"""Artifact paths of such files, or of folders of them."""
DIGEST_TAG = "sha256."
"""What the tag of a digest begins with; the path of the artifact follows."""


def log_digest(path: str, file: Path | str) -> None:
    """Tags the open run with the digest by which `read_again` knows an artifact; a file that is not read has none.

    Args:
        path: The path of the artifact.
        file: The file that was logged, or the text.
    """
    if path.startswith(READ_AGAIN):
        content = file.encode() if isinstance(file, str) else file.read_bytes()
        mlflow.set_tag(f"{DIGEST_TAG}{path}", hashlib.sha256(content).hexdigest())


@contextmanager
def reaching(place: object) -> Iterator[None]:
    """Turns what the client of an artifact store raises in the `with` block into an MlflowException.

    MLflow hands on what clients raise, such as boto3's own errors, or an ImportError where boto3 is not installed.

    Args:
        place: of the artifacts.
    """
    try:
        yield
    except (mlflow.MlflowException, SQLAlchemyError, OSError, UserError):
        raise
    except Exception as error:  # of any of the clients that MLflow has
        raise mlflow.MlflowException(
            f"the files at {place} cannot be read ({type(error).__name__}: {error})"
        ) from error


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
    with tempfile.TemporaryDirectory() as folder, reaching(run.info.artifact_uri):
        file = mlflow.artifacts.download_artifacts(f"{run.info.artifact_uri}/{path}", dst_path=folder, tracking_uri=uri)
        content = Path(file).read_bytes()
    known = run.data.tags.get(f"{DIGEST_TAG}{path}")
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
