"""crackexp: experiments on concrete-crack classifiers. Hydra composes, Keras on JAX trains, MLflow remembers.

What a command does can be done in Python too:

    config = crackexp.compose("train", ["+experiment=mobilenet", "dropout=0.1"])
    result = crackexp.train(config)
    model = crackexp.load_model(result.run_id)
    table = model.predict("photos/")
"""

import os
import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from crackexp.config.composing import compose
    from crackexp.model import Model, load_model
    from crackexp.tracking.result import RunResult

    def train(config: DictConfig) -> RunResult: ...


__version__ = "0.1.0"
__all__ = ["Model", "RunResult", "compose", "load_model", "train"]

os.environ.setdefault("KERAS_BACKEND", "jax")
# Without it jaxlib 0.10.2 computes some sums wrongly on CPU, or crashes: see "Pins" in docs/architecture.md. XLA reads
# it when JAX computes for the first time.
if "xla_cpu_experimental_ynn_fusion_type" not in (_flags := os.environ.get("XLA_FLAGS", "")):
    os.environ["XLA_FLAGS"] = f"{_flags} --xla_cpu_experimental_ynn_fusion_type=-reduce".strip()
# MLflow imports tqdm, which says this in a notebook without ipywidgets. No progress is shown by it.
warnings.filterwarnings("ignore", "IProgress not found")

_MODULES = {
    "Model": "crackexp.model",
    "RunResult": "crackexp.tracking.result",
    "compose": "crackexp.config.composing",
    "load_model": "crackexp.model",
}


def __getattr__(name: str) -> Any:
    """Imports what is asked for, since Keras and MLflow take seconds."""
    if name == "train":
        return import_module("crackexp.train")
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'crackexp' has no attribute '{name}'")
