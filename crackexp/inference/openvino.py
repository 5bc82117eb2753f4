"""The engine OpenVINO, which is made for Intel's processors and fast on others, too."""

import importlib.metadata
import sys
import threading
from types import ModuleType
from typing import TYPE_CHECKING, Any

from crackexp.inference.base import Engine, Forward, UnsupportedNetworkError
from crackexp.utils.extras import require_extra

if TYPE_CHECKING:
    import keras
    import numpy as np


class OpenVino(Engine):
    """Computes with OpenVINO on the CPU, in float32.

    Raises:
        ConfigError: OpenVINO is not installed.

    Example:

    >>> OpenVino().name
    'openvino'
    """

    name = "openvino"

    def __init__(self) -> None:
        require_extra("OpenVINO", ["openvino", "onnx"], "engines", "inference=openvino")

    @property
    def version(self) -> str:
        """The version of OpenVINO."""
        return importlib.metadata.version("openvino")

    def compile(self, network: "keras.Model", batch_size: int, threads: int) -> Forward:
        """Prepares a network; see `Engine.compile`. Each thread has a stream of OpenVINO to itself."""
        from crackexp.inference.graph import supported_model

        core = _without_telemetry().Core()
        graph = supported_model(network, batch_size, self.name).SerializeToString()
        hints: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": "f32",  # it would round to 16 bits by itself where the processor can
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": threads,
            "ENABLE_CPU_PINNING": False,  # the threads that read images need the cores, too
        }
        try:
            compiled = core.compile_model(core.read_model(graph, b""), "CPU", hints)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise UnsupportedNetworkError(
                f"OpenVINO cannot compute the network: {reason}. Type inference=xla or inference=auto. "
                f"Received: inference={self.name}"
            ) from error
        local = threading.local()
        single = len(compiled.outputs) == 1

        def forward(batch: "np.ndarray") -> Any:
            if not hasattr(local, "request"):
                local.request = compiled.create_infer_request()
            results = local.request.infer({0: batch}, share_inputs=True, share_outputs=False)
            outputs = [results[output] for output in compiled.outputs]
            return outputs[0] if single else outputs

        return forward


def _without_telemetry() -> ModuleType:
    """Imports OpenVINO, which would send a message about each import if it found the package `openvino_telemetry`.

    Where that cannot be imported, OpenVINO has a stub for it.
    """
    if "openvino_telemetry" not in sys.modules:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # None makes its import fail
    import openvino

    return openvino
