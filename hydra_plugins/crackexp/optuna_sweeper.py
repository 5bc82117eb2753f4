"""A Hydra sweeper that lets Optuna choose the next jobs: ``hydra/sweeper=optuna``.

hydra-optuna-sweeper 1.3.0 wants Optuna 2, whose storage breaks with SQLAlchemy 2. This one keeps its keys, and its way
to write a search space: Hydra's own ``choice()``, ``range()``, ``interval()`` and ``tag(log, interval())``. A search
with a storage goes on where it was stopped.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from crackexp.utils.errors import ConfigError
from crackexp.utils.store_uri import database_file, path_problem

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study


class OptunaSweeper(Sweeper):
    """Asks a study of Optuna for trials, runs them as jobs, and tells it what they return.

    Args:
        n_trials: of the study in all, those of earlier launches among them.
        n_jobs: trials that are chosen and launched at once.
        direction: ``minimize`` or ``maximize`` what a job returns.
        sampler: makes a sampler of Optuna from `seed`.
        seed: of the sampler.
        storage: URL of a database; None keeps the study in memory.
        study_name: None names it by the search space and the other overrides.
        max_failure_rate: share of `n_trials` that may fail; one more ends the search.
        params: overrides by key.
    """

    def __init__(
        self,
        n_trials: int,
        n_jobs: int,
        direction: Literal["minimize", "maximize"],
        sampler: Any,
        seed: int,
        storage: str | None,
        study_name: str | None,
        max_failure_rate: float,
        params: DictConfig | None,
    ) -> None:
        self.n_trials = n_trials
        self.n_jobs = n_jobs
        self.direction = direction
        self.sampler = sampler
        self.seed = seed
        self.storage = storage
        self.study_name = study_name
        self.max_failure_rate = max_failure_rate
        self.params: Mapping[Any, Any] = params or {}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Takes what Hydra hands to a sweeper, and makes the launcher."""
        self.config: DictConfig = config
        self.hydra_context = hydra_context
        self.launcher: Launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Runs the trials that the study still lacks, and writes the best to ``optimization_results.yaml``.

        Args:
            arguments: overrides of the command line; they win over `params`.

        Raises:
            ConfigError: nothing to search, a study of another space, or jobs that return no number.
            Exception: what a failed job raised, where too many failed.
        """
        if self.direction not in ("minimize", "maximize"):
            raise ConfigError(
                "A search must minimize or maximize. Type hydra.sweeper.direction=minimize. "
                f"Received: hydra.sweeper.direction={self.direction}"
            )
        fixed, space = _split([*(f"{key}={value!s}" for key, value in self.params.items()), *arguments])
        study = self._study(fixed, space)
        folder = Path(str(self.config.hydra.sweep.dir))
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, folder / "multirun.yaml")
        launched = failed = 0
        while trials := self._next(study, space):
            jobs = [[*fixed, *(f"{key}={value}" for key, value in params.items())] for _, params in trials]
            self.validate_batch_is_legal(jobs)
            returns = self.launcher.launch(jobs, initial_job_idx=launched)
            launched += len(jobs)
            for (number, _), job in zip(trials, returns, strict=True):
                failed += not _tell(study, number, job)
            if failed > self.max_failure_rate * self.n_trials:
                _raise_failure(returns, f"{failed} of {launched} trials failed")
        _report(study, folder)

    def _study(self, fixed: Sequence[str], space: Mapping[str, "BaseDistribution"]) -> "Study":
        import optuna
        from optuna.distributions import distribution_to_json
        from optuna.trial import TrialState

        from crackexp.sweep.identity import code_digest, digest
        from crackexp.utils.seeds import derive

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        if file := database_file(self.storage or ""):
            if problem := path_problem(file):
                raise ConfigError(f"hydra.sweeper.storage {problem}. Received: hydra.sweeper.storage={self.storage}")
            file.parent.mkdir(parents=True, exist_ok=True)
        written = {key: distribution_to_json(distribution) for key, distribution in space.items()}
        study = optuna.create_study(
            study_name=self.study_name or digest(fixed, written, self.direction, code_digest()),
            storage=self.storage,
            direction=self.direction,
            load_if_exists=True,
        )
        for trial in study.get_trials(states=[TrialState.RUNNING]):
            if trial.params.keys() != space.keys():
                study.tell(trial.number, state=TrialState.FAIL)
        begun = len(study.trials)
        study.sampler = self.sampler(seed=derive(self.seed, "search", begun) % 2**31)
        if begun:
            print(f"The search goes on after {begun} of {self.n_trials} trials (study {study.study_name})", flush=True)
        return study

    def _next(self, study: "Study", space: Mapping[str, "BaseDistribution"]) -> list[tuple[int, dict[str, Any]]]:
        """Returns number and parameters of the trials to run next; first those that a stop cut off."""
        from optuna.trial import TrialState

        cut_off = study.get_trials(deepcopy=False, states=[TrialState.RUNNING])[: self.n_jobs]
        trials = [(trial.number, trial.params) for trial in cut_off]
        room = min(self.n_jobs - len(trials), self.n_trials - len(study.trials))
        try:
            asked = [study.ask(dict(space)) for _ in range(room)]
        except ValueError as error:
            raise ConfigError(
                f"The study was begun with another search space: {error} Type another hydra.sweeper.study_name. "
                f"Received: hydra.sweeper.study_name={study.study_name}"
            ) from error
        return trials + [(trial.number, trial.params) for trial in asked]


def _split(texts: list[str]) -> tuple[list[str], dict[str, "BaseDistribution"]]:
    """Returns the overrides that all jobs share, and the search space; of one key's overrides the last counts."""
    overrides = {override.get_key_element(): override for override in OverridesParser.create().parse_overrides(texts)}
    fixed = [str(override.input_line) for override in overrides.values() if not override.is_sweep_override()]
    space = {key: _distribution(override) for key, override in overrides.items() if override.is_sweep_override()}
    if not space:
        raise ConfigError(f"A search needs something to vary. Type 'dropout=interval(0,0.6)'. Received: {fixed}")
    return fixed, space


