"""From the config group ``metrics`` to metrics by their names."""

from omegaconf import DictConfig

from crackexp.config.checking import instantiate
from crackexp.metrics.metric import Metric, named


def build_metrics(table: DictConfig) -> dict[str, Metric]:
    """Returns the metrics of a config by their names, in its order; an entry that is null is left out.

    Raises:
        ConfigError: A ``_target_`` names no metric, or its arguments do not fit.
    """
    return named({str(name): instantiate(node) for name, node in table.items() if node})
