"""Logs what every run has in common: config, code, packages, machine, datasets, and its result."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from crackexp import __version__
from crackexp.config.commands import next_command
from crackexp.config.overrides import task_overrides
from crackexp.data.accounting import Account
from crackexp.data.index import ImageIndex
from crackexp.reporting import Column, Report, Section, Table
from crackexp.tracking.environment import git_state, hardware, packages
from crackexp.tracking.logger import Logger
from crackexp.tracking.result import RESULT, RunResult
from crackexp.tracking.stored_runs import short
from crackexp.utils.csv_text import csv_text
from crackexp.utils.files import write_text


def log_run(logger: Logger, cfg: DictConfig, levels: Mapping[str, Any] | None = None) -> None:
    """Logs config, overrides, code, packages and machine.

    Files in the run's own folder are no params: they would tell any two runs apart.

    Args:
        logger: of the run.
        cfg: checked.
        levels: what a sweep varies; a chosen option such as backbone=resnet50 is no key of the config.
    """
    params = {**(levels or {}), **_flatten(cfg)}
    logger.log_params({key: value for key, value in params.items() if cfg.paths.output not in str(value)})
    logger.log_text(OmegaConf.to_yaml(cfg), "config/config.yaml")
    if HydraConfig.initialized():
        overrides = task_overrides(HydraConfig.get())
        logger.log_text("\n".join(overrides) + "\n", "config/overrides.txt")
    logger.log_text("\n".join(packages()) + "\n", "environment/packages.txt")
    tags = {f"hardware.{key}": value for key, value in hardware().items()}
    tags["crackexp.version"] = __version__
    git = git_state(Path(__file__).parent) or git_state(Path.cwd())
    if git:
        tags |= {"git.commit": git.commit, "git.dirty": str(bool(git.diff)).lower()}
        if git.diff:
            logger.log_text(git.diff, "environment/git.diff")
    logger.set_tags(tags)


def log_dataset(logger: Logger, name: str, index: ImageIndex, context: str) -> None:
    """Logs which images were used, and what for."""
    counts = np.bincount(index.labels, minlength=len(index.class_names))
    profile = {
        "images": len(index),
        "positive": index.classes.positive,
        **{f"images_{name}": int(n) for name, n in zip(index.class_names, counts, strict=True)},
    }
    logger.log_dataset(name, index.root, index.fingerprint, profile, context)


def log_extra_datasets(logger: Logger, extra: Mapping[str, ImageIndex], left_out: Mapping[str, int]) -> None:
    """Logs the extra datasets that the run is evaluated on, and how many images were left out of each."""
    for name, index in extra.items():
        log_dataset(logger, name, index, "evaluation")
        logger.log_params({f"data.also.{name}.images": len(index), f"data.also.{name}.left_out": left_out[name]})


def log_account(logger: Logger, account: Account) -> None:
    """Logs how many files were used, left out, doubted and ignored, and a table of those left out and doubted."""
    logger.log_params({f"data.files_{name}": count for name, count in account.counts.items()})
    if account.left_out or account.doubts:
        logger.log_text(csv_text(account.table()), "data/files.csv")


def time_report(seconds: Mapping[str, float]) -> Report:
    """Returns where the seconds of a run went, and the share of each section.

    Args:
        seconds: The seconds by the name of the section; "total" is all of them.
    """
    shares = [f"{value / max(seconds['total'], 1e-9):.0%}" for value in seconds.values()]
    columns = [
        Column("section", list(seconds)),
        Column("seconds", [f"{value:.1f}" for value in seconds.values()], list(seconds.values()), numeric=True),
        Column("share", shares, numeric=True),
    ]
    return Report("Time", [Section("Time", tables=[Table(columns)])])


def where_text(logger: Logger, output: Path, model_uri: str | None, verdict: str | None = None) -> str:
    """Returns lines that say where a run lies, what became of its model in the registry, and what to type next."""
    lines = [f"Output      {output}", *logger.where()]
    if model_uri:
        run = short(logger.run_id)
        lines += [
            f"Model       {model_uri}",
            f"Predict     {next_command('predict', f'model={run}', 'input=PATCHES')}",
            f"Survey      {next_command('survey', f'model={run}', 'input=PHOTOS')}",
            f"Open app    {next_command('app', f'model={run}')}",
            f"Evaluate it {next_command('evaluate', f'run={run}', 'dataset=folder', 'dataset.path=PATCHES')}",
        ]
    return "\n".join([*lines, *([f"Registry    {verdict}"] if verdict else [])])


def write_config(folder: Path, cfg: DictConfig) -> None:
    """Writes the resolved config as ``config.yaml``; Hydra's own ``.hydra/config.yaml`` is the one before."""
    write_text(folder / "config.yaml", OmegaConf.to_yaml(cfg))


def write_result(
    folder: Path,
    logger: Logger,
    model_uri: str | None,
    metrics: Mapping[str, float],
    seconds: Mapping[str, float],
) -> None:
    """Writes and logs ``result.json``, see `RunResult`."""
    result = RunResult(run_id=logger.run_id, model_uri=model_uri, metrics=dict(metrics), seconds=dict(seconds))
    text = result.text()
    write_text(folder / RESULT, text)
    logger.log_text(text, RESULT)


def _flatten(node: Any, prefix: str = "") -> dict[str, Any]:
    """Returns the values of a config by their keys; of a list of tables by place and key."""
    tables = OmegaConf.is_list(node) and any(OmegaConf.is_dict(item) for item in node)
    if not OmegaConf.is_dict(node) and not tables:
        return {prefix: node}
    flat: dict[str, Any] = {}
    for key, value in enumerate(node) if tables else node.items():
        flat |= _flatten(value, f"{prefix}.{key}" if prefix else str(key))
    return flat
