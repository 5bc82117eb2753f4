"""The engine OpenVINO, which is made for Intel's processors and fast on others, too."""

import queue
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from crackexp.inference.base import OnnxEngine, Outputs
from crackexp.utils.extras import require_extra

if TYPE_CHECKING:
    import numpy as np


class OpenVino(OnnxEngine):
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

    def load(self, graph: bytes, threads: int) -> Outputs:
        """Prepares a graph; see `OnnxEngine.load`. As many batches are computed at a time as there are threads."""
        core = _without_telemetry().Core()
        hints: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": "f32",  # it would round to 16 bits by itself where the processor can
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": threads,
            "ENABLE_CPU_PINNING": False,  # the threads that read images need the cores, too
        }
        try:
            compiled = core.compile_model(core.read_model(graph, b""), "CPU", hints)
        except RuntimeError as error:
            raise self.unsupported("OpenVINO", error) from error
        requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(threads + 1):
            requests.put(compiled.create_infer_request())
        places = range(len(compiled.outputs))

        def outputs(batch: "np.ndarray") -> "list[np.ndarray]":
            request = requests.get()
            try:
                request.start_async({0: batch}, share_inputs=False)
                request.wait()
                return [request.get_output_tensor(place).data.copy() for place in places]
            finally:
                requests.put(request)

        return outputs


def _without_telemetry() -> ModuleType:
    """Imports OpenVINO, which would send a message about each import if it found the package `openvino_telemetry`.

    Where that cannot be imported, OpenVINO has a stub for it.
    """
    if "openvino_telemetry" not in sys.modules:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # None makes its import fail
    import openvino

    return openvino
