"""The engine ONNX Runtime, which runs on most processors."""

from crackexp.inference.base import OnnxEngine, Outputs
from crackexp.utils.extras import require_extra


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

    def load(self, graph: bytes, threads: int) -> Outputs:
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

        return lambda batch: session.run(None, {image: batch})
