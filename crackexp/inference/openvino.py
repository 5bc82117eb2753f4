"""The engine OpenVINO, which is made for Intel's processors and fast on others, too."""

import sys
import threading
from types import ModuleType
from typing import TYPE_CHECKING, Any

from crackexp.inference.base import Forward, OnnxEngine
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

    def load(self, graph: bytes, threads: int) -> Forward:
        """Prepares a graph; see `OnnxEngine.load`. One batch is computed at a time, by all cores."""
        core = _without_telemetry().Core()
        hints: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": "f32",  # it would round to 16 bits by itself where the processor can
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,  # the threads that read images need the cores, too
        }
        try:
            compiled = core.compile_model(core.read_model(graph, b""), "CPU", hints)
        except RuntimeError as error:
            raise self.unsupported("OpenVINO", error) from error
        # with a request in each thread, two of them waited for each other and for Python's lock without end
        request, lock = compiled.create_infer_request(), threading.Lock()
        single = len(compiled.outputs) == 1

        def forward(batch: "np.ndarray") -> Any:
            with lock:
                results = request.infer({0: batch}, share_inputs=False, share_outputs=False)
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
