"""Compares the trials of a sweep, or any runs: ``python -m crackexp.compare RUN [RUN ...] [--html]``."""

import shlex
import sys
from pathlib import Path
from typing import Annotated, ClassVar

from omegaconf import DictConfig
from pydantic import Field

from crackexp.cli.main import overrides, run
from crackexp.config.checking import check, instantiate
from crackexp.config.commands import this_command
from crackexp.config.overrides import as_typed
from crackexp.config.settings import JobConfig
from crackexp.config.types import Level, Seed, Text
from crackexp.tracking.logger import require_store
from crackexp.tracking.run_names import COMPARABLE, find
from crackexp.utils.files import write_text
from crackexp.utils.progress import status


class CompareConfig(JobConfig):
    """The config of ``python -m crackexp.compare``."""

    groups: ClassVar = ("paths", "metrics", "tracking")
    runs: Annotated[list[Text], Field(min_length=1)]
    """The sweeps and runs, which are typed without runs=: ids, their beginnings, names, latest, or best:SWEEP."""
    metric: Text
    """The metric by which runs are compared, on the test images that all of them share."""
    level: Level
    """The confidence of the intervals; claims are wrong at most at the rate 1 - level."""
    resamples: Annotated[int, Field(ge=100, le=1_000_000)]
    """The number of bootstrap resamples."""
    seed: Seed
    """The seed of the resampling."""
    html: Text | None
    """The file of the report; --html stands for comparison.html."""


def compare(composed: DictConfig) -> None:
    """Prints which run is best, which runs are tied with it, and which factors matter. With `html` it writes a report.

    Args:
        composed: The config that Hydra composed from ``conf/compare.yaml``.

    Raises:
        UserError: The config has a mistake, or the runs do not exist or were judged on different images.
    """
    cfg = check(composed, CompareConfig)
    tracking = instantiate(cfg.tracking)
    require_store(tracking, "Without a store there are no runs to compare")
    runs = [find(name, tracking, COMPARABLE, "") for name in cfg.runs]

    status("Importing MLflow")
    from crackexp.metrics.build import build_metrics
    from crackexp.metrics.metric import comparable

    metric = comparable(build_metrics(cfg.metrics), cfg.metric, "metric")

    from crackexp.comparison import comparison
    from crackexp.comparison.figures import sweep_figures
    from crackexp.comparison.report import comparison_report
    from crackexp.reporting.html import page
    from crackexp.reporting.terminal import print_plain, print_report
    from crackexp.sweep.selection import select
    from crackexp.tracking.sweeps import SweepStore

    status("Reading the runs")
    title, trials, failures = select(SweepStore(tracking, make=False), runs)
    status("Comparing the runs")
    compared = comparison.compare(trials, metric, cfg.level, cfg.resamples, cfg.seed)
    figures = sweep_figures(compared) if cfg.html else {}
    failed = [failure.summary for failure in failures]
    result = comparison_report(compared, title, figures, failed, this_command())
    print_report(result)
    if cfg.html:
        write_text(Path(cfg.html), page(result))
        print_plain(f"Report      {Path(cfg.html).resolve()}")


def arguments(words: list[str]) -> list[str]:
    """Returns Hydra's overrides for names of runs and ``--html [FILE]``. Other words stay as they are.

    Args:
        words: The words of the command line.
    """
    names = [word for word in overrides(words) if "=" not in word and not word.startswith("~")]
    rest = [word for word in words if word not in names]
    rest = ["html=comparison.html" if word == "--html" else word for word in rest]
    rest = [word.removeprefix("--") if word.startswith("--html=") else word for word in rest]
    return [*rest, *shlex.split(as_typed("runs", names))] if names else rest


if __name__ == "__main__":
    sys.argv[1:] = arguments(sys.argv[1:])
    run(compare, "compare", CompareConfig)
