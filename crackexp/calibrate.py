"""Calibrates a logged model for a new site: ``python -m crackexp.calibrate model=MODEL dataset.path=PATCHES``."""

from pathlib import Path
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


class CalibrateConfig(ModelConfig):
    """The config of ``python -m crackexp.calibrate``."""

    groups: ClassVar = ("paths", "dataset", "inference", "policy", "tracking")
    seed: Seed
    """The seed of the folds on which the model is compared before and after."""


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
    cfg = check(composed, CalibrateConfig)
    logger, engine = instantiate(cfg.tracking), instantiate(cfg.inference)
    store = require_store(logger, "The model is logged anew, which takes a store")
    cfg = with_model(cfg)

    status("Looking for the dataset")
    from crackexp.data.sources.folder import require_place

    require_place(cfg.dataset)
    with slow_imports():
        from crackexp.data.pipeline import image_batches
        from crackexp.data.splits.given_split import only_part
        from crackexp.data.summary import account_report, seen_report
        from crackexp.evaluation.doubts import doubt_tags, doubts_section
        from crackexp.evaluation.site import fit_to_site, require_binary, require_site
        from crackexp.evaluation.site_report import site_report
        from crackexp.metrics.predictions import Predictions
        from crackexp.models.calibrated import calibrated, check_calibratable
        from crackexp.predicting.loading import open_model
        from crackexp.reporting import Report
        from crackexp.reporting.markdown import markdown
        from crackexp.reporting.terminal import print_plain, print_report
        from crackexp.tracking import run_log
        from crackexp.tracking.runs import training_digests

    status("Reading the images")
    dataset = instantiate(cfg.dataset)
    index = only_part(dataset.prepare(), "val", dataset.name)
    account.add(index.account)
    print_report(account_report(account))
    model = open_model(cfg)
    require_binary(model.classes)
    policy = instantiate(cfg.policy)
    if policy.temperature:
        check_calibratable(model.classifier, f"model={cfg.model}")
    index = index.relabel(model.classes)
    print_report(seen_report(dataset.name, index, training_digests(model.trained_in, store)))
    require_site(policy, index.labels, model.classes)

    status("Calibrating the model")
    network = engine.inference(model.classifier, cfg.batch_size)
    batches = image_batches(index, model.image_size, network.batch_size)
    probabilities = network.predict(batches, len(index), f"Predicting {dataset.name}")
    positive = model.classes.indices[0]
    predictions = Predictions(index.labels, probabilities, positive, index.groups, model.classes.names)
    site = fit_to_site(policy, predictions, model.classes, model.thresholds, cfg.seed)

    fitted = site.fitted
    status("Logging the model")
    with logger.run(f"calibrate-{dataset.name}", tags={}, parent=model.run_id):
        run_log.log_run(logger, cfg)
        run_log.log_dataset(logger, dataset.name, index, "calibration")
        run_log.log_account(logger, account)
        logger.log_metrics(site.metrics())
        result = site_report(site, dataset.name)
        logger.set_tags({"mlflow.note.content": markdown(result), **doubt_tags(site.doubts)})
        calibration, positives = fitted.calibration, model.classes.indices
        network = calibrated(model.classifier, calibration.scale, calibration.shift, positives)
        facts = model.facts.inherited() | site.facts(dataset.name, index.fingerprint, model)
        model_uri = logger.log_model(network, facts)
        run_log.write_result(Path(cfg.paths.output), logger, model_uri, site.metrics(), {})
    print_report(result)
    print_plain(run_log.where_text(logger, Path(cfg.paths.output), model_uri))
    print_report(Report("", doubts_section(site.doubts)))
    return site.metrics()


def main(composed: DictConfig) -> None:
    """Calibrates a model and exits with a status that says whether all files were read."""
    account = Account()
    calibrate(composed, account)
    leave(account.exit_status)


if __name__ == "__main__":
    run(main, "calibrate", CalibrateConfig)
