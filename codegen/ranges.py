"""Which codes a channel can hold, whatever the input: interval analysis over the whole graph.

A channel is an index of a tensor's last axis. Every operator that never decreases when an input grows takes both ends
of an interval to both ends of the result, so that the NumPy reference, which equals TFLM byte for byte, does the
computing. A channel whose interval has one code is a constant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from .ir import Graph, Node, Tensor
from .ops import conv2d, fully_connected
from .ops.base import output_limits, window_padding
from .quantized_math import INT8_MAX, INT8_MIN, requantize
from .reference import interpreter

_Ints = npt.NDArray[np.int64]

#: Functions of one code.
UNARY = frozenset({"LOGISTIC", "TANH", "RELU", "RELU6", "LEAKY_RELU", "RSQRT", "QUANTIZE", "LOOKUP"})
#: Never decrease when a code of any input grows.
_MONOTONE = frozenset(
    {
        *("MAX_POOL_2D", "AVERAGE_POOL_2D", "MEAN", "REDUCE_MAX", "PAD", "PADV2", "RESHAPE", "SQUEEZE", "EXPAND_DIMS"),
        *("TRANSPOSE", "CONCATENATION", "SPLIT", "SPLIT_V", "SLICE", "STRIDED_SLICE", "PACK", "UNPACK"),
    }
)
#: Never turn between the ends of one input while the other stays.
_BILINEAR = frozenset({"ADD", "SUB", "MUL"})


@dataclass(frozen=True)
class Range:
    """Smallest and largest code of every channel, (channels,)."""

    low: _Ints
    high: _Ints

    @property
    def constant(self) -> npt.NDArray[np.bool_]:
        """Channels that hold one code for every input."""
        same: npt.NDArray[np.bool_] = self.low == self.high
        return same


def channels(tensor: Tensor) -> int:
    """Length of the last axis; 1 for a scalar."""
    return tensor.shape[-1] if tensor.shape else 1


def table(graph: Graph, node: Node) -> npt.NDArray[np.int8]:
    """Results of a function of one code for the codes -128 to 127."""
    codes = np.arange(INT8_MIN, INT8_MAX + 1).astype(np.int8)
    held = {t.index: t.data for t in (graph.tensors[i] for i in node.inputs if i is not None) if t.data is not None}
    values = {**held, graph.input(node, 0).index: codes}
    (result,) = interpreter.OPERATORS[node.op](interpreter.Step(graph, node, values))
    return result


def is_unary(graph: Graph, node: Node) -> bool:
    """Whether a layer is a function of one int8 code."""
    return node.op in UNARY and graph.input(node, 0).dtype == "int8" and graph.output(node).dtype == "int8"


def find_ranges(graph: Graph) -> Mapping[int, Range]:
    """Range of every int8 tensor, by index."""
    found = {index: _constant(t) for index, t in graph.tensors.items() if t.dtype == "int8" and t.data is not None}
    found |= {index: _any(graph.tensors[index]) for index in graph.inputs if graph.tensors[index].dtype == "int8"}
    for node in graph.nodes:
        known = all(i in found for i in node.inputs if i is not None and graph.tensors[i].dtype == "int8")
        results = _node(graph, node, found) if known else None
        for position, index in enumerate(node.outputs):
            tensor = graph.tensors[index]
            if tensor.dtype == "int8":
                found[index] = _any(tensor) if results is None else results[position]
    return found


def _any(tensor: Tensor) -> Range:
    return Range(np.full(channels(tensor), INT8_MIN), np.full(channels(tensor), INT8_MAX))


def _constant(tensor: Tensor) -> Range:
    assert tensor.data is not None
    rows = tensor.data.astype(np.int64).reshape(-1, channels(tensor))
    return Range(rows.min(axis=0), rows.max(axis=0)) if rows.size else _any(tensor)


def _node(graph: Graph, node: Node, found: Mapping[int, Range]) -> list[Range] | None:
    """Ranges of the outputs; None where nothing is known of them."""
    if node.op in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
        return _product_sum(graph, node, found)
    if is_unary(graph, node):
        source = found[graph.input(node, 0).index]
        codes = table(graph, node).astype(np.int64)
        ends = [codes[low + 128 : high + 129] for low, high in zip(source.low, source.high, strict=True)]
        if channels(graph.output(node)) != len(ends):
            return None
        return [Range(np.array([part.min() for part in ends]), np.array([part.max() for part in ends]))]
    if node.op in _BILINEAR:
        return [_corners(graph, node, found)]
    return _monotone(graph, node, found) if node.op in _MONOTONE else None


def _monotone(graph: Graph, node: Node, found: Mapping[int, Range]) -> list[Range] | None:
    """Run the reference on a tensor of smallest codes and on one of largest codes."""
    if any(graph.tensors[i].dtype != "int8" for i in node.outputs):
        return None
    ends = []
    for end in ("low", "high"):
        values = {}
        for index in (i for i in node.inputs if i is not None):
            tensor = graph.tensors[index]
            if tensor.data is not None:
                values[index] = tensor.data
            else:
                codes = getattr(found[index], end).astype(np.int8)  # of one channel where there is no axis
                values[index] = np.broadcast_to(codes if tensor.shape else codes[0], tensor.shape)
        results = interpreter.OPERATORS[node.op](interpreter.Step(graph, node, values))
        ends.append([r.reshape(-1, channels(graph.tensors[i])) for r, i in zip(results, node.outputs, strict=True)])
    return [
        Range(low.min(axis=0).astype(np.int64), high.max(axis=0).astype(np.int64))
        for low, high in zip(*ends, strict=True)
    ]


def _corners(graph: Graph, node: Node, found: Mapping[int, Range]) -> Range:
    operands = [found[graph.input(node, position).index] for position in (0, 1)]
    results = []
    for ends in product(("low", "high"), repeat=2):
        values = {}
        for position, (operand, end) in enumerate(zip(operands, ends, strict=True)):
            values[position] = getattr(operand, end).astype(np.int8)
        results.append(_binary(graph, node, values))
    size = channels(graph.output(node))
    spread = [np.broadcast_to(r.astype(np.int64).reshape(-1), (size,)) for r in results]
    return Range(np.minimum.reduce(spread), np.maximum.reduce(spread))


def _binary(graph: Graph, node: Node, values: Mapping[int, npt.NDArray[np.int8]]) -> npt.NDArray[np.int8]:
    """The operator on given operands; they may be one tensor at two ends of its range, hence by position."""
    step = _Operands(graph, node, values)
    (result,) = interpreter.OPERATORS[node.op](step)
    return result


class _Operands(interpreter.Step):
    def value(self, position: int) -> interpreter.Array:
        return self._values[position]


def _product_sum(graph: Graph, node: Node, found: Mapping[int, Range]) -> list[Range] | None:
    """Both ends of the accumulator, requantized."""
    source, target = graph.input(node, 0), graph.output(node)
    weights = graph.input(node, 1).data
    if weights is None:
        return None
    outputs = channels(target)
    span = found[source.index]
    low, high = span.low - source.q.zero_point, span.high - source.q.zero_point
    if node.op != "FULLY_CONNECTED" and pads(graph, node):
        low, high = np.minimum(low, 0), np.maximum(high, 0)
    wide = weights.astype(np.int64)
    axes: tuple[int, ...]
    if node.op == "DEPTHWISE_CONV_2D":
        repeat = outputs // channels(source)
        low, high, axes = np.repeat(low, repeat), np.repeat(high, repeat), (0, 1, 2)
    else:
        axes = tuple(range(1, wide.ndim))
        if wide.shape[-1] % len(low):
            return None
        low, high = (np.tile(end, wide.shape[-1] // len(low)) for end in (low, high))
    bias = graph.optional(node, 2)
    offset = 0 if bias is None or bias.data is None else bias.data.astype(np.int64).reshape(-1)
    ends = (np.minimum(wide * low, wide * high), np.maximum(wide * low, wide * high))
    if node.op == "FULLY_CONNECTED":
        scaling = fully_connected.multipliers(graph, node, outputs)
    else:
        scaling = conv2d.channel_multipliers(graph, node, outputs)
    factors = np.array([m.multiplier for m in scaling]), np.array([m.shift for m in scaling])
    limits = output_limits(node, target)
    clamp = int(str(limits["min"])), int(str(limits["max"]))
    codes = [requantize(end.sum(axis=axes) + offset, *factors, target.q.zero_point, *clamp) for end in ends]
    return [Range(codes[0].astype(np.int64), codes[1].astype(np.int64))]


def windows(graph: Graph, node: Node) -> list[list[tuple[int, ...]]]:
    """Taps that lie inside the input, per output position along height and width, each set once."""
    source, target = graph.input(node, 0), graph.output(node)
    found: list[list[tuple[int, ...]]] = []
    for position, which in enumerate("hw", 1):
        length, kernel = source.shape[position], graph.input(node, 1).shape[position]
        stride, dilation = node.attrs[f"stride_{which}"], node.attrs[f"dilation_{which}"]
        first = -window_padding(node.attrs, which, length, kernel)
        sets = set()
        for start in range(first, first + stride * target.shape[position], stride):
            sets.add(tuple(tap for tap in range(kernel) if 0 <= start + tap * dilation < length))
        found.append(sorted(sets))
    return found


def pads(graph: Graph, node: Node) -> bool:
    """Whether any window of a convolution reaches over the border."""
    kernel = graph.input(node, 1).shape[1:3]
    return any(len(taps) < size for sets, size in zip(windows(graph, node), kernel, strict=True) for taps in sets)
