"""A Hydra launcher that runs the jobs of a multirun as tasks of a Ray cluster: ``hydra/launcher=ray``.

hydra-ray-launcher 1.2.2 would do, but cannot be installed beside cloudpickle 3, which Python 3.12 needs. This one keeps
its keys. It also runs a job in the folder, with the variables and on the cores that it would have beside the command.
"""

import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, configure_log, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from crackexp.cli.failed_job import FailedJob
from crackexp.utils.errors import ConfigError

PASSED_ON = ("CRACKEXP_", "JAX_", "KERAS_", "MLFLOW_", "XLA_")
"""Starts of the names of environment variables that a job takes from the launching process."""


class RayLauncher(Launcher):
    """Runs each job as a task of Ray.

    Args:
        ray: `init`, the arguments of ``ray.init``, and `remote`, the options of ``ray.remote``.
    """

    def __init__(self, ray: DictConfig) -> None:
        self.init: dict[str, Any] = OmegaConf.to_container(ray.init, resolve=True)  # type: ignore[assignment]
        self.remote: dict[str, Any] = OmegaConf.to_container(ray.remote, resolve=True)  # type: ignore[assignment]

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Takes what Hydra hands to a launcher before the first job."""
        self.context = hydra_context
        self.task = task_function
        self.config = config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Runs one job for each list of overrides, and waits for them all.

        Args:
            job_overrides: of the jobs.
            initial_job_idx: number of the first job.

        Raises:
            ConfigError: there is no cluster at the address.
        """
        import ray

        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        Path(str(self.config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
        if not ray.is_initialized():
            _connect(self.init)
        task = ray.remote(**self.remote)(_run)
        environment = {name: value for name, value in os.environ.items() if name.startswith(PASSED_ON)}
        state = Singleton.get_state()
        jobs = []
        for number, overrides in enumerate(job_overrides, initial_job_idx):
            config = self.context.config_loader.load_sweep_config(self.config, list(overrides))
            with open_dict(config):
                config.hydra.job.num = number
            jobs.append(task.remote(self.context, config, self.task, state, environment))
        return [_result(job, overrides) for job, overrides in zip(jobs, job_overrides, strict=True)]


def _connect(init: Mapping[str, Any]) -> None:
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(**init)
    except ConnectionError as error:
        raise ConfigError(
            "There is no Ray cluster here. Type ray start --head first, or hydra.launcher.ray.init.address=local for "
            f"one that lasts as long as this command. Received: hydra.launcher.ray.init.address={init.get('address')}"
        ) from error
    signal.signal(signal.SIGTERM, handler)


def _result(job: Any, overrides: Sequence[str]) -> JobReturn:
    """Waits for a job; one whose process died is a failed one, as one that raised."""
    import ray

    try:
        return ray.get(job)
    except ray.exceptions.RayError as error:
        failed = FailedJob(overrides=list(overrides))
        failed.status = JobStatus.FAILED
        failed.return_value = error
        return failed


def _run(
    context: HydraContext,
    config: DictConfig,
    task: TaskFunction,
    state: dict[Any, Any],
    environment: Mapping[str, str],
) -> JobReturn:
    """Runs one job in a worker of Ray."""
    import ray

    from crackexp.sweep.resources import share_granted

    os.environ.update(environment)
    os.chdir(config.hydra.runtime.cwd)
    place = ray.get_runtime_context()
    with open_dict(config):
        config.hydra.job.id = f"{place.get_node_id()}-{os.getpid()}"
    granted = place.get_assigned_resources()
    if 0 < (part := granted.get("GPU", 0)) < 1:
        os.environ.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", f"{0.9 * part:.3f}")
    setup_globals()
    Singleton.set_state(state)
    HydraConfig.instance().set_config(config)
    slot = share_granted(int(granted.get("CPU", 0)))
    try:
        return run_job(
            hydra_context=context,
            config=config,
            task_function=task,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )
    finally:
        if slot:
            slot.release()
