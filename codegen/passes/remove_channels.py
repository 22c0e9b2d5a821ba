"""Rewrite a graph without the channels that :mod:`.dead_channels` found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..ir import Graph, Kept, Node, Tensor, verify
from ..ranges import channels, find_ranges, windows
from .channel_ties import MIXERS

_Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Removal:
    """What to do, by tensor that changes.

    Attributes
    ----------
    kept : mapping of int to ndarray of int
        Positions that stay.
    filling : mapping of int to ndarray of bool
        Which of them only fill up lanes.
    moved : mapping of int to ndarray of int
        Code minus zero point of each channel of the old tensor that its readers take as a constant from now on.
    """

    kept: Mapping[int, _Ints]
    filling: Mapping[int, npt.NDArray[np.bool_]]
    moved: Mapping[int, _Ints]


def remove_channels(graph: Graph, removal: Removal) -> Graph:
    """Carry out a removal; constants are copied, since other layers may share them."""
    writer = _Writer(graph, removal)
    nodes = tuple(writer.rewritten(node) for node in graph.nodes)
    return verify(_filling_known(replace(graph, tensors=writer.tensors, nodes=nodes), removal))


def _filling_known(graph: Graph, removal: Removal) -> Graph:
    """Note the codes of filling channels, which a comparison with the model's own tensors needs."""
    ranges = find_ranges(graph)
    tensors = dict(graph.tensors)
    for index, filling in removal.filling.items():
        tensor, found = tensors[index], ranges[index]
        assert tensor.kept is not None
        assert found.constant[filling].all(), "filling varies with the input"
        codes = tuple(
            int(low) if fills else old for low, fills, old in zip(found.low, filling, tensor.kept.codes, strict=True)
        )
        tensors[index] = replace(tensor, kept=Kept(tensor.kept.channels, codes))
    return replace(graph, tensors=tensors)


class _Writer:
    def __init__(self, graph: Graph, removal: Removal) -> None:
        self.graph = graph
        self.removal = removal
        self.tensors = dict(graph.tensors)
        self.next = max(graph.tensors) + 1
        for index, kept in removal.kept.items():
            tensor = graph.tensors[index]
            before = tensor.kept or Kept(tuple(range(channels(tensor))), (None,) * channels(tensor))
            left = Kept(*(tuple(values[c] for c in kept) for values in (before.channels, before.codes)))
            self.tensors[index] = replace(tensor, shape=(*tensor.shape[:-1], len(kept)), kept=left)

    def rewritten(self, node: Node) -> Node:
        """The layer with weights and constant operands that fit."""
        if not {i for i in (*node.inputs, *node.outputs) if i is not None} & set(self.removal.kept):
            return node
        if node.op in MIXERS:
            return self._mixer(node)
        if node.op == "DEPTHWISE_CONV_2D":
            return self._depthwise(node)
        return self._operands(node)

    def _kept(self, index: int) -> tuple[_Ints, npt.NDArray[np.bool_]]:
        """Positions that stay, and which of them fill up."""
        every = np.arange(channels(self.graph.tensors[index]))
        kept = self.removal.kept.get(index, every)
        return kept, self.removal.filling.get(index, np.zeros(len(kept), bool))

    def _add(self, like: Tensor, data: npt.NDArray[Any]) -> int:
        index, self.next = self.next, self.next + 1
        values = np.ascontiguousarray(data)
        self.tensors[index] = replace(like, index=index, data=values, shape=values.shape)
        return index

    def _weights(self, node: Node, data: npt.NDArray[Any], outputs: _Ints) -> int:
        """Weights with the scales of the outputs that stay."""
        tensor = self.graph.input(node, 1)
        q = tensor.q
        if len(q.scales) > 1:
            points = q.zero_points if len(q.zero_points) == 1 else tuple(q.zero_points[o] for o in outputs)
            q = replace(q, scales=tuple(q.scales[o] for o in outputs), zero_points=points)
        return self._add(replace(tensor, quantization=q), data)

    def _bias(self, node: Node, values: _Ints) -> int | None:
        old = self.graph.optional(node, 2)
        if old is None and not values.any():
            return None
        like = old or Tensor(0, f"{self.graph.name(node)}/bias", (), "int32")
        if like.quantization is not None and len(like.quantization.scales) != 1:
            like = replace(like, quantization=None)  # one scale per output; nothing reads them
        return self._add(like, values.astype(np.int32))

    def _old_bias(self, node: Node, outputs: int) -> _Ints:
        bias = self.graph.optional(node, 2)
        if bias is None or bias.data is None:
            return np.zeros(outputs, np.int64)
        return bias.data.astype(np.int64).reshape(-1)

    def _mixer(self, node: Node) -> Node:
        source, target, data = self.graph.input(node, 0), self.graph.output(node), self.graph.input(node, 1).data
        assert data is not None  # a constraint
        outputs, fills_output = self._kept(target.index)
        inputs, fills_input = self._kept(source.index)
        weights = data.reshape(data.shape[0], -1, channels(source)).astype(np.int64)
        moved = self.removal.moved.get(source.index, np.zeros(channels(source), np.int64))
        bias = self._old_bias(node, len(weights)) + self._sums(node, data, channels(source)) @ moved
        weights = weights[outputs][:, :, inputs] * ~fills_output[:, None, None] * ~fills_input
        shape = (len(outputs), *data.shape[1:-1], data.shape[-1] // channels(source) * len(inputs))
        new = self._weights(node, weights.reshape(shape).astype(np.int8), outputs)
        return replace(node, inputs=(source.index, new, self._bias(node, bias[outputs] * ~fills_output)))

    def _sums(self, node: Node, data: npt.NDArray[Any], count: int) -> _Ints:
        """Sum of the taps inside the input, (outputs, input channels); those of any window, as all that count agree."""
        wide = data.astype(np.int64)
        if node.op == "CONV_2D":
            (rows, *_), (cols, *_) = windows(self.graph, node)
            wide = wide[:, rows][:, :, cols]
        sums: _Ints = wide.reshape(wide.shape[0], -1, count).sum(axis=1)
        return sums

    def _depthwise(self, node: Node) -> Node:
        target, data = self.graph.output(node), self.graph.input(node, 1).data
        assert data is not None  # a constraint
        outputs, filling = self._kept(target.index)
        new = self._weights(node, data[..., outputs] * ~filling, outputs)
        bias = self._old_bias(node, data.shape[-1])[outputs] * ~filling
        return replace(node, inputs=(node.inputs[0], new, self._bias(node, bias)))

    def _operands(self, node: Node) -> Node:
        """Constants beside the channels: one code per channel of an element-wise layer, or a part of a row."""
        if node.op not in ("ADD", "SUB", "MUL", "SQUARED_DIFFERENCE", "CONCATENATION"):
            return node
        target = node.outputs[0]
        kept, _ = self._kept(target)
        inputs, start = [], 0
        for index in node.inputs:
            assert index is not None  # a constraint
            tensor = self.graph.tensors[index]
            part = kept[(kept >= start) & (kept < start + channels(tensor))] - start
            if tensor.data is None:
                inputs.append(index)
            elif node.op == "CONCATENATION":
                inputs += [self._add(tensor, tensor.data[..., part])] if part.size else []
            elif channels(tensor) == channels(self.graph.tensors[target]):
                inputs.append(self._add(tensor, tensor.data[..., kept]))
            else:
                inputs.append(index)
            start += channels(tensor)
        return replace(node, inputs=tuple(inputs))
