"""What every engine is: the base class that an engine of a user's own inherits too."""

import importlib.metadata
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from crackexp.utils.errors import ConfigError

if TYPE_CHECKING:
    import keras
    import numpy as np

    from crackexp.inference.engine import Inference

Forward = Callable[["np.ndarray"], Any]
"""A function of a batch, (B, S, S, 3), to the outputs of a network: an array, or a sequence of arrays."""
Outputs = Callable[["np.ndarray"], "list[np.ndarray]"]
"""A function of a batch to the outputs of a network, also where there is one alone."""


class UnsupportedNetworkError(ConfigError):
    """An engine cannot compute a network; the message says why."""


class Engine(ABC):
    """Computes networks that are not trained any more.

    An engine of your own inherits this class and implements `version` and `compile`. A config names it by its
    ``_target_``, and the other keys of the config are the arguments of its constructor, which raises `ConfigError`
    where the engine cannot be used, before any work begins.

    Attributes:
        name: The name of the engine.

    Example:

    >>> class Eager(Engine):
    ...     name = "eager"
    ...     version = "1"
    ...
    ...     def compile(self, network, batch_size, threads):
    ...         return lambda batch: network(batch, training=False).__array__()
    >>> Eager().identity
    ('eager', '1')
    """

    name: ClassVar[str]

    @property
    @abstractmethod
    def version(self) -> str:
        """The version of the engine. Embeddings of another version are computed anew."""

    @abstractmethod
    def compile(self, network: "keras.Model", batch_size: int, threads: int) -> Forward:
        """Prepares a network, with its weights as they are now.

        Args:
            network: A model of (B, S, S, 3) uint8 images to one output or several, each row of which depends on its own
                image alone.
            batch_size: The size B of a batch.
            threads: The number of batches to compute at the same time, one for each core. One thread more will call the
                function, so that a batch is ready for the core that is done first.

        Returns:
            A function that computes the outputs of a batch on one core, float32, and may be called by several threads
            at the same time. The bits of a row must not depend on the other rows of its batch.

        Raises:
            UnsupportedNetworkError: The engine cannot compute the network.
        """

    @property
    def identity(self) -> tuple[str, ...]:
        """What of the engine is part of the digests of embeddings and trainings: by default its name and version."""
        return (self.name, self.version)

    def inference(
        self, network: "keras.Model", batch_size: int | None = None, devices: Sequence[Any] | None = None
    ) -> "Inference":
        """Returns a network that this engine runs over batches; see `Inference`.

        Args:
            network: The network, as it was built or loaded.
            batch_size: The number of images in a batch; None for the number that is fastest.
            devices: The devices of JAX that a training computes on; None for the first.

        Raises:
            UnsupportedNetworkError: The engine cannot compute the network, or not on these devices.
        """
        from crackexp.inference.engine import EngineInference

        return EngineInference(self, network, batch_size, devices)


class OnnxEngine(Engine):
    """An engine that reads the ONNX graph of a network. Its name is that of its package."""

    @property
    def version(self) -> str:
        """The version of the package."""
        return importlib.metadata.version(self.name)

    def unsupported(self, title: str, error: Exception) -> UnsupportedNetworkError:
        """Returns the error to raise where the engine, called `title`, fails to prepare a graph with `error`."""
        reason = str(error).strip().splitlines()[-1]
        return UnsupportedNetworkError(
            f"{title} cannot compute the network: {reason}. Type inference=xla or inference=auto. "
            f"Received: inference={self.name}"
        )

    @abstractmethod
    def load(self, graph: bytes, threads: int) -> Outputs:
        """Prepares a graph, as `compile` prepares a network.

        Args:
            graph: An ONNX model, whose only input is the batch.
            threads: The number of batches to compute at the same time.

        Returns:
            A function that computes all outputs of a batch, as that of `compile` does.

        Raises:
            UnsupportedNetworkError: The engine cannot compute the graph.
        """

    def compile(self, network: "keras.Model", batch_size: int, threads: int) -> Forward:
        """Prepares a network; see `Engine.compile`. The graph has the weights of now, and its first batch loads it."""
        from crackexp.inference.graph import supported_model

        graph = supported_model(network, batch_size, self.name).SerializeToString()
        loaded = cache(lambda: self.load(graph, threads))

        def forward(batch: "np.ndarray") -> Any:
            arrays = loaded()(batch)
            return arrays[0] if len(arrays) == 1 else arrays

        return forward
