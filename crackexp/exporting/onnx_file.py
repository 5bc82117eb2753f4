"""Export to ONNX, for ONNX Runtime and other programs that know the standard operators."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import flax.nnx
import keras
import onnx
import onnxruntime
from keras import layers

from crackexp.inference.graph import INPUT, OPSET, onnx_model
from crackexp.inference.graph_writer import UnknownLayerError

OUTPUT = "probabilities"


class _MaxPool(layers.MaxPooling2D):
    """Max pooling that jax2onnx translates to that of ONNX.

    It would translate that of Keras to a pooling over four axes, which ONNX Runtime refuses.
    """

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        return flax.nnx.max_pool(
            inputs, window_shape=self.pool_size, strides=self.strides, padding=self.padding.upper()
        )


class _ClippedReLU(layers.ReLU):
    """ReLU6 as one operator, which ONNX Runtime computes within the convolution before it.

    The layer of Keras would become two operators, with which MobileNetV2 takes twice the time.
    """

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        return keras.ops.clip(inputs, 0.0, self.max_value)


def write_onnx(classifier: keras.Model, file: Path, facts: Mapping[str, str]) -> None:
    """Writes `classifier` as one file, for any number of images.

    The file is written layer by layer; see `onnx_model`. Where the classifier has a layer that is not known there,
    Keras' exporter traces it with jax2onnx instead, which takes far longer.

    Args:
        classifier: The model, which maps uint8 pixels (n, S, S, 3) to probabilities (n, c), float32.
        file: The file to write, with the input "image" and the output "probabilities".
        facts: The metadata of the file.

    Raises:
        NotImplementedError: The model has an operation that cannot be translated. jax2onnx and ONNX Runtime may raise
            other exceptions then, too.
    """
    try:
        model = onnx_model(classifier, outputs=[OUTPUT])
    except UnknownLayerError:
        model = _traced(classifier)
    onnx.helper.set_model_props(model, dict(facts))
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, file)


def _traced(classifier: keras.Model) -> onnx.ModelProto:
    """Returns `classifier` as jax2onnx traces it.

    ONNX Runtime folds constants and batch norms into the convolutions, and uses only standard operators for it.
    """
    network = keras.models.clone_model(classifier, clone_function=_translatable)
    signature = [keras.InputSpec(dtype="uint8", shape=classifier.input_shape, name=INPUT)]
    with tempfile.TemporaryDirectory() as folder:
        traced, folded = Path(folder, "traced.onnx"), Path(folder, "folded.onnx")
        network.export(traced, "onnx", verbose=False, input_signature=signature, opset_version=OPSET)
        _fold(traced, folded)
        model = onnx.load(folded)
    standard = [opset for opset in model.opset_import if opset.domain == ""]
    del model.opset_import[:]
    model.opset_import.extend(standard)
    model.ir_version = onnx.helper.find_min_ir_version_for(standard)
    _rename_output(model.graph)
    return model


def _translatable(layer: layers.Layer) -> layers.Layer:
    """Returns `layer`, or the layer that replaces it for jax2onnx."""
    kind = type(layer)
    if kind is layers.MaxPooling2D and layer.data_format == "channels_last":
        return _MaxPool.from_config(layer.get_config())
    if kind is layers.ReLU and layer.max_value is not None and not (layer.negative_slope or layer.threshold):
        return _ClippedReLU.from_config(layer.get_config())
    return layer


def _fold(traced: Path, folded: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(folded)
    options.log_severity_level = (
        3  # hides the warning that the file depends on this machine, which is untrue at this level
    )
    onnxruntime.InferenceSession(traced, options, providers=["CPUExecutionProvider"])


def _rename_output(graph: onnx.GraphProto) -> None:
    (output,) = graph.output
    for node in graph.node:
        node.output[:] = [OUTPUT if name == output.name else name for name in node.output]
    output.name = OUTPUT
