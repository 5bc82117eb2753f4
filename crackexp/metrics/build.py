"""Builds the metrics of the config group ``metrics``."""

import re

from omegaconf import DictConfig

from crackexp.config.checking import instantiate
from crackexp.config.mistakes import source
from crackexp.metrics.metric import Metric, named
from crackexp.metrics.standard import Accuracy
from crackexp.utils.errors import ConfigError


def build_metrics(table: DictConfig) -> dict[str, Metric]:
    """Returns the metrics of a config by their names, in its order; an entry that is null is left out.

    Raises:
        ConfigError: A ``_target_`` names no metric, its arguments do not fit, a name cannot be logged, or accuracy is
            not measured.
    """
    nodes = {str(name): node for name, node in table.items() if node}
    problems = [
        "The name of a metric is made of letters, digits, dots, dashes and underscores. It must not end with _low or "
        "_high or begin with decided_, which name intervals and decisions. Type metrics.NAME. "
        f"Received: metrics.{name}"
        for name in nodes
        if not re.fullmatch(r"(?!decided_)[\w.-]+(?<!_low)(?<!_high)", name)
    ]
    metrics = {name: instantiate(node) for name, node in nodes.items()}
    if not isinstance(metrics.get("accuracy"), Accuracy):
        problems.append(
            "Tables and sweeps need metrics.accuracy, so it cannot be changed. Give a metric of your own another name. "
            f"Received: {source('metrics.accuracy', nodes.get('accuracy'))}"
        )
    if problems:
        raise ConfigError("\n".join(problems))
    return named(metrics)
