"""The steps of a training run, as `crackexp.train` takes them: load the data, log it, evaluate, log the outcome."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from crackexp.config.checking import listed
from crackexp.data.accounting import Account
from crackexp.data.auxiliary import AuxiliaryDataset
from crackexp.data.datamodule import DataModule
from crackexp.data.images.cache import ImageCache
from crackexp.data.sources.folder import require_places
from crackexp.data.summary import account_report
from crackexp.evaluation.doubts import training_doubt
from crackexp.evaluation.evaluator import EvaluationResult, Evaluator
from crackexp.evaluation.extra_datasets import ExtraDatasets
from crackexp.evaluation.policy import FittedPolicy
from crackexp.evaluation.report import evaluation_report, log_evaluation
from crackexp.reporting import Report
from crackexp.reporting.terminal import print_report
from crackexp.tracking.logger import Logger
from crackexp.tracking.run_log import log_account, log_extra_datasets, log_run
from crackexp.training.history import TrainingHistory
from crackexp.training.module import CrackModule
from crackexp.training.parts import Parts
from crackexp.training.run_log import log_data, log_model, log_network, log_training


@dataclass(frozen=True)
class RunData:
    """The images of a run.

    Attributes:
        datamodule: The images that are trained, validated and tested on, set up.
        extra: The further datasets that the model is tested on.
    """

    datamodule: DataModule
    extra: ExtraDatasets


@dataclass(frozen=True)
class Outcome:
    """What came of a training.

    Attributes:
        policy: The policy, fitted on the validation images.
        validation: The loss and the accuracy on the validation images.
        result: The evaluation on the test images and the further datasets.
        doubts: Sentences that speak against relying on the model.
        report: The report of all that.
    """

    policy: FittedPolicy
    validation: Mapping[str, float]
    result: EvaluationResult
    doubts: list[str]
    report: Report

    def metrics(self, history: TrainingHistory) -> dict[str, float]:
        """Returns the metrics of the run by their names, but for those of time."""
        trained = {f"train/{name}": history.metrics[name][-1] for name in ("loss", "accuracy")}
        validated = {f"val/{name}": value for name, value in self.validation.items()}
        return {**trained, **validated, **history.before, **self.policy.metrics(), **self.result.all_metrics()}


def load_data(cfg: DictConfig, parts: Parts, account: Account) -> RunData:
    """Loads and splits the datasets of a run, and prints which files are used.

    Args:
        cfg: The checked config.
        parts: The parts of the run.
        account: The account of the files of all datasets, which is filled here.

    Raises:
        UserError: A dataset cannot be used, or it has too few images for the split or the policy.
    """
    extra = ExtraDatasets(cfg)
    require_places(cfg.mix, "mix")
    images_gb = cfg.get("images_gb", 0)  # runs of earlier versions, which may be resumed, do not have it
    datamodule = DataModule(
        dataset=parts.dataset,
        split=parts.split,
        augmentation=parts.augmentation,
        image_size=cfg.image_size,
        batch_size=cfg.batch_size,
        seed=cfg.seed,
        mix=[AuxiliaryDataset(dataset, **beside) for dataset, beside in listed(cfg, "mix")],
        cache=ImageCache(cfg.image_size, Path(cfg.paths.cache), images_gb * 1e9) if images_gb else None,
    )
    datamodule.prepare()
    account.add(datamodule.account)
    print_report(account_report(account))
    datamodule.setup()
    classes = datamodule.index.classes
    extra.prepare(classes, datamodule.seen)
    parts.policy.require_enough(datamodule.val.damaged, classes.defect)
    account.add(extra.account)
    return RunData(datamodule, extra)


def log_start(
    logger: Logger, cfg: DictConfig, levels: Mapping[str, Any], data: RunData, account: Account, module: CrackModule
) -> None:
    """Logs what is known before the training: config, data and network.

    Args:
        logger: The logger of the open run.
        cfg: The checked config.
        levels: The values of what a sweep varies, by their keys.
        data: The images of the run.
        account: The account of their files.
        module: The untrained module.
    """
    log_run(logger, cfg, levels)
    epochs = cfg.trainer.get("head_epochs", 0) + cfg.trainer.get("epochs", cfg.epochs)
    log_data(logger, data.datamodule, epochs)
    log_extra_datasets(logger, data.extra.indexes, data.extra.left_out)
    log_account(logger, account)
    log_network(logger, module)


def evaluate_run(
    cfg: DictConfig, parts: Parts, data: RunData, module: CrackModule, history: TrainingHistory
) -> Outcome:
    """Fits the policy on the validation images, and evaluates the trained module on all that the config names."""
    datamodule, trainer = data.datamodule, parts.trainer
    probabilities = trainer.predict(datamodule.val, "val")
    validation = module.score(datamodule.val.labels, probabilities)
    policy = parts.policy.fit(datamodule.val.labels, probabilities, datamodule.index.classes)
    evaluator = Evaluator(cfg.evaluation, cfg.seed, cfg.image_size, trainer.predict, policy, parts.metrics)
    result = evaluator.evaluate(f"{cfg.dataset.name}, test", datamodule.test, data.extra.indexes)
    doubts = [*training_doubt(history.before.get("val/accuracy_before"), validation["accuracy"]), *result.doubts]
    report = evaluation_report(result, cfg.evaluation, cfg.image_size, trainer.explain, doubts, parts.report)
    return Outcome(policy, validation, result, doubts, report)


def log_outcome(
    logger: Logger, cfg: DictConfig, data: RunData, module: CrackModule, history: TrainingHistory, outcome: Outcome
) -> str | None:
    """Logs the training curves, the evaluation and the model, and returns the address of the model."""
    log_training(logger, history)
    logger.log_metrics(outcome.policy.metrics())
    log_evaluation(logger, outcome.result, outcome.report, outcome.doubts)
    return log_model(logger, cfg, module, data.datamodule, outcome.policy)


def register(logger: Logger, cfg: DictConfig, parts: Parts) -> str | None:
    """Enters the logged model into the registry where the config asks for it.

    Returns:
        A sentence that says what came of it and why; None where nothing was asked for.
    """
    if cfg.register is None or logger.store is None:
        return None
    from crackexp.tracking.registry import (
        register_run,  # it imports MLflow, which runs without a store need not wait for
    )

    return register_run(logger, cfg.register, parts.compared_by, cfg.sweep.level)
