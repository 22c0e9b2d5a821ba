"""Functions of one code join their neighbours.

A table that only clamps, over the codes that can reach it, needs no code: its limits become the fused activation of
the layer in front, where the schema has an activation with those limits, and nothing at all where nothing is clamped.
Two tables in a row become one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ..ir import Graph, Node, Tensor
from ..quantized_math import activation_range
from ..ranges import Range, find_ranges, is_unary, table

#: Layers with a fused activation.
_CLAMPING = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD", "SUB", "MUL"})
_POOLS = frozenset({"MAX_POOL_2D", "AVERAGE_POOL_2D"})
_ACTIVATIONS = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")


def fuse_clamps(graph: Graph) -> Graph:
    """Move tables that only clamp into the layer in front."""
    ranges = find_ranges(graph)
    for node in graph.nodes:
        pair = _clamp(graph, node, ranges)
        if pair is not None:
            graph = _joined(graph, *pair, node)
    return graph


def merge_lookups(graph: Graph) -> Graph:
    """Make one table of two in a row, and so of any number."""
    for node in graph.nodes:
        second = next((n for n in graph.nodes if n.index == node.index), None)
        first = None if second is None else _only_source(graph, second)
        if second is None or first is None or not is_unary(graph, second) or not is_unary(graph, first):
            continue
        codes = table(graph, second)[table(graph, first).astype(np.int64) + 128]
        held = Tensor(max(graph.tensors) + 1, f"{graph.name(second)}/table", (256,), "int8", None, codes)
        graph = replace(graph, tensors={**graph.tensors, held.index: held})
        merged = Node(first.index, "LOOKUP", (first.inputs[0], held.index), ())
        graph = _joined(graph, first, merged, second)
    return graph


def _only_source(graph: Graph, node: Node) -> Node | None:
    """The layer that gives the node's first input, when nobody else wants what it gives."""
    index = node.inputs[0] if node.inputs else None
    producer = None if index is None else graph.producer(index)
    if producer is None or index in graph.outputs or len(list(graph.consumers(index or 0))) != 1:
        return None
    return producer if len(producer.outputs) == 1 else None


def _joined(graph: Graph, first: Node, merged: Node, second: Node) -> Graph:
    """The graph with both layers as one, at the place of the first, writing what the second wrote."""
    both = replace(merged, outputs=second.outputs)
    nodes = (both if node.index == first.index else node for node in graph.nodes if node.index != second.index)
    return replace(graph, nodes=tuple(nodes))


def _clamp(graph: Graph, node: Node, ranges: Mapping[int, Range]) -> tuple[Node, Node] | None:
    """The layer in front, as it is and with the node's limits; None where that is not exact."""
    producer = _only_source(graph, node)
    if producer is None or not is_unary(graph, node) or producer.op not in _CLAMPING | _POOLS:
        return None
    before, after = graph.output(producer), graph.output(node)
    if before.shape != after.shape or before.quantization is None or after.quantization is None:
        return None
    if (before.q.scale, before.q.zero_point) != (after.q.scale, after.q.zero_point):
        return None
    # Before-hand limits count only as what they are: the codes that reach the table.
    reach = ranges[before.index]
    low, high = int(reach.low.min()), int(reach.high.max())
    codes, values = np.arange(low, high + 1), table(graph, node)[low + 128 : high + 129].astype(np.int64)
    own = activation_range(producer.attrs["activation"], before.q.scale, before.q.zero_point)
    for name in (producer.attrs["activation"], *_ACTIVATIONS):
        limits = activation_range(name, before.q.scale, before.q.zero_point)
        tighter = limits[0] >= own[0] and limits[1] <= own[1]
        if tighter and np.array_equal(np.clip(codes, *limits), values):
            return producer, producer.with_attrs(activation=name)
    return None
