"""The choice of the engine that is fastest on this machine."""

import hashlib
import json
import logging
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import repeat
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import loky
import numpy as np

from crackexp.config.types import Text
from crackexp.inference.base import Engine, Forward, OnnxEngine, UnsupportedNetworkError
from crackexp.inference.measured import measured_once
from crackexp.inference.onnxruntime import OnnxRuntime
from crackexp.inference.openvino import OpenVino
from crackexp.inference.xla import Xla
from crackexp.utils.errors import ConfigError

if TYPE_CHECKING:
    import keras

    from crackexp.inference.engine import Inference

MARGIN = 1.3
"""How many times as fast as the first an engine must be to be chosen, so that noise changes no choice, and no bit."""
ROUNDS, SECONDS = 3, 0.12
"""How often and how long each engine is measured, in turn with the others."""
GRAPH, BATCH = "graph.onnx", "batch.npy"
"""The files of a graph and a batch for `try_engine`."""
TRIAL = "import sys; from crackexp.inference.auto import try_engine; try_engine(*sys.argv[1:])"
"""The program that tries an engine."""

_log = logging.getLogger(__name__)


class Auto(Engine):
    """Takes the fastest engine that is installed: OpenVINO, ONNX Runtime or XLA, in this order where they are close.

    The engines compute a network for a moment, once on each machine for each architecture and image size.
    A network that only XLA can compute is computed by XLA, as is every network where JAX computes on a GPU or on
    several devices. XLA is not measured where OpenVINO is installed: it takes seconds to compile, and was slower on
    every machine. An engine that ends its process, as OpenVINO does on some processors, is not used: each computes the
    network in a process of its own first.

    Args:
        cache: The folder that keeps what was chosen.

    Example:

    >>> Auto("cache").name
    'auto'
    """

    name = "auto"
    unrelated_to_result = ("cache",)

    def __init__(self, cache: Text) -> None:
        self.cache = Path(cache)
        self.engines = installed()

    @property
    def version(self) -> str:
        """The versions of the engines among which one is taken."""
        return " ".join(engine.version for engine in self.engines)

    @property
    def identity(self) -> tuple[str, ...]:
        """The names and versions of the engines among which one may be taken; nothing where that is XLA alone."""
        import jax

        if jax.default_backend() != "cpu":
            return ()
        return tuple(part for engine in self.engines for part in engine.identity)

    def compile(self, network: "keras.Model", batch_size: int, threads: int) -> Forward:
        """Prepares a network with XLA; `inference` chooses."""
        return Xla().compile(network, batch_size, threads)

    def inference(
        self, network: "keras.Model", batch_size: int | None = None, devices: Sequence[Any] | None = None
    ) -> "Inference":
        """Returns a network that the fastest engine runs; see `Engine.inference`."""
        import jax

        if not self.engines or jax.default_backend() != "cpu" or len(devices or [0]) > 1 or jax.process_count() > 1:
            return Xla().inference(network, batch_size, devices)
        try:
            return self._fastest(network, batch_size, devices)
        except UnsupportedNetworkError as error:
            _log.info("Computing with xla. %s", str(error).partition(". ")[0])
            return Xla().inference(network, batch_size, devices)

    def _fastest(self, network: "keras.Model", batch_size: int | None, devices: Sequence[Any] | None) -> "Inference":
        """Returns the network with the engine that was chosen before, or is chosen now and kept.

        Raises:
            UnsupportedNetworkError: No engine but XLA can compute the network.
        """
        engines: dict[str, Engine] = {engine.name: engine for engine in [*self.engines, Xla()]}
        built: dict[str, Inference] = {}

        def measure() -> dict[str, Any]:
            usable = _candidates(_enduring(self.engines, network))
            built.update({engine.name: engine.inference(network, None, devices) for engine in usable})
            fastest, rates = _measured(built)
            return {"engine": fastest, "images_per_second": rates}

        def read(kept: Any) -> tuple[str, dict[str, float]]:
            if kept["engine"] not in engines:
                raise ValueError(kept["engine"])
            return kept["engine"], {str(name): float(rate) for name, rate in kept["images_per_second"].items()}

        chosen, rates = measured_once(self.cache, self._key(network), read, measure)
        inference = built.get(chosen) if batch_size is None else None
        inference = inference or _proven(engines[chosen], network, batch_size, devices)
        speeds = ", ".join(f"{name} {rate:.0f}" for name, rate in rates.items())
        measured = f" (images a second when it was chosen: {speeds})" if speeds else ""
        _log.info("Computing with %s %s%s", chosen, engines[chosen].version, measured)
        return inference

    def _key(self, network: "keras.Model") -> str:
        """Returns 16 hex digits over what the speeds of the engines depend on."""
        parts = [
            processor(),
            loky.cpu_count(),
            [(engine.name, engine.version) for engine in [*self.engines, Xla()]],
            [network.input_shape, network.count_params()],
            [type(layer).__name__ for layer in network.layers],
        ]
        return hashlib.blake2b(json.dumps(parts).encode(), digest_size=8).hexdigest()


