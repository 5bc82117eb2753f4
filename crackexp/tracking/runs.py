"""Runs of a store, found again by their id."""

import csv
from dataclasses import dataclass
from io import StringIO

import mlflow
from sqlalchemy.exc import SQLAlchemyError

from crackexp.errors import UserError
from crackexp.tracking.store import NoStoreError, connect, unusable


@dataclass(frozen=True)
class LoggedRun:
    """A run as it was begun, and how it stands.

    Attributes:
        status: RUNNING, FINISHED, FAILED or KILLED.
        config: the resolved config in YAML; None where the run logged none.
    """

    status: str
    config: str | None


def training_digests(run_id: str | None, uri: str | None) -> set[str] | None:
    """Returns the digests of the images that a run has trained on or chosen by, train and val.

    Args:
        run_id: of a training run; None where it is not known.
        uri: of the store.

    Returns:
        None where the store has no manifest of the run's split.
    """
    if run_id is None or uri is None:
        return None
    try:
        folder = connect(uri).get_run(run_id).info.artifact_uri
        manifest = mlflow.artifacts.load_text(f"{folder}/data/manifest.csv")
        mixed = mlflow.artifacts.list_artifacts(run_id=run_id, artifact_path="data/mixed")
        tables = [manifest, *(mlflow.artifacts.load_text(f"{folder}/{file.path}") for file in mixed)]
    except (mlflow.MlflowException, NoStoreError, OSError):
        return None
    rows = (row for table in tables for row in csv.DictReader(StringIO(table)))
    return {row["digest"] for row in rows if row.get("split") != "test"}


def find_run(run_id: str, uri: str) -> LoggedRun:
    """Returns the run `run_id` of the store at `uri`.

    Raises:
        UserError: there is no such run, or the store cannot be reached.
    """
    unknown = (
        f"The store at {uri} holds no such run. Type resume=RUN_ID as printed when the run was interrupted, in the "
        f"folder where it was started, or add tracking.uri=URI. Received: resume={run_id}"
    )
    try:
        info = connect(uri).get_run(run_id).info
        files = mlflow.artifacts.list_artifacts(run_id=run_id, artifact_path="config")
        found = "config/config.yaml" in [file.path for file in files]
        config = mlflow.artifacts.load_text(f"{info.artifact_uri}/config/config.yaml") if found else None
    except NoStoreError as error:
        raise UserError(unknown) from error
    except mlflow.MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise UserError(unknown) from error
        raise unusable(uri, error) from error
    except (SQLAlchemyError, OSError) as error:
        raise unusable(uri, error) from error
    return LoggedRun(info.status, config)
