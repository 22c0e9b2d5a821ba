"""Which channels can only be removed together.

Pooling, element-wise layers and depthwise convolutions give channel c from channel c: their inputs and outputs lose it
together or keep it. Convolutions and dense layers mix channels and so begin and end such groups. Whatever this module
does not know stays whole.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..ir import Graph, Node, Tensor
from ..ranges import channels, is_unary
from ..reference.reduce import resolve_axes

#: Channel of a tensor: (tensor index, position along the last axis).
Channel = tuple[int, int]

#: Layers that mix all channels of their input.
MIXERS = frozenset({"CONV_2D", "FULLY_CONNECTED"})
_POOLS = frozenset({"MAX_POOL_2D", "AVERAGE_POOL_2D"})
_BINARY = frozenset({"ADD", "SUB", "MUL", "SQUARED_DIFFERENCE"})
_SHAPES = frozenset({"RESHAPE", "SQUEEZE", "EXPAND_DIMS"})


class Ties:
    """Groups of channels, as a forest of sets; `whole` holds the tensors that keep all of theirs."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.whole = {*graph.inputs, *graph.outputs}
        self._parent: dict[Channel, Channel] = {}
        for node in graph.nodes:
            if not self._tie(node):
                self.whole.update(t.index for t in self._values(node))

    def root(self, channel: Channel) -> Channel:
        """Representative of the channel's group."""
        while channel in self._parent:
            parent = self._parent[channel]
            if parent in self._parent:
                self._parent[channel] = self._parent[parent]
            channel = parent
        return channel

    def tensors(self) -> Iterable[int]:
        """Everything that is computed or given, in order."""
        return (*self.graph.inputs, *(index for node in self.graph.nodes for index in node.outputs))

    def _values(self, node: Node) -> list[Tensor]:
        indices = (*(i for i in node.inputs if i is not None), *node.outputs)
        return [self.graph.tensors[i] for i in indices if self.graph.tensors[i].data is None]

    def _join(self, first: Channel, second: Channel) -> None:
        a, b = self.root(first), self.root(second)
        if a != b:
            self._parent[b] = a

    def _tie(self, node: Node) -> bool:
        """Join the channels that go together; False when the layer is not understood."""
        if any(t.dtype != "int8" for t in self._values(node)) or len(node.outputs) != 1:
            return False
        if node.op not in (*_BINARY, "CONCATENATION") and self.graph.input(node, 0).data is not None:
            return False
        if node.op in MIXERS:
            return _spans_channels(self.graph, node)
        if node.op == "DEPTHWISE_CONV_2D":
            return self._repeated(node)
        if node.op in _POOLS or node.op in ("PAD", "PADV2") or is_unary(self.graph, node):
            return self._straight(node)
        if node.op in _BINARY:
            return self._operands(node)
        if node.op in ("MEAN", "REDUCE_MAX"):
            return self._reduced(node)
        if node.op == "CONCATENATION":
            return self._concatenated(node)
        return self._reshaped(node) if node.op in _SHAPES else False

    def _straight(self, node: Node) -> bool:
        source, target = self.graph.input(node, 0), self.graph.output(node)
        if channels(source) != channels(target):
            return False
        if node.op in ("PAD", "PADV2"):
            widths = self.graph.input(node, 1).data
            if widths is None or widths.reshape(-1)[-2:].any():
                return False
        for position in range(channels(target)):
            self._join((source.index, position), (target.index, position))
        return True

    def _repeated(self, node: Node) -> bool:
        source, target = self.graph.input(node, 0), self.graph.output(node)
        repeat = channels(target) // channels(source)
        for position in range(channels(target)):
            self._join((source.index, position // repeat), (target.index, position))
        return True

    def _operands(self, node: Node) -> bool:
        target = self.graph.output(node)
        for source in (self.graph.input(node, 0), self.graph.input(node, 1)):
            if source.data is not None:
                continue
            if channels(source) != channels(target):
                self.whole.add(source.index)
                continue
            for position in range(channels(target)):
                self._join((source.index, position), (target.index, position))
        return True

    def _reduced(self, node: Node) -> bool:
        source, axes = self.graph.input(node, 0), self.graph.input(node, 1).data
        if axes is None or len(source.shape) - 1 in resolve_axes(axes.reshape(-1).tolist(), len(source.shape)):
            return False
        return self._straight(node)

    def _concatenated(self, node: Node) -> bool:
        target = self.graph.output(node)
        joined = node.attrs["axis"] % len(target.shape) == len(target.shape) - 1
        start = 0
        for index in node.inputs:
            assert index is not None  # a constraint
            count = channels(self.graph.tensors[index])
            for position in range(count) if self.graph.tensors[index].data is None else ():
                self._join((index, position), (target.index, start + position))
            start += count if joined else 0
        return joined or all(self.graph.input(node, i).data is None for i in range(len(node.inputs)))

    def _reshaped(self, node: Node) -> bool:
        source, target = self.graph.input(node, 0), self.graph.output(node)
        few, many = sorted((source, target), key=channels)
        if channels(many) % channels(few):
            return False
        for position in range(channels(many)):
            self._join((many.index, position), (few.index, position % channels(few)))
        return True


def _spans_channels(graph: Graph, node: Node) -> bool:
    """Whether every weight of a dense layer belongs to one channel of its input."""
    return channels(graph.input(node, 1)) % channels(graph.input(node, 0)) == 0
