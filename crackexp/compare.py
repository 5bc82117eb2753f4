"""Compares the cells of a sweep, or any runs: ``python -m crackexp.compare RUN_ID [RUN_ID ...] [--html]``."""

import sys
from pathlib import Path

from omegaconf import DictConfig

from crackexp.cli import overrides, run
from crackexp.commands import this_command
from crackexp.config.checking import check, instantiate
from crackexp.config.roots import CompareRoot
from crackexp.errors import ConfigError
from crackexp.files import write_text


def compare(composed: DictConfig) -> None:
    """Prints which run errs least, which are tied with it, and what matters; writes the report where asked to.

    Args:
        composed: what Hydra composed from ``conf/compare.yaml``.

    Raises:
        UserError: a mistake in the config, unknown runs, or runs that were judged on different images.
    """
    cfg = check(composed, CompareRoot)
    if "uri" not in cfg.tracking:
        raise ConfigError("Without a store there are no runs to compare. Type tracking=local. Received: tracking=none")
    tracking = instantiate(cfg.tracking)

    from crackexp.evaluation import comparison
    from crackexp.evaluation.figures.sweep import sweep_figures
    from crackexp.evaluation.sweep_report import comparison_report
    from crackexp.reporting.html import page
    from crackexp.reporting.terminal import print_plain, print_report
    from crackexp.tracking.selection import select
    from crackexp.tracking.sweeps import SweepStore

    title, cells, failures = select(SweepStore(tracking, make=False), cfg.runs)
    found = comparison.compare(cells, cfg.metric, cfg.level, cfg.resamples, cfg.seed)
    figures = sweep_figures(found) if cfg.html else {}
    told = comparison_report(found, title, figures, [failure.told for failure in failures], this_command())
    print_report(told)
    if cfg.html:
        write_text(Path(cfg.html), page(told))
        print_plain(f"Report      {Path(cfg.html).resolve()}")


def arguments(words: list[str]) -> list[str]:
    """Returns Hydra's overrides for run ids and ``--html [FILE]`` as typed; other words stay as they are.

    Args:
        words: of the command line.
    """
    ids = [word for word in overrides(words) if "=" not in word and not word.startswith("~")]
    rest = [word for word in words if word not in ids]
    rest = ["html=comparison.html" if word == "--html" else word for word in rest]
    rest = [word.removeprefix("--") if word.startswith("--html=") else word for word in rest]
    return [*rest, f"runs=[{','.join(ids)}]"] if ids else rest


if __name__ == "__main__":
    sys.argv[1:] = arguments(sys.argv[1:])
    run(compare, "compare")
