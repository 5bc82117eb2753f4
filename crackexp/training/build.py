"""Builds what the trainer trains from the checked config."""

import contextlib
from typing import Any

from omegaconf import DictConfig

from crackexp.config.checking import instantiate
from crackexp.decisions import Classes
from crackexp.sources import source_digest
from crackexp.training.module import CrackModule


def build_module(cfg: DictConfig, classes: Classes) -> CrackModule:
    """Returns the untrained module that `cfg` describes: backbone with its weights, new head, loss, optimizer.

    Args:
        cfg: checked.
        classes: that the module tells apart.

    Raises:
        ConfigError: weights or sizes that the backbone cannot take.
    """
    builder = instantiate(cfg.backbone)
    backbone = builder.build(cfg.image_size, cfg.seed)
    head = instantiate(cfg.head)
    network = head.build(backbone.output_shape[1:], len(classes.names), classes.indices, cfg.seed)
    embedding = head.embedding(backbone)
    parts = [builder] if embedding is backbone else [builder, head]
    sources = [found for part in parts if (found := source_digest(part))]
    return CrackModule(
        embedding,
        network,
        instantiate(cfg.loss),
        instantiate(cfg.optimizer, _partial_=True, **_as_float(cfg.optimizer)),
        " ".join(sources) or None,
    )


def profiled(folder: str | None) -> contextlib.AbstractContextManager[None]:
    """Returns a context that writes a trace of JAX' profiler to `folder`, or does nothing where it is None."""
    if folder is None:
        return contextlib.nullcontext()
    import jax

    return jax.profiler.trace(folder)


def _as_float(optimizer: DictConfig) -> dict[str, Any]:
    """Returns a learning rate that was typed as a whole number as Keras takes it, which refuses integers."""
    rate = optimizer.get("learning_rate")
    return {"learning_rate": float(rate)} if isinstance(rate, int) else {}
