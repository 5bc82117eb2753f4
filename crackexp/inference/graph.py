"""ONNX graphs written from Keras models, layer by layer, for engines and programs that read ONNX.

Feature maps are kept with channels first between the layers, as ONNX has them, so an image is transposed once where it
enters the graph. Batch norms are folded into the convolutions before them.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, cast

import keras
import numpy as np
import onnx
from onnx import helper, numpy_helper

from crackexp.inference.base import UnsupportedNetworkError
from crackexp.inference.graph_layers import LAYERS
from crackexp.inference.graph_writer import TYPES, UnknownLayerError, Value, Writer

OPSET = 18
"""The version of the operators: old enough for old runtimes, and the first with reductions whose axes are inputs."""
MOST_BYTES = 2**31 - 2**20
"""The bytes that the weights may take: a graph is one message of protobuf, which has less than 2 GiB."""
INPUT = "image"
"""The name of the input of a graph."""


def onnx_model(
    model: keras.Model,
    batch_size: int | None = None,
    outputs: Sequence[str] | None = None,
) -> onnx.ModelProto:
    """Returns the ONNX model of a Keras model, with its weights as they are now.

    Args:
        model: A functional or sequential model with one input, built of layers of `LAYERS` that compute in float32.
        batch_size: The number of inputs of a batch; None for any.
        outputs: The names of the outputs; None for "output", or "output_0", "output_1" and so on.

    Raises:
        UnknownLayerError: The model has a layer, or a layer has an argument, that the writer does not know.
    """
    (image,) = model.inputs
    if image.dtype not in TYPES:
        raise UnknownLayerError(f"an input of {image.dtype}")
    writer = Writer()
    entry = Value(INPUT, image.shape, image.dtype)
    values = [writer.plain(value) for value in _run(writer, model, [writer.entered(entry)])]
    names = outputs or (["output"] if len(values) == 1 else [f"output_{number}" for number in range(len(values))])
    values = [writer.add("Identity", [value], value.shape, value.dtype) for value in values]
    for value, name in zip(values, names, strict=True):
        writer.nodes[[node.output[0] for node in writer.nodes].index(value.name)].output[0] = name
    _fold_batch_norms(writer)
    _fold_identities(writer)

    def info(name: str, value: Value) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TYPES[value.dtype], [batch_size or "n", *value.shape[1:]])

    used = {name for node in writer.nodes for name in node.input}
    constants = [numpy_helper.from_array(array, name) for name, array in writer.constants.items() if name in used]
    graph = helper.make_graph(
        writer.nodes,
        "crackexp",
        [info(INPUT, entry)],
        [info(name, value) for name, value in zip(names, values, strict=True)],
        constants,
    )
    opsets = [helper.make_opsetid("", OPSET)]
    made = helper.make_model(graph, opset_imports=opsets, producer_name="crackexp")
    made.ir_version = helper.find_min_ir_version_for(opsets)
    return made


def supported_model(model: keras.Model, batch_size: int, engine: str) -> onnx.ModelProto:
    """Returns `onnx_model`, and says what to type where the writer does not know a layer.

    Raises:
        UnsupportedNetworkError: The writer does not know a layer, or the weights are too many for one graph.
    """
    if sum(weight.nbytes for weight in model.get_weights()) > MOST_BYTES:
        raise UnsupportedNetworkError(
            f"The network has more weights than an ONNX graph for {engine} can hold. Type inference=xla or "
            f"inference=auto. Received: inference={engine}"
        )
    try:
        return onnx_model(model, batch_size)
    except UnknownLayerError as error:
        raise UnsupportedNetworkError(
            f"The network cannot be written for {engine}: {error}. Type inference=xla, which computes every network, "
            f"or inference=auto. Received: inference={engine}"
        ) from None


def _run(writer: Writer, model: keras.Model, inputs: Sequence[Value]) -> list[Value]:
    """Adds the layers of a model, and of the models within it, and returns the outputs."""
    if isinstance(model, keras.Sequential):
        model = keras.Model(model.inputs, model.outputs)
    elif not hasattr(model, "_run_through_graph"):
        raise UnknownLayerError(f"model {model.name} ({type(model).__name__})")

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        values = keras.tree.flatten(args)
        if not values or any(isinstance(value, Value) for value in keras.tree.flatten(kwargs)):
            raise UnknownLayerError(f"layer {layer.name} ({type(layer).__name__}), whose inputs have names")
        if isinstance(layer, keras.Model):
            outputs = _run(writer, layer, values)
            return outputs[0] if len(outputs) == 1 else outputs
        return _layer(writer, layer, values)

    return cast(list[Value], keras.tree.flatten(model._run_through_graph(list(inputs), call_fn=call)))


def _layer(writer: Writer, layer: Any, values: Sequence[Any]) -> Value:
    name = f"layer {layer.name} ({type(layer).__name__})"
    write = LAYERS.get(type(layer))
    if write is None or not all(isinstance(value, Value) for value in values):
        raise UnknownLayerError(name)
    if layer.compute_dtype != "float32" or getattr(layer, "quantization_mode", None):
        raise UnknownLayerError(f"{name} computes in {layer.dtype_policy.name}")
    try:
        return write(writer, layer, *values)
    except UnknownLayerError as error:
        raise UnknownLayerError(f"{name}, {error}") from None


def _fold_batch_norms(writer: Writer) -> None:
    """Multiplies the kernels of convolutions by the batch norms that alone read them."""
    uses = Counter(name for node in writer.nodes for name in node.input)
    made_by = {node.output[0]: node for node in writer.nodes}
    kept = []
    for node in writer.nodes:
        before = made_by.get(node.input[0])
        if (
            node.op_type != "BatchNormalization"
            or before is None
            or before.op_type != "Conv"
            or uses[before.output[0]] > 1
        ):
            kept.append(node)
            continue
        gamma, beta, mean, variance = (writer.constants[name].astype(np.float64) for name in node.input[1:])
        factor = gamma / np.sqrt(variance + node.attribute[0].f)
        kernel = writer.constants[before.input[1]]
        bias = writer.constants[before.input[2]] if len(before.input) > 2 else np.zeros(len(kernel))
        names = [
            writer.constant(array.astype(np.float32))
            for array in (
                kernel * factor.reshape(-1, 1, 1, 1),
                (bias - mean) * factor + beta,
            )
        ]
        before.input[1:] = names
        before.output[0] = node.output[0]
        made_by[node.output[0]] = before
    writer.nodes = kept


def _fold_identities(writer: Writer) -> None:
    """Removes the last nodes, which only rename an output, where another node can have its name."""
    uses = Counter(name for node in writer.nodes for name in node.input)
    made_by = {node.output[0]: node for node in writer.nodes}
    for node in [node for node in writer.nodes if node.op_type == "Identity"]:
        before = made_by.get(node.input[0])
        if before is not None and uses[node.input[0]] == 1:
            before.output[0] = node.output[0]
            writer.nodes.remove(node)
