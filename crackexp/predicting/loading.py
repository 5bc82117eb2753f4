"""Loads the logged model that a command uses."""

from pathlib import Path

from omegaconf import DictConfig

from crackexp.config.checking import instantiate
from crackexp.inference.compilation import keep_programs, set_precision
from crackexp.tracking.models import LoggedModel, load
from crackexp.tracking.stored_runs import RUN_ID, open_runs, short
from crackexp.utils.names import on_one_line
from crackexp.utils.progress import status


def open_model(cfg: DictConfig, key: str = "model") -> LoggedModel:
    """Loads the model that the key `key` of a checked config names, after setting up precision and compilation.

    Raises:
        UserError: The model cannot be loaded; see `load`.
    """
    status("Loading the model")
    set_precision("float32")
    keep_programs(Path(cfg.paths.cache))
    return load(cfg[key], instantiate(cfg.tracking).store, key)


def model_name(cfg: DictConfig) -> str:
    """Returns the name of a model for people, such as "dropout=0.3 (0a6e8d3c)": that of its run, with the short id.

    Args:
        cfg: A config that `with_model` has returned. Its key `model` is the id of a run, or an address or a folder,
            which are shown as they are.

    Raises:
        UserError: The store cannot be read.
    """
    store = instantiate(cfg.tracking).store
    if store is not None and RUN_ID.fullmatch(cfg.model):
        with open_runs(store) as runs:
            for run in runs.with_id(cfg.model):
                return f"{run.shown_name} ({short(run.run_id)})"
    return on_one_line(cfg.model)
