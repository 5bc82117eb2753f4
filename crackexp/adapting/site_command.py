"""What `crackexp.calibrate` and `crackexp.adapt` check before anything slow is imported."""

from typing import TYPE_CHECKING, ClassVar, NamedTuple

from omegaconf import DictConfig

from crackexp.config.checking import check, instantiate
from crackexp.config.settings import ModelConfig
from crackexp.config.types import Seed
from crackexp.tracking.logger import Logger, require_store
from crackexp.tracking.run_names import with_model
from crackexp.utils.progress import status

if TYPE_CHECKING:
    from crackexp.inference.base import Engine


class SiteConfig(ModelConfig):
    """The keys of a command that fits a logged model to labelled patches of a site."""

    groups: ClassVar = ("paths", "dataset", "inference", "policy", "tracking")
    seed: Seed
    """The seed of the folds on which the model is compared before and after."""


class SiteCommand(NamedTuple):
    """The checked config of such a command, and the parts that it names.

    Attributes:
        cfg: The config, in which the name of the model is replaced by the id of its run.
        logger: The logger.
        engine: The engine that computes the model.
        store: The address of the store.
    """

    cfg: DictConfig
    logger: Logger
    engine: "Engine"
    store: str


def check_site_command(composed: DictConfig, schema: type[SiteConfig]) -> SiteCommand:
    """Checks the config of a command, and that its model and its dataset are there.

    Args:
        composed: The config that Hydra composed.
        schema: The keys of the command.

    Raises:
        UserError: The config has a mistake, there is no store, or there is no such model or dataset.
    """
    cfg = check(composed, schema)
    logger, engine = instantiate(cfg.tracking), instantiate(cfg.inference)
    store = require_store(logger, "The model is logged anew, which takes a store")
    cfg = with_model(cfg)
    status("Looking for the dataset")
    from crackexp.data.sources.folder import require_place

    require_place(cfg.dataset)
    return SiteCommand(cfg, logger, engine, store)
