"""What a run prints: its config as a tree, its result as a table."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.syntax import Syntax
from rich.table import Table
from rich.tree import Tree

from crackexp.data.datamodule import DataModule
from crackexp.evaluation.statistics import Interval
from crackexp.tracking.logger import NoLogger

HEADLINES = ("accuracy", "f1", "precision", "recall", "roc_auc", "average_precision", "log_loss")
console = Console(soft_wrap=False)


def print_config(cfg: DictConfig) -> None:
    """Prints the resolved config, a branch for each group."""
    tree = Tree("config", guide_style="dim")
    scalars = {key: value for key, value in cfg.items() if not OmegaConf.is_config(value)}
    groups = {key: value for key, value in cfg.items() if OmegaConf.is_config(value)}
    tree.add(_yaml(OmegaConf.create(scalars)))
    for key, value in groups.items():
        tree.add(str(key)).add(_yaml(value))
    console.print(tree)


def print_data(datamodule: DataModule) -> None:
    """Prints how many images of each class train, val and test hold."""
    index = datamodule.index
    table = Table(title=f"Data, {datamodule.dataset.name}", title_justify="left", title_style="bold")
    table.add_column("part")
    for name in index.class_names:
        table.add_column(f"{name} (crack)" if name == index.positive else name, justify="right")
    for part in ("train", "val", "test"):
        labels = getattr(datamodule, part).labels
        counts = np.bincount(labels, minlength=len(index.class_names))
        table.add_row(part, *(str(count) for count in counts))
    console.print(table)


def print_scores(title: str, scores: Mapping[str, Interval], level: float) -> None:
    """Prints the headline metrics, each with its interval."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for column in ("metric", "value", f"{level:.0%} interval"):
        table.add_column(column, justify="left" if column == "metric" else "right")
    for name in HEADLINES:
        if name in scores:
            score = scores[name]
            table.add_row(name, f"{score.value:.4f}", f"{score.low:.4f} to {score.high:.4f}")
    console.print(table)


def print_budget(seconds: Mapping[str, float]) -> None:
    """Prints where the seconds went, and each section's share."""
    table = Table(title="Time", title_justify="left", title_style="bold")
    for column in ("section", "seconds", "share"):
        table.add_column(column, justify="left" if column == "section" else "right")
    for name, value in seconds.items():
        table.add_row(name, f"{value:.1f}", f"{value / max(seconds['total'], 1e-9):.0%}")
    console.print(table)


def _yaml(node: DictConfig) -> Syntax:
    return Syntax(OmegaConf.to_yaml(node).rstrip(), "yaml", background_color="default")


def print_where(logger: NoLogger, output: Path, model_uri: str | None) -> None:
    """Prints where the run lies, and what to type next."""
    lines = [f"Output      {output}", *logger.where()]
    if model_uri:
        lines += [
            f"Model       {model_uri}",
            f"Judge it    python -m crackexp.evaluate run={logger.run_id} dataset=folder dataset.path=PATCHES",
        ]
    console.print("\n".join(lines), soft_wrap=True, highlight=False)
