"""Runs of a store, read by their id."""

from dataclasses import dataclass
from io import BytesIO

import mlflow
import pandas as pd
from mlflow.entities import Run
from sqlalchemy.exc import SQLAlchemyError

from crackexp.data.index import PARTS
from crackexp.tracking.artifacts import damaged, reaching, read_again
from crackexp.tracking.store import NoStoreError, connect, unusable
from crackexp.utils.errors import UserError


@dataclass(frozen=True)
class LoggedRun:
    """The config and the state of a run.

    Attributes:
        status: The status: RUNNING, FINISHED, FAILED or KILLED.
        config: The resolved config in YAML; None where the run logged none.
        trained: Whether the run has logged an epoch.
    """

    status: str
    config: str | None
    trained: bool


def training_digests(run_id: str | None, uri: str | None) -> set[str] | None:
    """Returns the digests of the training and validation images of a run.

    Args:
        run_id: The id of a training run; None where it is not known.
        uri: The address of the store; None where there is none.

    Returns:
        The digests, or None where the store has no manifest of the split of the run.

    Raises:
        DamagedFileError: The manifest is not the one that was logged.
    """
    if run_id is None or uri is None:
        return None
    try:
        run = connect(uri).get_run(run_id)
        with reaching(run.info.artifact_uri):
            mixed = mlflow.artifacts.list_artifacts(run_id=run_id, artifact_path="data/mixed")
        tables = {path: read_again(run, path, uri) for path in ("data/manifest.csv", *(file.path for file in mixed))}
    except (mlflow.MlflowException, NoStoreError, OSError):
        return None
    return set().union(*(_trained_on(run, path, table) for path, table in tables.items()))


def read_split(run: Run, path: str, table: bytes) -> pd.DataFrame:
    """Returns a table with a row for each image of a logged manifest: split and digest.

    The split is "train" where the images were not split.

    Raises:
        DamagedFileError: The file holds no such table.
    """
    try:
        rows = pd.read_csv(BytesIO(table), dtype=str, keep_default_na=False, encoding_errors="surrogateescape")
    except ValueError as error:
        raise damaged(run, path, str(error)) from error
    parts = rows["split"] if "split" in rows else pd.Series("train", rows.index)
    if "digest" not in rows or not rows["digest"].str.fullmatch("[ -~]+").all() or not parts.isin(PARTS).all():
        raise damaged(run, path, "it has rows without a digest of an image, or without a part of the split")
    return pd.DataFrame({"split": parts, "digest": rows["digest"]})


def _trained_on(run: Run, path: str, table: bytes) -> set[str]:
    rows = read_split(run, path, table)
    return set(rows["digest"][rows["split"] != "test"])


def find_run(run_id: str, uri: str) -> LoggedRun:
    """Returns the run `run_id` of the store at `uri`.

    Raises:
        UserError: There is no such run, the store cannot be reached, or the config is not the one that was logged.
    """
    unknown = (
        f"The store at {uri} holds no such run. Type resume=RUN_ID as printed when the run was interrupted, in the "
        f"folder where it was started, or add tracking.uri=URI. Received: resume={run_id}"
    )
    try:
        run = connect(uri).get_run(run_id)
        with reaching(run.info.artifact_uri):
            files = mlflow.artifacts.list_artifacts(run_id=run_id, artifact_path="config")
        logged = "config/config.yaml" in [file.path for file in files]
        config = read_again(run, "config/config.yaml", uri).decode() if logged else None
    except NoStoreError as error:
        raise UserError(unknown) from error
    except mlflow.MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise UserError(unknown) from error
        raise unusable(uri, error) from error
    except (SQLAlchemyError, OSError) as error:
        raise unusable(uri, error) from error
    return LoggedRun(run.info.status, config, "train/loss" in run.data.metrics)
