"""The Hydra callback of a sweep, which opens the parent run before the first trial and closes it with the report."""

import contextlib
import json
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from crackexp.config.checking import check_part, instantiate
from crackexp.config.commands import this_command
from crackexp.config.overrides import explain, task_overrides
from crackexp.data.accounting import INCOMPLETE
from crackexp.sweep import grid
from crackexp.sweep.checks import check_sweep
from crackexp.sweep.identity import code_digest, digest
from crackexp.sweep.plugins import check_plugins
from crackexp.training.config import TrainConfig
from crackexp.utils.errors import ConfigError, UserError, refuse
from crackexp.utils.progress import status
from crackexp.utils.signals import stops

PACE = ("n_trials", "n_jobs", "storage", "max_failure_rate", "max_batch_size")
"""The options of sweepers that change how many trials run and how fast, and not which values are swept."""


class Sweep:
    """A sweep, which is a multirun in the launching process.

    Args:
        config: The config of the multirun, with the node `hydra`.
    """

    def __init__(self, config: DictConfig) -> None:
        from filelock import FileLock

        from crackexp.metrics.build import build_metrics
        from crackexp.metrics.metric import comparable
        from crackexp.sweep.watch import Watch

        self.metrics = build_metrics(config.metrics)
        self.metric = comparable(self.metrics, config.sweep.metric, "sweep.metric")
        self.started = time.perf_counter()
        self.keys = list(grid.swept(config))
        self.rerun = bool(config.sweep.rerun)
        self.name = config.sweep.name or " x ".join(self.keys) or "one trial"
        self.settings = config.sweep
        self.register = config.register
        sweeper = config.hydra.sweeper
        asked = OmegaConf.to_container(OmegaConf.masked_copy(sweeper, [key for key in sweeper if key not in PACE]))
        typed = [word for word in task_overrides(config.hydra) if not word.lstrip("+").startswith("print_config=")]
        self.key = digest(config.hydra.job.config_name, typed, asked, code_digest())
        self.folder = str(config.hydra.sweep.dir)
        place = digest(self.key, str(config.paths.root))
        self.lock = FileLock(Path(config.paths.cache) / "sweeps" / f"{place}.lock")
        self.hydra = config.hydra
        self.watch = Watch(Path(self.folder), grid.trial_count(config), self.keys)
        self.parent: Any = None
        self.tracking = instantiate(config.tracking)

    def start(self) -> None:
        """Opens the parent run and starts to watch the trials.

        Raises:
            ConfigError: The same sweep is running in another process.
            UserError: The store cannot be reached.
        """
        from filelock import Timeout

        Path(self.lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
        try:
            self.lock.acquire(timeout=0)
        except Timeout:
            raise ConfigError(
                "This sweep is already running in another process. Wait for its end, or stop it first. "
                f"Received: {this_command()}"
            ) from None
        if self.tracking.store:
            from crackexp.tracking.sweeps import SweepStore

            self.store = SweepStore(self.tracking)
            tags = {"sweep.key": self.key, "sweep.dir": self.folder, "sweep.varies": json.dumps(self.keys)}
            self.parent = self.store.open_parent(self.name, tags, self.rerun)
        trials = f"{self.watch.total} trials" if self.watch.total else "as many trials as the sweeper decides"
        print(f"Sweep {self.name}: {trials} over {', '.join(self.keys) or 'nothing'}", flush=True)
        self.watch.start()

    def end(self, error: BaseException | None) -> int:
        """Closes the parent run, with the report unless the sweep was stopped from outside.

        Args:
            error: The error that ended the multirun; None for none.

        Returns:
            The exit status: 1 where trials failed, 3 where a trial left out files that may be images, else 0.
        """
        self.watch.stop()
        failed = any(outcome.state == "failed" for outcome in self.watch.ended.values())
        stopped = stops(error)
        status = "KILLED" if stopped else "FAILED" if error or failed else "FINISHED"
        try:
            if self.parent and not stopped:
                self._report()
        except BaseException as interruption:
            status = "KILLED" if stops(interruption) else "FAILED"
            raise
        finally:
            if self.parent:
                self.store.close_parent(self.parent, status)
            self.lock.release()
        if status != "FINISHED":
            print(f"\nTo continue with the trials that have not finished:  {this_command()}", flush=True)
        if stopped:
            return 0
        incomplete = any(outcome.incomplete for outcome in self.watch.ended.values())
        return 1 if failed else INCOMPLETE if incomplete else 0

    def _report(self) -> None:
        from crackexp.sweep.outcome import register, report

        status("Comparing the trials")
        report(self, time.perf_counter() - self.started)
        if self.register:
            register(self)


class SweepCallback(Callback):
    """Turns a multirun into a sweep; does nothing in a single run."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Opens the sweep. A mistake ends the program here, since Hydra only warns of exceptions in callbacks."""
        global _sweep
        HydraConfig.instance().set_config(config)
        status("Checking the sweep")
        try:
            check_plugins(config.hydra)
            check_part(config, TrainConfig, ("paths", "metrics", "report", "tracking", "sweep", "register"))
            check_sweep(config)
            _sweep = Sweep(config)
            _sweep.start()
        except UserError as error:
            _sweep = None
            refuse(str(error))
        except (HydraException, OmegaConfBaseException) as error:
            _sweep = None
            refuse(explain(error))
        except Exception:  # Hydra would warn of it and go on
            _sweep = None
            traceback.print_exc()
            sys.exit(1)


_sweep: Sweep | None = None


def sweeping() -> bool:
    """Returns whether a sweep is open in this process."""
    return _sweep is not None


@contextlib.contextmanager
def closing() -> Iterator[Callable[[], bool]]:
    """Ends the sweep that was opened in the `with` block, if one was opened, however the block ends.

    Yields:
        A function that returns whether a sweep is open.

    Raises:
        SystemExit: Trials failed, or left out files that may be images.
    """
    global _sweep
    try:
        yield sweeping
    except BaseException as error:
        sweep, _sweep = _sweep, None
        if sweep is None or sweep.end(error) != 1:
            raise
        sys.exit(1)
    sweep, _sweep = _sweep, None
    if sweep and (status := sweep.end(None)):
        sys.exit(status)
