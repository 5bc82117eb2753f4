"""Builds what the trainer trains from the checked config."""

import contextlib

from omegaconf import DictConfig

from crackexp.config import instantiate
from crackexp.training.module import CrackModule


def build_module(cfg: DictConfig, num_classes: int, positive: int) -> CrackModule:
    """Returns the untrained module that `cfg` describes: backbone with its weights, new head, loss, optimizer.

    Args:
        cfg: checked.
        num_classes: c.
        positive: the class that means "crack".

    Raises:
        ConfigError: weights or sizes that the backbone cannot take.
    """
    backbone = instantiate(cfg.backbone).build(cfg.image_size, cfg.seed)
    head = instantiate(cfg.head)
    network = head.build(backbone.output_shape[1:], num_classes, positive, cfg.seed)
    return CrackModule(
        head.embedding(backbone), network, instantiate(cfg.loss), instantiate(cfg.optimizer, _partial_=True)
    )


def profiled(folder: str | None) -> contextlib.AbstractContextManager[None]:
    """Returns a context that writes a trace of JAX' profiler to `folder`, or does nothing where it is None."""
    if folder is None:
        return contextlib.nullcontext()
    import jax

    return jax.profiler.trace(folder)
