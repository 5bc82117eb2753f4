"""From the config group ``metrics`` to metrics by their names."""

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
        "A metric is named by letters, digits, dots, dashes and underscores, without _low or _high at its end and "
        f"decided_ at its beginning, which are names of intervals and decisions. Type metrics.NAME. "
        f"Received: metrics.{name}"
        for name in nodes
        if not re.fullmatch(r"(?!decided_)[\w.-]+(?<!_low)(?<!_high)", name)
    ]
    metrics = {name: instantiate(node) for name, node in nodes.items()}
    if not isinstance(metrics.get("accuracy"), Accuracy):
        problems.append(
            "Accuracy is what tables and sweeps rest upon, so it is always measured. Leave metrics.accuracy as it is; "
            f"one of your own has a name of its own. Received: {source('metrics.accuracy', nodes.get('accuracy'))}"
        )
    if problems:
        raise ConfigError("\n".join(problems))
    return named(metrics)
