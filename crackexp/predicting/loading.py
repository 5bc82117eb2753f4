"""Loads the logged model that a command uses."""

from pathlib import Path

from omegaconf import DictConfig

from crackexp.config.checking import instantiate
from crackexp.inference.compilation import keep_programs, set_precision
from crackexp.tracking.models import LoggedModel, load
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
