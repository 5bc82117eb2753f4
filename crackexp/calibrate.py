"""Calibrates a logged model for a new site: ``python -m crackexp.calibrate model=MODEL dataset.path=PATCHES``."""

from omegaconf import DictConfig

from crackexp.adapting.site_command import SiteConfig, check_site_command
from crackexp.cli.main import leave, run
from crackexp.data.accounting import Account
from crackexp.utils.imports import slow_imports
from crackexp.utils.progress import status


class CalibrateConfig(SiteConfig):
    """The config of ``python -m crackexp.calibrate``."""


def calibrate(composed: DictConfig, account: Account | None = None) -> dict[str, float]:
    """Fits calibration and thresholds to labelled patches, and logs the calibrated model in a child run.

    Args:
        composed: The config that Hydra composed from ``conf/calibrate.yaml``.
        account: The account of the files of the dataset, which is filled here; None for a new one.

    Returns:
        The metrics of the run by their names.

    Raises:
        UserError: The config, the dataset or the name of the model has a mistake, or there are too few patches.
    """
    account = Account() if account is None else account
    cfg, logger, engine, store = check_site_command(composed, CalibrateConfig)
    with slow_imports():
        from crackexp.adapting.site_run import SiteFit, log_site, open_site
        from crackexp.evaluation.site import fit_to_site
        from crackexp.evaluation.site_report import site_report

    site = open_site(cfg, account, store)
    status("Calibrating the model")
    model = site.model
    predictions = site.predictions(site.compute(model.classifier, engine, cfg.batch_size, "Predicting"))
    fit = fit_to_site(site.policy, predictions, model.classes, model.thresholds, cfg.seed)
    facts = fit.facts(site.name, site.index.fingerprint, model)
    report = site_report(fit, site.name)
    made = SiteFit(model.classifier, fit.fitted, facts, fit.metrics(), report, fit.doubts)
    log_site("calibrate", logger, cfg, account, site, made)
    return fit.metrics()


def main(composed: DictConfig) -> None:
    """Calibrates a model and exits with a status that says whether all files were read."""
    account = Account()
    calibrate(composed, account)
    leave(account.exit_status)


if __name__ == "__main__":
    run(main, "calibrate", CalibrateConfig)
