"""The steps that `crackexp.calibrate` and `crackexp.adapt` share: read the labelled patches of a site, log a model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from omegaconf import DictConfig

from crackexp.config.checking import instantiate
from crackexp.data.accounting import Account
from crackexp.data.index import ImageIndex
from crackexp.data.pipeline import image_batches
from crackexp.data.splits.given_split import only_part
from crackexp.data.summary import account_report, seen_report
from crackexp.evaluation.doubts import doubt_tags, doubts_section
from crackexp.evaluation.policy import FittedPolicy, Policy
from crackexp.evaluation.site import require_binary, require_site
from crackexp.inference.base import Engine
from crackexp.metrics.predictions import Predictions
from crackexp.models.calibrated import calibrated, check_calibratable
from crackexp.predicting.loading import open_model
from crackexp.reporting import Report
from crackexp.reporting.markdown import markdown
from crackexp.reporting.terminal import print_plain, print_report
from crackexp.tracking import run_log
from crackexp.tracking.logger import Logger
from crackexp.tracking.models import LoggedModel
from crackexp.tracking.runs import training_digests
from crackexp.utils.progress import status


@dataclass(frozen=True)
class SiteRun:
    """A model, and the labelled patches of the site that it is fitted to.

    Attributes:
        name: The name of the dataset.
        index: The patches, with the labels of the model.
        model: The logged model, which has two classes.
        policy: The policy that is fitted.
    """

    name: str
    index: ImageIndex
    model: LoggedModel
    policy: Policy

    def compute(self, network: keras.Model, engine: Engine, batch_size: int | None, verb: str) -> np.ndarray:
        """Returns what a network makes of the patches, (n, ...) float32, and shows the progress after `verb`."""
        inference = engine.inference(network, batch_size)
        batches = image_batches(self.index, self.model.image_size, inference.batch_size)
        return inference.predict(batches, len(self.index), f"{verb} {self.name}")

    def predictions(self, probabilities: np.ndarray) -> Predictions:
        """Returns the predictions of the model for the patches; their groups are the photos."""
        classes, index = self.model.classes, self.index
        return Predictions(index.labels, probabilities, classes.indices[0], index.groups, classes.names)


def open_site(cfg: DictConfig, account: Account, store: str) -> SiteRun:
    """Reads the patches of a site and the model, and prints which files are used.

    Args:
        cfg: The checked config.
        account: The account of the files of the dataset, which is filled here.
        store: The address of the store.

    Raises:
        UserError: The dataset or the model cannot be used, or there are too few patches.
    """
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
    return SiteRun(dataset.name, index, model, policy)


@dataclass(frozen=True)
class SiteFit:
    """What came of fitting a model to a site.

    Attributes:
        network: The network to log, before it is calibrated; None logs no model.
        fitted: Its policy.
        facts: The metadata that the fit changes.
        metrics: The metrics to log.
        report: The report.
        doubts: What speaks against relying on the model at the site, a sentence each.
    """

    network: keras.Model | None
    fitted: FittedPolicy
    facts: Mapping[str, Any]
    metrics: dict[str, float]
    report: Report
    doubts: Sequence[str]


def log_site(command: str, logger: Logger, cfg: DictConfig, account: Account, site: SiteRun, fit: SiteFit) -> None:
    """Logs what came of fitting a model to a site in a child run of the model's run, and prints it.

    Args:
        command: The name of the command, with which the name of the run begins.
        logger: The logger.
        cfg: The checked config.
        account: The account of the files of the dataset.
        site: The model and the patches.
        fit: What came of it.
    """
    status("Logging the model")
    output = Path(cfg.paths.output)
    with logger.run(f"{command}-{site.name}", tags={}, parent=site.model.run_id):
        run_log.log_run(logger, cfg)
        run_log.log_dataset(logger, site.name, site.index, "calibration")
        run_log.log_account(logger, account)
        logger.log_metrics(fit.metrics)
        logger.set_tags({"mlflow.note.content": markdown(fit.report), **doubt_tags(fit.doubts)})
        model_uri = None
        if fit.network is not None:
            calibration, positives = fit.fitted.calibration, site.model.classes.indices
            network = calibrated(fit.network, calibration.scale, calibration.shift, positives)
            model_uri = logger.log_model(network, site.model.facts.inherited() | dict(fit.facts))
        run_log.write_result(output, logger, model_uri, fit.metrics, {})
    print_report(fit.report)
    print_plain(run_log.where_text(logger, output, model_uri))
    print_report(Report("", doubts_section(fit.doubts)))