def installed() -> list[OnnxEngine]:
    """Returns the engines beside XLA that are installed, the one to prefer first."""
    engines: list[OnnxEngine] = []
    for kind in (OpenVino, OnnxRuntime):
        with suppress(ConfigError):
            engines.append(kind())
    return engines


def processor() -> str:
    """Returns the name of the processor, as far as the system tells it."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _proven(
    engine: Engine, network: "keras.Model", batch_size: int | None, devices: Sequence[Any] | None
) -> "Inference":
    """Returns a network with an engine that has computed it on this machine before, as `Engine.inference` does."""
    from crackexp.inference.engine import EngineInference

    if engine.name == Xla.name:
        return engine.inference(network, batch_size, devices)
    return EngineInference(engine, network, batch_size, devices, proven=True)


def _candidates(engines: Sequence[Engine]) -> list[Engine]:
    """Returns the engines to measure, the one to prefer first: `engines`, and XLA where OpenVINO is not among them."""
    return [*engines] if any(engine.name == OpenVino.name for engine in engines) else [*engines, Xla()]


def _enduring(engines: Sequence[OnnxEngine], network: "keras.Model") -> list[OnnxEngine]:
    """Returns those of `engines` by which another process can compute a network: some end it on some processors.

    Raises:
        UnsupportedNetworkError: There is no graph of the network.
    """
    from crackexp.inference.engine import blank_batch, cpu_batch

    try:
        from crackexp.inference.graph import supported_model
    except ImportError as error:  # of onnx, where it is installed but broken
        raise UnsupportedNetworkError(f"The graph of a network cannot be written: {error}") from error
    size = cpu_batch(network.input_shape[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    words = [sys.executable, "-P", "-c", TRIAL]
    enduring = []
    with TemporaryDirectory() as folder:
        Path(folder, GRAPH).write_bytes(supported_model(network, size, engines[0].name).SerializeToString())
        np.save(Path(folder, BATCH), blank_batch(network, size))
        trials = [
            subprocess.Popen(
                [*words, folder, engine.name],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
            )
            for engine in engines
        ]
        for engine, trial in zip(engines, trials, strict=True):
            _, said = trial.communicate()
            if trial.returncode == 0:
                enduring.append(engine)
                continue
            ended = f"status {trial.returncode}"
            if trial.returncode < 0:
                ended = signal.Signals(-trial.returncode).name
            reason = "; ".join(["", *said.strip().splitlines()[-1:]])
            _log.warning("%s %s is not used: it ends with %s%s", engine.name, engine.version, ended, reason)
    return enduring


def try_engine(folder: str, name: str) -> None:
    """Computes a batch with an engine, in a process that this may end.

    Args:
        folder: The folder with the graph and the batch.
        name: The name of the engine.
    """
    (engine,) = (engine for engine in installed() if engine.name == name)
    engine.load(Path(folder, GRAPH).read_bytes(), threads=1)(np.load(Path(folder, BATCH)))


def _measured(inferences: Mapping[str, "Inference"]) -> tuple[str, dict[str, float]]:
    """Returns the engine to take, and the speeds of all in images a second.

    The first is taken, unless another is faster by more than `MARGIN`. The speed of an engine is the best of `ROUNDS`,
    since other programs only slow it. One alone is not measured.
    """
    if len(inferences) == 1:
        return next(iter(inferences)), {}
    rates = dict.fromkeys(inferences, 0.0)
    for _ in range(ROUNDS):
        for name, inference in inferences.items():
            rates[name] = max(rates[name], _rate(inference))
    first, fastest = next(iter(rates)), max(rates, key=lambda name: rates[name])
    return fastest if rates[fastest] > MARGIN * rates[first] else first, rates


def _rate(inference: "Inference") -> float:
    """Returns how many images a second a network computes, after each core has run it once."""
    from crackexp.inference.engine import blank_batch

    outputs = inference.stream(repeat(blank_batch(inference.model, inference.batch_size)))
    for _ in range(inference.workers):
        next(outputs)
    started = time.perf_counter()
    for count, _ in enumerate(outputs, start=1):
        seconds = time.perf_counter() - started
        if seconds > SECONDS and count >= 2 * inference.workers:
            break
    return count * inference.batch_size / seconds
