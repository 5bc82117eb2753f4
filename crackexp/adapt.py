"""Adapts a logged model to a new site: ``python -m crackexp.adapt model=MODEL dataset.path=PATCHES``."""

from omegaconf import DictConfig

from crackexp.adapting.site_command import SiteConfig, check_site_command
from crackexp.cli.main import leave, run
from crackexp.data.accounting import Account
from crackexp.utils.imports import slow_imports


class AdaptConfig(SiteConfig):
    """The config of ``python -m crackexp.adapt``."""


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
    cfg, logger, engine, store = check_site_command(composed, AdaptConfig)
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
