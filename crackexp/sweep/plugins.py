"""Whether the packages behind the chosen launcher and sweeper are installed."""

import importlib.util
import warnings

from omegaconf import DictConfig

from crackexp.errors import ConfigError

NEEDS = {
    "hydra_plugins.hydra_joblib_launcher.": ("hydra_plugins.hydra_joblib_launcher", "launchers"),
    "hydra_plugins.hydra_submitit_launcher.": ("hydra_plugins.hydra_submitit_launcher", "launchers"),
    "hydra_plugins.crackexp.ray_launcher.": ("ray", "launchers"),
    "hydra_plugins.crackexp.optuna_sweeper.": ("optuna", "search"),
}
"""The module that a plugin class needs, and the extra of crackexp that brings it, by the start of its ``_target_``."""

# hydra-joblib-launcher registers its own defaults under the name of conf/hydra/launcher/joblib.yaml
warnings.filterwarnings("ignore", r"\s*'hydra/launcher/joblib' is validated against ConfigStore schema", UserWarning)


def check_plugins(hydra: DictConfig) -> None:
    """Refuses a launcher or sweeper whose package is missing.

    Args:
        hydra: node of a multirun's config, with `launcher` and `sweeper`.

    Raises:
        ConfigError: with what to install.
    """
    for part in ("launcher", "sweeper"):
        target = str(hydra[part]._target_)
        for start, (module, extra) in NEEDS.items():
            if target.startswith(start) and not _installed(module):
                choice = hydra.runtime.choices[f"hydra/{part}"]
                raise ConfigError(
                    f"This {part} needs the package {module.rpartition('.')[2]}, which is not installed. "
                    f"Type pip install 'crackexp[{extra}]'. Received: hydra/{part}={choice}"
                )


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
