"""Runs of a store, found again by their id."""

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
    """A run as it was begun, and how it stands.

    Attributes:
        status: RUNNING, FINISHED, FAILED or KILLED.
        config: the resolved config in YAML; None where the run logged none.
        trained: whether it logged an epoch.
    """

    status: str
    config: str | None
    trained: bool


def training_digests(run_id: str | None, uri: str | None) -> set[str] | None:
    """Returns the digests of the images that a run has trained on or chosen by, train and val.

    Args:
        run_id: of a training run; None where it is not known.
        uri: of the store.

    Returns:
        None where the store has no manifest of the run's split.

    Raises:
        DamagedFileError: the manifest is not the one that was logged.
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
    """Returns the images of a logged manifest, a row each: digest and, where the images were split, split.

    Raises:
        DamagedFileError: it is no such table.
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
        UserError: there is no such run, the store cannot be reached, or the config is not the one that was logged.
    """
    unknown = (
        f"The store at {uri} holds no such run. Type resume=RUN_ID as printed when the run was interrupted, in the "
        f"folder where it was started, or add tracking.uri=URI. Received: resume={run_id}"
    )
    try:
        run = connect(uri).get_run(run_id)
        with reaching(run.info.artifact_uri):
            files = mlflow.artifacts.list_artifacts(run_id=run_id, artifact_path="config")
        found = "config/config.yaml" in [file.path for file in files]
        config = read_again(run, "config/config.yaml", uri).decode() if found else None
    except NoStoreError as error:
        raise UserError(unknown) from error
    except mlflow.MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise UserError(unknown) from error
        raise unusable(uri, error) from error
    except (SQLAlchemyError, OSError) as error:
        raise unusable(uri, error) from error
    return LoggedRun(run.info.status, config, "train/loss" in run.data.metrics)
