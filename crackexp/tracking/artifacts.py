"""Files of a run that crackexp reads again later and checks by a digest, which is a tag of the run."""

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
"""The artifact paths of such files, or of folders with such files."""
DIGEST_TAG = "sha256."
"""The beginning of the tag of a digest, which the path of the artifact follows."""


def log_digest(path: str, file: Path | str) -> None:
    """Tags the open run with the digest of an artifact, which `read_again` checks. Other artifacts get no tag.

    Args:
        path: The path of the artifact.
        file: The logged file, or its text.
    """
    if path.startswith(READ_AGAIN):
        content = file.encode() if isinstance(file, str) else file.read_bytes()
        mlflow.set_tag(f"{DIGEST_TAG}{path}", hashlib.sha256(content).hexdigest())


@contextmanager
def reaching(place: object) -> Iterator[None]:
    """Turns exceptions of the client of an artifact store in the `with` block into an MlflowException.

    MLflow passes on what clients raise, such as errors of boto3, or an ImportError where boto3 is not installed.

    Args:
        place: The location of the artifacts, for the message.
    """
    try:
        yield
    except (mlflow.MlflowException, SQLAlchemyError, OSError, UserError):
        raise
    except Exception as error:  # each client of MLflow raises exceptions of its own
        raise mlflow.MlflowException(
            f"the files at {place} cannot be read ({type(error).__name__}: {error})"
        ) from error


def read_again(run: Run, path: str, uri: str) -> bytes:
    """Returns the content of a logged file.

    Args:
        run: The run that logged the file. Runs of early versions have no digest of it, and it is not checked then.
        path: The path of the artifact.
        uri: The address of the store.

    Raises:
        MlflowException, OSError: The file does not exist.
        DamagedFileError: The file is not the one that was logged.
    """
    with tempfile.TemporaryDirectory() as folder, reaching(run.info.artifact_uri):
        file = mlflow.artifacts.download_artifacts(f"{run.info.artifact_uri}/{path}", dst_path=folder, tracking_uri=uri)
        content = Path(file).read_bytes()
    known = run.data.tags.get(f"{DIGEST_TAG}{path}")
    if known not in (None, hashlib.sha256(content).hexdigest()):
        raise damaged(run, path, "its sha256 is not the one that was logged")
    return content


def damaged(run: Run, path: str, problem: str) -> DamagedFileError:
    """Returns the error which says that a logged file has changed."""
    reason = " ".join(problem.split())
    return DamagedFileError(
        f"The file {path} of a run is damaged: {reason}. Restore it from a copy of the store, or train again. "
        f"Received: {run.info.run_id}"
    )
