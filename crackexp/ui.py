"""Opens the MLflow UI for the store of the working folder: ``python -m crackexp.ui``."""

import contextlib
import os
import sys
from typing import Annotated, ClassVar

from omegaconf import DictConfig
from pydantic import Field

from crackexp.cli.main import run
from crackexp.config.checking import check, instantiate
from crackexp.config.settings import CommandConfig
from crackexp.tracking.logger import require_store
from crackexp.utils.errors import ConfigError
from crackexp.utils.progress import status
from crackexp.utils.store_uri import ui_words


class UiConfig(CommandConfig):
    """The config of ``python -m crackexp.ui``."""

    groups: ClassVar = ("paths", "tracking")
    port: Annotated[int, Field(ge=1, le=65535)]
    """The port of 127.0.0.1 to listen on."""


def ui(composed: DictConfig) -> None:
    """Prints the address of the experiment's runs, and replaces this process with ``mlflow ui``.

    The store of a copied folder is updated before.

    Args:
        composed: The config that Hydra composed from ``conf/ui.yaml``.

    Raises:
        UserError: The config has a mistake, or the store cannot be used.
    """
    cfg = check(composed, UiConfig)
    tracking = instantiate(cfg.tracking)
    uri = require_store(tracking, "Without a store there is nothing to show")
    if uri.startswith("http"):
        raise ConfigError(f"A tracking server shows its own pages. Open {uri} Received: tracking.uri={uri}")
    status("Opening the store")
    from mlflow import MlflowException

    from crackexp.tracking.store import answering, connect, save_runs_view
    from crackexp.tracking.view import runs_page

    client = connect(uri)
    with answering(uri):
        experiment = client.get_experiment_by_name(tracking.experiment)
    page = runs_page(experiment.experiment_id) if experiment else ""
    if experiment:
        with contextlib.suppress(MlflowException):  # a store that can only be read opens without the view
            page = save_runs_view(client, experiment).table
    status("")
    print(f"Look at it  http://127.0.0.1:{cfg.port}/{page}", flush=True)
    os.execv(sys.executable, [sys.executable, "-m", *ui_words(uri), "--port", str(cfg.port)])


if __name__ == "__main__":
    run(ui, "ui", UiConfig)
