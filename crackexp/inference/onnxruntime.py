"""The engine ONNX Runtime, which runs on most processors."""

from typing import TYPE_CHECKING, Any

from crackexp.inference.base import Forward, OnnxEngine
from crackexp.utils.extras import require_extra

if TYPE_CHECKING:
    import numpy as np


class OnnxRuntime(OnnxEngine):
    """Computes with ONNX Runtime on the CPU, in float32.

    Raises:
        ConfigError: ONNX Runtime is not installed.

    Example:

    >>> OnnxRuntime().name
    'onnxruntime'
    """

    name = "onnxruntime"

    def __init__(self) -> None:
        require_extra("ONNX Runtime", ["onnxruntime", "onnx"], "engines", "inference=onnxruntime")

    def load(self, graph: bytes, threads: int) -> Forward:
        """Prepares a graph; see `OnnxEngine.load`. One session serves all threads, each of which computes alone."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions have no base of their own
            raise self.unsupported("ONNX Runtime", error) from error
        image = session.get_inputs()[0].name

        def forward(batch: "np.ndarray") -> Any:
            outputs = session.run(None, {image: batch})
            return outputs[0] if len(outputs) == 1 else outputs

        return forward
