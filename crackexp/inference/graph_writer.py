"""The nodes and constants of an ONNX graph while it is written."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

TYPES = {"uint8": TensorProto.UINT8, "float32": TensorProto.FLOAT}


class UnknownLayerError(Exception):
    """A layer that the writer cannot translate; the message names it."""


class Value:
    """A tensor of a graph.

    Attributes:
        name: The name of the tensor.
        shape: Its shape in Keras, with None for the batch. A tensor of four axes is stored with the last one, the
            channels, moved behind the batch.
        dtype: "uint8" or "float32".
    """

    def __init__(self, name: str, shape: Sequence[int | None], dtype: str = "float32") -> None:
        self.name, self.shape, self.dtype = name, tuple(shape), dtype

    def axis(self, axis: int) -> int:
        """Returns where an axis of the tensor in Keras is stored."""
        axis %= len(self.shape)
        return (0, 2, 3, 1)[axis] if len(self.shape) == 4 else axis

    def stored(self, values: Any) -> np.ndarray:
        """Returns a number, or one number for each channel, such that it is broadcast to the stored tensor.

        Raises:
            UnknownLayerError: There are numbers for other axes, too.
        """
        array = np.asarray(values, np.float32)
        if array.ndim > 1:
            raise UnknownLayerError("numbers for more than the last axis")
        return array.reshape(-1, 1, 1) if array.ndim == 1 and len(self.shape) == 4 else array


class Writer:
    """The nodes and constants of a graph while it is written."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}

    def add(
        self, kind: str, inputs: Sequence[Any], shape: Sequence[int | None], dtype: str = "float32", **attributes: Any
    ) -> Value:
        """Adds a node and returns its output.

        Args:
            kind: The operator.
            inputs: Values of the graph, and arrays, which become constants.
            shape: The shape of the output in Keras.
            dtype: The dtype of the output.
            attributes: The attributes of the operator.
        """
        names = [one.name if isinstance(one, Value) else self.constant(one) for one in inputs]
        output = Value(f"{kind}_{len(self.nodes)}", shape, dtype)
        self.nodes.append(helper.make_node(kind, names, [output.name], **attributes))
        return output

    def constant(self, array: np.ndarray) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants[name] = np.ascontiguousarray(array)
        return name

    def as_float(self, x: Value) -> Value:
        return x if x.dtype == "float32" else self.add("Cast", [x], x.shape, to=TensorProto.FLOAT)

    def plain(self, x: Value) -> Value:
        """Returns a tensor whose axes are stored in the order of Keras."""
        if len(x.shape) != 4:
            return x
        return self.add("Transpose", [x], x.shape, x.dtype, perm=[0, 2, 3, 1])

    def entered(self, x: Value) -> Value:
        """Returns a tensor in the order of Keras as tensors are stored in the graph."""
        return self.add("Transpose", [x], x.shape, x.dtype, perm=[0, 3, 1, 2]) if len(x.shape) == 4 else x

    def reshape(self, x: Value, shape: Sequence[int]) -> Value:
        new = self.add("Reshape", [self.plain(x), np.array([-1, *shape], np.int64)], (None, *shape), x.dtype)
        return self.entered(new)
