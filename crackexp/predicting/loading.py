"""How every command that uses a logged model begins: float32, compiled programs kept, the model loaded."""

from pathlib import Path

from omegaconf import DictConfig

from crackexp.config.checking import instantiate
from crackexp.inference.compilation import keep_programs, set_precision
from crackexp.tracking.models import LoggedModel, load


def open_model(cfg: DictConfig, key: str = "model") -> LoggedModel:
    """Readies this process to compute, and loads the model that the checked config names under `key`.

    Raises:
        UserError: see `load`.
    """
    set_precision("float32")
    keep_programs(Path(cfg.paths.cache))
    return load(cfg[key], instantiate(cfg.tracking).store, key)