def _distribution(override: Override) -> "BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    value = override.value()
    if isinstance(value, IntervalSweep):
        low, high, log = value.start, value.end, "log" in value.tags
        if isinstance(low, int) and isinstance(high, int):
            return IntDistribution(low, high, log=log)
        assert low is not None
        assert high is not None
        return FloatDistribution(low, high, log=log)
    if isinstance(value, RangeSweep):
        levels: list[Any] = list(override.sweep_iterator())
        kind: Any = IntDistribution if isinstance(levels[0], int) else FloatDistribution
        return kind(min(levels), max(levels), step=abs(value.step))
    return CategoricalDistribution(list(override.sweep_string_iterator()))


def _tell(study: "Study", number: int, job: JobReturn) -> bool:
    """Tells the study what a trial's job returned, and returns whether it was a number."""
    from optuna.trial import TrialState

    value = job.return_value if job.status == JobStatus.COMPLETED else None
    if not isinstance(value, int | float) or not math.isfinite(value):
        study.tell(number, state=TrialState.FAIL)
        return False
    study.tell(number, value)
    return True


def _raise_failure(jobs: Sequence[JobReturn], summary: str) -> NoReturn:
    """Raises what the last failed job raised."""
    print(f"The search ends: {summary}", flush=True)
    for job in reversed(jobs):
        value = job.return_value
    raise ConfigError(
        f"The jobs of a search must return a finite number. Type another optimized_metric. Received: {value}"
    )


def _report(study: "Study", folder: Path) -> None:
    from optuna.trial import TrialState

    finished = study.get_trials(states=[TrialState.COMPLETE])
    print(f"{len(finished)} of {len(study.trials)} trials finished (study {study.study_name})")
    if not finished:
        return
    best = study.best_trial
    result = {"name": "optuna", "best_params": best.params, "best_value": best.value}
    OmegaConf.save(OmegaConf.create(result), folder / "optimization_results.yaml")
    print(f"Best, trial {best.number}: {best.value:.6g} with {' '.join(f'{k}={v}' for k, v in best.params.items())}")
