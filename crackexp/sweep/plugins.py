"""Whether the packages behind the chosen launcher and sweeper are installed."""

import warnings

from omegaconf import DictConfig, OmegaConf

from crackexp.errors import ConfigError
from crackexp.extras import require_extra

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
        ConfigError: What to install, or that there is no plugin at all.
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
