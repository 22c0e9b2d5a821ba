"""Swap height and width, so that streaming always runs along the first spatial axis.

A 1-D network in image form, (1, channels, time, features), arrives one time step at a time. Seen with its spatial
axes exchanged it is an image that arrives row by row, like any other; the operators exchange their parameters and
their weights. Layers that cannot be exchanged get their input turned back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from ..ir import Graph, Node, Tensor, verify

_ATTRIBUTE_PAIRS = tuple((f"{name}_h", f"{name}_w") for name in ("stride", "dilation", "filter", "pad"))
_WEIGHTED = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D"})
_WINDOWS = _WEIGHTED | {"MAX_POOL_2D", "AVERAGE_POOL_2D"}
_REDUCTIONS = frozenset({"MEAN", "REDUCE_MAX"})
_BINARY = frozenset({"ADD", "SUB", "MUL", "SQUARED_DIFFERENCE"})
_UNARY = frozenset({"LOGISTIC", "TANH", "RELU", "RELU6", "LEAKY_RELU", "RSQRT", "QUANTIZE", "LOOKUP"})
_RESHAPES = frozenset({"RESHAPE", "SQUEEZE", "EXPAND_DIMS"})
#: Layers that take out boxes: inputs that hold one number per axis, and attributes with one bit per axis.
_BOXES = {"STRIDED_SLICE": (1, 2, 3), "SLICE": (1, 2)}
_MASKS = ("begin_mask", "end_mask")
_SWAP = (0, 2, 1, 3)


def swap_axes(graph: Graph, late: Collection[int] = ()) -> tuple[Graph, frozenset[int]]:
    """Exchange the axes of every four-dimensional input, and of all layers after it as far as they go.

    Parameters
    ----------
    graph : Graph
        To be exchanged.
    late : collection of int
        Layers, by number of the node, that shall stay as they are.

    Returns
    -------
    Graph
        The exchanged graph.
    frozenset of int
        The tensors that it holds with their axes exchanged.
    """
    swapper = _Swapper(graph, late)
    return swapper.run(), frozenset(swapper.swapped)


class _Swapper:
    def __init__(self, graph: Graph, late: Collection[int]) -> None:
        self.graph = graph
        self.late = late
        self.tensors = dict(graph.tensors)
        self.swapped: set[int] = set()
        self.nodes: list[Node] = []
        self.restored: dict[int, int] = {}

    def run(self) -> Graph:
        for index in self.graph.inputs:
            if _exchangeable(self.graph.tensors[index]):
                self._swap_tensor(index)
        for node in self.graph.nodes:
            if node.index in self.late:
                self.nodes.append(self._restoring(node))
            else:
                self.nodes.append(self._exchanged(node) if self._can_exchange(node) else self._renamed(node))
        outputs = tuple(self._restored(index) if index in self.swapped else index for index in self.graph.outputs)
        return verify(Graph(self.tensors, tuple(self.nodes), self.graph.inputs, outputs))

    def _swap_tensor(self, index: int) -> None:
        tensor = self.graph.tensors[index]
        data = None if tensor.data is None else np.ascontiguousarray(tensor.data.transpose(_SWAP))
        self.tensors[index] = replace(tensor, shape=_permuted(tensor.shape), data=data)
        self.swapped.add(index)

    def _can_exchange(self, node: Node) -> bool:
        if not any(i in self.swapped for i in node.inputs):
            return False
        if node.op in _REDUCTIONS:
            return self._reduction_exchanges(node)
        if node.op in _BINARY:
            return all(self._operand_exchanges(i) for i in node.inputs)
        if node.op == "CONCATENATION":
            return node.attrs["axis"] in (3, -1) and all(i in self.swapped for i in node.inputs)
        if node.op in _BOXES:
            return self._box_exchanges(node)
        return node.op in _WINDOWS or node.op in _UNARY

    def _box_exchanges(self, node: Node) -> bool:
        """Four axes in, four axes out, by constants."""
        tensors = [self.graph.input(node, position) for position in _BOXES[node.op]]
        same = all(tensor.data is not None and tensor.elements == 4 for tensor in tensors)
        return same and not node.attrs.get("shrink_axis_mask") and _exchangeable(self.graph.output(node))

    def _operand_exchanges(self, index: int | None) -> bool:
        """Swapped already, or one value per channel, or a constant to swap along."""
        if index is None or index in self.swapped:
            return True
        tensor = self.graph.tensors[index]
        return max(tensor.shape[:-1], default=1) == 1 or (tensor.data is not None and _exchangeable(tensor))

    def _reduction_exchanges(self, node: Node) -> bool:
        axes = self.graph.input(node, 1).data
        if axes is None:
            return False
        spatial = {int(a) % 4 for a in axes.reshape(-1)} & {1, 2}
        return bool(node.attrs["keep_dims"]) or len(spatial) == 2

    def _exchanged(self, node: Node) -> Node:
        inputs = list(node.inputs)
        if node.op in _WEIGHTED:
            inputs[1] = self._constant(self.graph.input(node, 1), np.transpose)
        elif node.op in _REDUCTIONS:
            inputs[1] = self._constant(self.graph.input(node, 1), _exchanged_axes)
        elif node.op in _BINARY:
            inputs = [self._exchanged_operand(index) for index in inputs]
        elif node.op in _BOXES:
            for position in _BOXES[node.op]:
                inputs[position] = self._constant(self.graph.input(node, position), _exchanged_numbers)
        for index in node.outputs:
            if _exchangeable(self.graph.tensors[index]):
                self._swap_tensor(index)
        return replace(node, inputs=tuple(inputs), attrs=_exchanged_attributes(node.attrs))

    def _exchanged_operand(self, index: int | None) -> int | None:
        if index is None or index in self.swapped or max(self.graph.tensors[index].shape[:-1], default=1) == 1:
            return index
        return self._constant(self.graph.tensors[index], np.transpose)

    def _constant(self, tensor: Tensor, change: Any) -> int:
        """A changed copy: the constant may be shared with a layer that stays as it is."""
        assert tensor.data is not None
        data = np.ascontiguousarray(change(tensor.data, _SWAP) if change is np.transpose else change(tensor.data))
        return self._add(replace(tensor, data=data, shape=data.shape))

    def _add(self, tensor: Tensor) -> int:
        index = max(self.tensors) + 1
        self.tensors[index] = replace(tensor, index=index)
        return index

    def _renamed(self, node: Node) -> Node:
        """A new shape for the same bytes; an axis of length 1 takes either place, and the longer one comes first."""
        source, target = node.inputs[0], node.outputs[0]
        if node.op not in _RESHAPES or source is None:
            return self._restoring(node)
        before, after = self.tensors[source].shape, self.graph.tensors[target].shape
        turns = len(after) == 4 and after[:2] == (1, 1) and after[2] > 1
        if source in self.swapped and min(before[1:3]) > 1:
            node = self._restoring(node)
        if turns:
            self._swap_tensor(target)
        return node

    def _restoring(self, node: Node) -> Node:
        inputs = tuple(self._restored(i) if i is not None and i in self.swapped else i for i in node.inputs)
        return replace(node, inputs=inputs)

    def _restored(self, index: int) -> int:
        """The tensor in its own layout, by a TRANSPOSE, or a RESHAPE where one of the axes has length 1."""
        if index not in self.restored:
            original, here = self.graph.tensors[index], self.tensors[index]
            self.restored[index] = out = self._add(replace(original, data=None))
            if min(here.shape[1:3]) == 1:
                node = Node(-1, "RESHAPE", (index,), (out,))
            else:
                permutation = Tensor(0, "axes", (4,), "int32", None, np.array(_SWAP, np.int32))
                node = Node(-1, "TRANSPOSE", (index, self._add(permutation)), (out,))
            self.nodes.append(replace(node, index=max(n.index for n in (*self.nodes, *self.graph.nodes)) + 1))
        return self.restored[index]


def _exchangeable(tensor: Tensor) -> bool:
    return len(tensor.shape) == 4 and tensor.shape[0] == 1


def _permuted(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(shape[i] for i in _SWAP)


def _exchanged_axes(axes: Any) -> Any:
    exchange = {1: 2, 2: 1, -2: -3, -3: -2}
    return np.array([exchange.get(int(a), int(a)) for a in axes.reshape(-1)], np.int32)


def _exchanged_numbers(numbers: Any) -> Any:
    return numbers.reshape(-1)[list(_SWAP)]


def _exchanged_attributes(attrs: Mapping[str, Any]) -> Mapping[str, Any]:
    changed = dict(attrs)
    for first, second in _ATTRIBUTE_PAIRS:
        if first in attrs:
            changed[first], changed[second] = attrs[second], attrs[first]
    for name in _MASKS:
        if name in attrs:
            bits = attrs[name]
            changed[name] = bits & ~0b110 | (bits & 0b010) << 1 | (bits & 0b100) >> 1
    return MappingProxyType(changed)
