"""Checks of the chosen launcher and sweeper: whether their packages are installed, and the values of their keys."""

import warnings
from typing import Annotated, Any, Literal

from omegaconf import DictConfig, OmegaConf
from pydantic import Field

from crackexp.config.mistakes import refuse_mistakes, validate
from crackexp.config.types import OpenNode, Positive, Probability, Seed, Text
from crackexp.utils.errors import ConfigError
from crackexp.utils.extras import require_extra


class BasicSweeper(OpenNode):
    params: dict[str, Any] | None
    max_batch_size: Positive | None


class OptunaSweeper(OpenNode):
    params: dict[str, Any] | None
    n_trials: Positive
    n_jobs: Positive
    direction: Literal["minimize", "maximize"]
    seed: Seed
    storage: Text | None
    study_name: Text | None
    max_failure_rate: Probability


class JoblibLauncher(OpenNode):
    n_jobs: Positive | Annotated[int, Field(ge=-4096, lt=0)]


SCHEMAS: dict[str, type[OpenNode]] = {
    "hydra._internal.core_plugins.basic_sweeper.BasicSweeper": BasicSweeper,
    "hydra_plugins.crackexp.optuna_sweeper.OptunaSweeper": OptunaSweeper,
    "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher": JoblibLauncher,
}
"""The schema of the config of a plugin, by its ``_target_``. Keys that it does not know are left to the plugin."""

NEEDS = {
    "hydra_plugins.hydra_joblib_launcher.": ("hydra_plugins.hydra_joblib_launcher", "launchers"),
    "hydra_plugins.hydra_submitit_launcher.": ("hydra_plugins.hydra_submitit_launcher", "launchers"),
    "hydra_plugins.crackexp.ray_launcher.": ("ray", "launchers"),
    "hydra_plugins.crackexp.optuna_sweeper.": ("optuna", "search"),
}
"""The module that a plugin class needs and the extra of crackexp that installs it, by the start of ``_target_``."""

# hydra-joblib-launcher registers its own defaults under the name of conf/hydra/launcher/joblib.yaml
warnings.filterwarnings("ignore", r"\s*'hydra/launcher/joblib' is validated against ConfigStore schema", UserWarning)


def check_plugins(hydra: DictConfig) -> None:
    """Refuses a launcher or sweeper whose package is missing, or whose keys have values that it cannot use.

    Args:
        hydra: The node `hydra` of a multirun's config, with `launcher` and `sweeper`.

    Raises:
        ConfigError: A package is missing or a value is wrong. The message says what to install or to type.
    """
    for part in ("launcher", "sweeper"):
        if not OmegaConf.is_dict(hydra[part]) or not hydra[part].get("_target_"):
            raise ConfigError(
                f"hydra.{part} must be a table with a _target_. Type hydra/{part}=NAME. Received: {hydra[part]}"
            )
        target = str(hydra[part]._target_)
        for start, (module, extra) in NEEDS.items():
            if target.startswith(start):
                require_extra(f"This {part}", [module], extra, f"hydra/{part}={hydra.runtime.choices[f'hydra/{part}']}")
        if model := SCHEMAS.get(target):
            plain: Any = OmegaConf.to_container(hydra[part], resolve=True)
            refuse_mistakes(validate(model, plain, f"hydra.{part}"))
