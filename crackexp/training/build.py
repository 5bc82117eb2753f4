"""Builds what the trainer trains from the checked config."""

import contextlib

from omegaconf import DictConfig

from crackexp.config import instantiate
from crackexp.models.classifier import build_head
from crackexp.training.module import CrackModule


def build_module(cfg: DictConfig, num_classes: int) -> CrackModule:
    """Returns the untrained module that `cfg` describes: backbone with its weights, new head, loss, optimizer.

    Raises:
        ConfigError: weights or sizes that the backbone cannot take.
    """
    backbone = instantiate(cfg.backbone).build(cfg.image_size, cfg.seed)
    head = build_head(backbone.output_shape[-1], num_classes, cfg.dropout, cfg.seed)
    return CrackModule(backbone, head, instantiate(cfg.loss), instantiate(cfg.optimizer, _partial_=True))


def profiled(folder: str | None) -> contextlib.AbstractContextManager[None]:
    """Returns a context that writes a trace of JAX' profiler to `folder`, or does nothing where it is None."""
    if folder is None:
        return contextlib.nullcontext()
    import jax

    return jax.profiler.trace(folder)
