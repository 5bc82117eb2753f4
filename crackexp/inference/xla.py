"""The engine XLA, by which JAX compiles: it computes every network, also on GPUs."""

import importlib.metadata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from crackexp.inference.base import Engine, Forward

if TYPE_CHECKING:
    import keras

    from crackexp.inference.engine import Inference


class Xla(Engine):
    """Computes with Keras on JAX, whose compiler is XLA: every network, on CPUs and GPUs.

    Example:

    >>> Xla().name
    'xla'
    """

    name = "xla"
    identity = ()
    """The versions of Keras and JAX, which every training depends on, are in the digests anyway."""

    @property
    def version(self) -> str:
        """The version of JAX' compiler."""
        return importlib.metadata.version("jaxlib")

    def compile(self, network: "keras.Model", batch_size: int, threads: int) -> Forward:
        """Prepares a network; see `Engine.compile`."""
        from crackexp.inference.engine import Inference, computing

        return Inference(computing(network), batch_size).forwards()[0]

    def inference(
        self, network: "keras.Model", batch_size: int | None = None, devices: Sequence[Any] | None = None
    ) -> "Inference":
        """Returns a network that reads its weights anew for each stream; see `Engine.inference`."""
        from crackexp.inference.engine import Inference, computing

        return Inference(computing(network), batch_size, devices)
