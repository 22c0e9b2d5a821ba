"""Run a graph with the NumPy reference, one operator after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import OptionError, UnsupportedError
from ..ir import Graph, Node, Tensor
from ..quantized_math import INT8_MIN
from ..tflite import read_graph
from . import activations, arithmetic, conv, layout, pooling, quantize, reduce
from .fully_connected import fully_connected
from .softmax import softmax

Array = npt.NDArray[Any]


class Step:
    """One node with its tensors and the input values at hand."""

    def __init__(self, graph: Graph, node: Node, values: Mapping[int, Array]) -> None:
        self.node = node
        self.attrs = node.attrs
        self._graph = graph
        self._values = values

    def value(self, position: int) -> Array:
        """Value of an input, which must be there."""
        return self._values[self._graph.input(self.node, position).index]

    def optional(self, position: int) -> Array | None:
        """Value of an input, or None where it is absent."""
        tensor = self._graph.optional(self.node, position)
        return None if tensor is None else self._values[tensor.index]

    def values(self) -> list[Array]:
        """Values of all inputs."""
        return [self.value(position) for position in range(len(self.node.inputs))]

    def input(self, position: int) -> Tensor:
        """Description of an input."""
        return self._graph.input(self.node, position)

    def output(self, position: int = 0) -> Tensor:
        """Description of an output."""
        return self._graph.output(self.node, position)

    def axes(self, position: int) -> list[int]:
        """Input that lists axes, sizes or one number, as integers."""
        return [int(value) for value in np.ravel(self.value(position))]


def run_graph(graph: Graph, inputs: Sequence[npt.ArrayLike], *, keep: bool = False) -> dict[int, Array]:
    """Run all nodes of a graph.

    Parameters
    ----------
    graph : Graph
        As read by `read_graph` or left by any pass that keeps operator semantics.
    inputs : sequence of array_like
        One per model input, in order, with the shape and element type of its tensor.
    keep : bool
        Whether to return every tensor rather than the model's outputs alone.

    Returns
    -------
    dict of int to ndarray
        Values by tensor index.

    Raises
    ------
    OptionError
        When the inputs do not fit the model.
    UnsupportedError
        When the graph holds an operator without a reference.
    """
    values = {index: tensor.data for index, tensor in graph.tensors.items() if tensor.data is not None}
    values.update(_checked_inputs(graph, inputs))
    for node in graph.nodes:
        if node.op not in OPERATORS:
            raise UnsupportedError(f"layer {node.index} is {node.op}, which the reference does not run")
        results = OPERATORS[node.op](Step(graph, node, values))
        for index, result in zip(node.outputs, results, strict=True):
            values[index] = np.ascontiguousarray(result).reshape(graph.tensors[index].shape)
    return values if keep else {index: values[index] for index in graph.outputs}


def run_model(model: bytes, inputs: Sequence[npt.ArrayLike]) -> list[Array]:
    """Run a .tflite file and return its outputs in order."""
    graph = read_graph(model)
    values = run_graph(graph, inputs)
    return [values[index] for index in graph.outputs]


def _checked_inputs(graph: Graph, inputs: Sequence[npt.ArrayLike]) -> dict[int, Array]:
    if len(inputs) != len(graph.inputs):
        raise OptionError(f"the model takes {len(graph.inputs)} inputs, got {len(inputs)}")
    checked = {}
    for index, given in zip(graph.inputs, inputs, strict=True):
        tensor, value = graph.tensors[index], np.asarray(given)
        if value.shape != tensor.shape or value.dtype != np.dtype(tensor.dtype):
            raise OptionError(
                f"input '{tensor.name}' must be {tensor.dtype} of shape {list(tensor.shape)}, "
                f"got {value.dtype} of shape {list(value.shape)}"
            )
        checked[index] = value
    return checked


def _surrounded(step: Step, code: int) -> Array:
    """Input 0 with the explicit padding that a pass has moved into the window."""
    widths = [step.attrs.get(name, (0, 0)) for name in ("pad_h", "pad_w")]
    return (
        np.pad(step.value(0), [(0, 0), *widths, (0, 0)], constant_values=code)
        if any(map(any, widths))
        else step.value(0)
    )


def _conv(function: Callable[..., Array]) -> Callable[[Step], list[Array]]:
    def run(step: Step) -> list[Array]:
        attrs = step.attrs
        result = function(
            _surrounded(step, step.input(0).q.zero_point),
            step.value(1),
            step.optional(2),
            stride=(attrs["stride_h"], attrs["stride_w"]),
            dilation=(attrs["dilation_h"], attrs["dilation_w"]),
            padding=attrs["padding"],
            activation=attrs["activation"],
            q_in=step.input(0).q,
            q_w=step.input(1).q,
            q_out=step.output().q,
        )
        return [result]

    return run


def _fully_connected(step: Step) -> list[Array]:
    result = fully_connected(
        step.value(0),
        step.value(1),
        step.optional(2),
        activation=step.attrs["activation"],
        q_in=step.input(0).q,
        q_w=step.input(1).q,
        q_out=step.output().q,
    )
    return [result]


def _pool(function: Callable[..., Array]) -> Callable[[Step], list[Array]]:
    def run(step: Step) -> list[Array]:
        attrs = step.attrs
        result = function(
            _surrounded(step, INT8_MIN),
            window=(attrs["filter_h"], attrs["filter_w"]),
            stride=(attrs["stride_h"], attrs["stride_w"]),
            padding=attrs["padding"],
            activation=attrs["activation"],
            q_out=step.output().q,
        )
        return [result]

    return run


def _mean(step: Step) -> list[Array]:
    keep_dims, q_in, q_out = step.attrs["keep_dims"], step.input(0).q, step.output().q
    return [reduce.mean(step.value(0), step.axes(1), keep_dims=keep_dims, q_in=q_in, q_out=q_out)]


def _reduce_max(step: Step) -> list[Array]:
    return [reduce.reduce_max(step.value(0), step.axes(1), keep_dims=step.attrs["keep_dims"])]


def _binary(function: Callable[..., Array], *, fused: bool = True) -> Callable[[Step], list[Array]]:
    def run(step: Step) -> list[Array]:
        quantization = {"q_a": step.input(0).q, "q_b": step.input(1).q, "q_out": step.output().q}
        options = {"activation": step.attrs["activation"]} if fused else {}
        return [function(step.value(0), step.value(1), **quantization, **options)]

    return run


def _strided_slice(step: Step) -> list[Array]:
    masks = {name: step.attrs[name] for name in ("begin_mask", "end_mask", "shrink_axis_mask")}
    return [layout.strided_slice(step.value(0), step.axes(1), step.axes(2), step.axes(3), **masks)]


def _split(step: Step) -> list[Array]:
    axis, x = step.axes(0)[0], step.value(1)
    parts = len(step.node.outputs)
    return layout.split(x, [x.shape[axis] // parts] * parts, axis)


def _quantize(step: Step) -> list[Array]:
    return [quantize.quantize(step.value(0), q_in=step.input(0).quantization, q_out=step.output().q)]


def _leaky_relu(step: Step) -> list[Array]:
    alpha, q_in, q_out = step.attrs["alpha"], step.input(0).q, step.output().q
    return [activations.leaky_relu(step.value(0), alpha=alpha, q_in=q_in, q_out=q_out)]


def _reshape(step: Step) -> list[Array]:
    return [layout.reshape(step.value(0), step.output().shape)]


#: The reference of each operator, by its name in the TFLite schema; LOOKUP is a layer that only passes make.
OPERATORS: dict[str, Callable[[Step], list[Array]]] = {
    "CONV_2D": _conv(conv.conv2d),
    "DEPTHWISE_CONV_2D": _conv(conv.depthwise_conv2d),
    "FULLY_CONNECTED": _fully_connected,
    "MAX_POOL_2D": _pool(pooling.max_pool_2d),
    "AVERAGE_POOL_2D": _pool(pooling.average_pool_2d),
    "MEAN": _mean,
    "REDUCE_MAX": _reduce_max,
    "ADD": _binary(arithmetic.add),
    "SUB": _binary(arithmetic.sub),
    "MUL": _binary(arithmetic.mul),
    "SQUARED_DIFFERENCE": _binary(arithmetic.squared_difference, fused=False),
    "LOGISTIC": lambda s: [activations.logistic(s.value(0), q_in=s.input(0).q)],
    "TANH": lambda s: [activations.tanh(s.value(0), q_in=s.input(0).q)],
    "RELU": lambda s: [activations.relu(s.value(0), q_in=s.input(0).q, q_out=s.output().q)],
    "RELU6": lambda s: [activations.relu6(s.value(0), q_in=s.input(0).q)],
    "LEAKY_RELU": _leaky_relu,
    "RSQRT": lambda s: [activations.rsqrt(s.value(0), q_in=s.input(0).q, q_out=s.output().q)],
    "LOOKUP": lambda s: [activations.lookup(s.value(0), s.value(1))],
    "SOFTMAX": lambda s: [softmax(s.value(0), beta=s.attrs["beta"], q_in=s.input(0).q)],
    "PAD": lambda s: [layout.pad(s.value(0), s.value(1), s.output().q.zero_point)],
    "PADV2": lambda s: [layout.pad(s.value(0), s.value(1), int(s.value(2).reshape(())))],
    "RESHAPE": _reshape,
    "SQUEEZE": _reshape,
    "EXPAND_DIMS": _reshape,
    "TRANSPOSE": lambda s: [layout.transpose(s.value(0), s.axes(1))],
    "CONCATENATION": lambda s: [layout.concatenation(s.values(), s.attrs["axis"])],
    "SPLIT": _split,
    "SPLIT_V": lambda s: layout.split(s.value(0), s.axes(1), s.axes(2)[0]),
    "SLICE": lambda s: [layout.slice_(s.value(0), s.axes(1), s.axes(2))],
    "STRIDED_SLICE": _strided_slice,
    "PACK": lambda s: [layout.pack(s.values(), s.attrs["axis"])],
    "UNPACK": lambda s: layout.unpack(s.value(0), s.attrs["axis"]),
    "QUANTIZE": _quantize,
    "DEQUANTIZE": lambda s: [quantize.dequantize(s.value(0), q_in=s.input(0).q)],
}
