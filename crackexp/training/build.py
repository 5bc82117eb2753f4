"""Builds the module that a trainer trains from the checked config."""

import contextlib
from typing import Any

from omegaconf import DictConfig

from crackexp.config.checking import instantiate
from crackexp.data.classes.decisions import Classes
from crackexp.training.module import CrackModule
from crackexp.training.parts import Parts
from crackexp.utils.source_code import source_digest


def build_module(parts: Parts, cfg: DictConfig, classes: Classes) -> CrackModule:
    """Returns the untrained module of a run: backbone with its weights, new head, loss, optimizer.

    Args:
        parts: The parts of the run.
        cfg: The checked config.
        classes: The classes that the module tells apart.

    Raises:
        ConfigError: The backbone cannot take the weights or the image size, or the loss does not fit the head.
    """
    backbone, head = parts.backbone.build(cfg.image_size, cfg.seed), parts.head
    network = head.build(backbone.output_shape[1:], len(classes.names), classes.indices, cfg.seed)
    embedding = head.embedding(backbone)
    makers = [parts.backbone] if embedding is backbone else [parts.backbone, head]
    sources = [digest for part in makers if (digest := source_digest(part))]
    return CrackModule(
        embedding,
        network,
        parts.loss,
        instantiate(cfg.optimizer, _partial_=True, **_as_float(cfg.optimizer)),
        " ".join(sources) or None,
    )


def profiled(folder: str | None) -> contextlib.AbstractContextManager[None]:
    """Returns a context that writes a trace of JAX' profiler to `folder`, or does nothing if `folder` is None."""
    if folder is None:
        return contextlib.nullcontext()
    import jax

    return jax.profiler.trace(folder)


def _as_float(optimizer: DictConfig) -> dict[str, Any]:
    """Returns a learning rate that was typed as a whole number as a float, since Keras refuses integers."""
    rate = optimizer.get("learning_rate")
    return {"learning_rate": float(rate)} if isinstance(rate, int) else {}
