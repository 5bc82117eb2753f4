"""Adapts a logged model to a new site: ``python -m crackexp.adapt model=MODEL dataset.path=PATCHES``."""

from typing import ClassVar

from omegaconf import DictConfig

from crackexp.cli.main import leave, run
from crackexp.config.checking import check, instantiate
from crackexp.config.settings import ModelConfig
from crackexp.config.types import Seed
from crackexp.data.accounting import Account
from crackexp.tracking.logger import require_store
from crackexp.tracking.run_names import with_model
from crackexp.utils.imports import slow_imports
from crackexp.utils.progress import status


class AdaptConfig(ModelConfig):
    """The config of ``python -m crackexp.adapt``."""

    groups: ClassVar = ("paths", "dataset", "inference", "policy", "tracking")
    seed: Seed
    """The seed of the folds on which the adapted model is compared to the model as it is."""


def adapt(composed: DictConfig, account: Account | None = None) -> dict[str, float]:
    """Refits the last layer of a model to labelled patches of a site, and logs the model that is the best there.

    Args:
        composed: The config that Hydra composed from ``conf/adapt.yaml``.
        account: The account of the files of the dataset, which is filled here; None for a new one.

    Returns:
        The metrics of the run by their names.

    Raises:
        UserError: The config, the dataset or the name of the model has a mistake, or there are too few patches.
    """
    account = Account() if account is None else account
    cfg = check(composed, AdaptConfig)
    logger, engine = instantiate(cfg.tracking), instantiate(cfg.inference)
    store = require_store(logger, "The model is logged anew, which takes a store")
    cfg = with_model(cfg)

    status("Looking for the dataset")
    from crackexp.data.sources.folder import require_place

    require_place(cfg.dataset)
    with slow_imports():
        from crackexp.adapting.adaptation import adapt_site
        from crackexp.adapting.site_run import log_site, open_site

    site = open_site(cfg, account, store)
    fit = adapt_site(site, engine, cfg.batch_size, cfg.seed)
    log_site("adapt", logger, cfg, account, site, fit)
    return fit.metrics


def main(composed: DictConfig) -> None:
    """Adapts a model and exits with a status that says whether all files were read."""
    account = Account()
    adapt(composed, account)
    leave(account.exit_status)


if __name__ == "__main__":
    run(main, "adapt", AdaptConfig)
