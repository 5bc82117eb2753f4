"""The parts of a run, built before any work begins, and what keeps them from working together."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from crackexp.config.checking import instantiate, listed
from crackexp.config.contracts import require_all_kept
from crackexp.config.mistakes import source
from crackexp.config.settings import LISTED
from crackexp.data.augmentation import Augmentation
from crackexp.data.sources import Dataset
from crackexp.data.splits import Split
from crackexp.data.splits.base import check_split
from crackexp.evaluation.evaluator import EvaluationResult
from crackexp.evaluation.policy import Policy
from crackexp.inference.base import Engine
from crackexp.metrics.build import build_metrics
from crackexp.metrics.metric import MeanMetric, Metric, comparable
from crackexp.models.base import Backbone, Head
from crackexp.reporting import ReportSection
from crackexp.tracking.logger import Logger
from crackexp.training.trainer import Trainer
from crackexp.utils.errors import ConfigError, UserError

GROUPS = ("dataset", "split", "augmentation", "backbone", "head", "loss", "trainer", "inference", "policy", "tracking")


@dataclass(frozen=True)
class Parts:
    """The parts that a config names, each built and each able to work with the others."""

    dataset: Dataset
    split: Split
    augmentation: Augmentation
    backbone: Backbone
    head: Head
    loss: keras.Loss
    trainer: Trainer
    inference: Engine
    metrics: Mapping[str, Metric]
    compared_by: MeanMetric
    report: Mapping[str, ReportSection[EvaluationResult]]
    policy: Policy
    tracking: Logger


def build_parts(cfg: DictConfig) -> Parts:
    """Builds the parts of a run; nothing is read, computed or logged yet.

    Args:
        cfg: The checked config of a training run.

    Raises:
        ConfigError: Lists all that is wrong, a line each: arguments that a part refuses, and parts that do not fit.
    """
    require_all_kept(cfg)
    built: dict[str, Any] = {}
    problems: list[str] = []
    for group in GROUPS:
        with _collected(problems):
            built[group] = instantiate(cfg[group])
    with _collected(problems):
        built["metrics"] = build_metrics(cfg.metrics)
        built["compared_by"] = comparable(built["metrics"], cfg.sweep.metric, "sweep.metric")
    with _collected(problems):
        built["report"] = {str(name): instantiate(node) for name, node in cfg.report.items() if node}
    for path in LISTED:
        with _collected(problems):
            listed(cfg, path)
    if problems:
        raise ConfigError("\n".join(problems))
    parts = Parts(**built)
    parts.trainer.engine = parts.inference
    if problems := list(_misfits(parts, cfg)):
        raise ConfigError("\n".join(problems))
    return parts


@contextmanager
def _collected(problems: list[str]) -> Iterator[None]:
    """Appends the message of a UserError in the `with` block to `problems`, so that further parts are looked at too."""
    try:
        yield
    except UserError as error:
        problems.append(str(error))


def _misfits(parts: Parts, cfg: DictConfig) -> Iterator[str]:
    try:
        check_split(parts.dataset, parts.split)
    except UserError as error:
        yield str(error)
    subset, _, metric = cfg.optimized_metric.partition("/")
    if subset == "test" and metric not in parts.metrics:
        yield (
            f"There is no metric {metric}. Type optimized_metric=test/NAME with one of {', '.join(parts.metrics)}. "
            f"Received: {source('optimized_metric', cfg.optimized_metric)}"
        )
    if parts.trainer.needs_pretrained and not parts.backbone.pretrained:
        yield (
            "The backbone has no pretrained weights, so its frozen features mean nothing. Type trainer=scratch. "
            f"Received: {_choice(cfg, 'backbone')} {_choice(cfg, 'trainer')}"
        )
    if parts.head.needs_pretrained and not parts.trainer.fits_head_first:
        yield (
            "The head is fitted to what a trained backbone sees, before anything else is trained. "
            f"Type trainer=frozen or trainer=finetune. Received: {_choice(cfg, 'head')} {_choice(cfg, 'trainer')}"
        )
    if cfg.register is not None:
        if parts.tracking.store is None:
            yield (
                "Without a store there is no registry. Type tracking=local, or leave out register. "
                f"Received: register={cfg.register} {_choice(cfg, 'tracking')}"
            )
        elif not parts.tracking.logs_models:
            yield (
                "A model that is not logged cannot be registered. Type tracking.log_model=true, or leave out register. "
                f"Received: register={cfg.register} {_choice(cfg, 'tracking')}"
            )


def _choice(cfg: DictConfig, group: str) -> str:
    """Returns how the part of a group was chosen: by the name of its option, or by its class."""
    if HydraConfig.initialized() and (name := HydraConfig.get().runtime.choices.get(group)):
        return f"{group}={name}"
    return f"{group}._target_={cfg[group]._target_}"
