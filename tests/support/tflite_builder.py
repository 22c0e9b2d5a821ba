"""Write small .tflite files straight from Python, without TensorFlow or its converter.

    >>> builder = ModelBuilder()
    >>> x = builder.tensor((1, 8, 8, 4), scale=0.1, zero_point=-3)
    >>> y = builder.tensor((1, 4, 4, 4), scale=0.1, zero_point=-3)
    >>> window = {"stride_h": 2, "stride_w": 2, "filter_h": 2, "filter_w": 2}
    >>> builder.operator("MAX_POOL_2D", [x], [y], padding="SAME", **window)
    >>> model = builder.build(inputs=[x], outputs=[y])

Operator and option names are those of `thumbnet.codegen.schema`.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt

try:
    from ai_edge_litert import schema_py_generated as schema
except ImportError:  # the oracle's wheel ships the same schema
    from tflite_micro.tensorflow.lite.python import schema_py_generated as schema

Scales = float | Sequence[float] | npt.NDArray[np.floating[Any]]

_OPTIONS_CLASS = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "MEAN": "ReducerOptions",
    "REDUCE_MAX": "ReducerOptions",
    "ADD": "AddOptions",
    "SUB": "SubOptions",
    "MUL": "MulOptions",
    "SQUARED_DIFFERENCE": "SquaredDifferenceOptions",
    "LEAKY_RELU": "LeakyReluOptions",
    "SOFTMAX": "SoftmaxOptions",
    "PAD": "PadOptions",
    "PADV2": "PadV2Options",
    "RESHAPE": "ReshapeOptions",
    "SQUEEZE": "SqueezeOptions",
    "EXPAND_DIMS": "ExpandDimsOptions",
    "TRANSPOSE": "TransposeOptions",
    "CONCATENATION": "ConcatenationOptions",
    "SPLIT": "SplitOptions",
    "SPLIT_V": "SplitVOptions",
    "SLICE": "SliceOptions",
    "STRIDED_SLICE": "StridedSliceOptions",
    "PACK": "PackOptions",
    "UNPACK": "UnpackOptions",
    "QUANTIZE": "QuantizeOptions",
    "DEQUANTIZE": "DequantizeOptions",
}
_OPTION_FIELD = {
    "activation": "fusedActivationFunction",
    "dilation_h": "dilationHFactor",
    "dilation_w": "dilationWFactor",
    "filter_h": "filterHeight",
    "filter_w": "filterWidth",
}


class ModelBuilder:
    """Collects tensors and operators of one subgraph, then packs them into a file."""

    def __init__(self) -> None:
        self._tensors: list[Any] = []
        self._operators: list[Any] = []
        self._codes: list[int] = []
        self._buffers = [schema.BufferT()]  # buffer 0 is empty by convention

    def tensor(
        self,
        shape: Sequence[int],
        dtype: str = "int8",
        *,
        scale: Scales | None = None,
        zero_point: int | Sequence[int] = 0,
        axis: int = 0,
        data: npt.ArrayLike | None = None,
        name: str | None = None,
    ) -> int:
        """Add a tensor and return its index; with `data` it is a constant.

        `scale` may be one number or one per index of `axis`; a single `zero_point` is repeated for each.
        """
        tensor = schema.TensorT()
        tensor.shape = list(shape)
        tensor.type = getattr(schema.TensorType, dtype.upper())
        tensor.name = name or f"t{len(self._tensors)}"
        if data is not None:
            tensor.buffer = self._buffer(np.asarray(data, dtype=dtype).reshape(shape))
        if scale is not None:
            tensor.quantization = _quantization(scale, zero_point, axis)
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def shape(self, index: int) -> list[int]:
        """Shape of a tensor."""
        return list(self._tensors[index].shape)

    def tensor_like(self, index: int, shape: Sequence[int]) -> int:
        """Add a tensor with the type and the quantization of another."""
        tensor = copy.copy(self._tensors[index])
        tensor.shape, tensor.name = list(shape), f"t{len(self._tensors)}"
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def constant(self, data: npt.ArrayLike, dtype: str = "int32", **quantization: Any) -> int:
        """Add a constant tensor with the shape of `data`."""
        array = np.asarray(data, dtype=dtype)
        return self.tensor(array.shape, dtype, data=array, **quantization)

    def operator(self, op: str, inputs: Sequence[int | None], outputs: Sequence[int], **options: Any) -> None:
        """Append an operator; a missing optional input is None."""
        operator = schema.OperatorT()
        operator.opcodeIndex = self._code(getattr(schema.BuiltinOperator, op))
        operator.inputs = [-1 if index is None else index for index in inputs]
        operator.outputs = list(outputs)
        if op in _OPTIONS_CLASS:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, _OPTIONS_CLASS[op])
            operator.builtinOptions = _options(_OPTIONS_CLASS[op], options)
        self._operators.append(operator)

    def build(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """Pack everything into the bytes of a .tflite file."""
        graph = schema.SubGraphT()
        graph.tensors, graph.operators = self._tensors, self._operators
        graph.inputs, graph.outputs = list(inputs), list(outputs)
        model = schema.ModelT()
        model.version = 3
        model.subgraphs, model.buffers = [graph], self._buffers
        model.operatorCodes = [_operator_code(code) for code in self._codes]
        packer = flatbuffers.Builder(1024)
        packer.Finish(model.Pack(packer), b"TFL3")
        return bytes(packer.Output())

    def _buffer(self, array: npt.NDArray[Any]) -> int:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(array).tobytes(), dtype=np.uint8)
        self._buffers.append(buffer)
        return len(self._buffers) - 1

    def _code(self, code: int) -> int:
        if code not in self._codes:
            self._codes.append(code)
        return self._codes.index(code)


def _operator_code(code: int) -> Any:
    operator_code = schema.OperatorCodeT()
    operator_code.builtinCode = code
    operator_code.deprecatedBuiltinCode = min(code, 127)
    return operator_code


def _quantization(scale: Scales, zero_point: int | Sequence[int], axis: int) -> Any:
    quantization = schema.QuantizationParametersT()
    scales = np.atleast_1d(np.asarray(scale, dtype=np.float32))
    zeros = np.broadcast_to(np.asarray(zero_point, dtype=np.int64), scales.shape)
    quantization.scale = [float(value) for value in scales]
    quantization.zeroPoint = [int(value) for value in zeros]
    quantization.quantizedDimension = axis
    return quantization


def _options(class_name: str, values: dict[str, Any]) -> Any:
    options = getattr(schema, class_name + "T")()
    for name, value in values.items():
        field = _OPTION_FIELD.get(name) or _camel(name)
        if not hasattr(options, field):
            raise ValueError(f"{class_name} has no option '{name}'")
        if name == "padding":
            value = getattr(schema.Padding, value)
        if name == "activation":
            value = getattr(schema.ActivationFunctionType, value)
        setattr(options, field, value)
    return options


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
