"""RESHAPE, SQUEEZE and EXPAND_DIMS that lead back to an earlier shape, or one after another.

They cost no instruction, but each ends a stream: a one-dimensional convolution comes as a two-dimensional one between
two of them.
"""

from __future__ import annotations

from dataclasses import replace

from ..ir import Graph, Node

SHAPES = frozenset({"RESHAPE", "SQUEEZE", "EXPAND_DIMS"})


def drop_reshapes(graph: Graph) -> Graph:
    """Let every layer read the earliest tensor with the same bytes in the shape that it wants."""
    origin: dict[int, list[int]] = {}
    nodes: list[Node] = []
    for node in graph.nodes:
        inputs = tuple(_earliest(graph, index, origin) for index in node.inputs)
        if node.op in SHAPES and node.inputs[0] is not None:
            chain = origin.get(node.inputs[0], [node.inputs[0]])
            origin[node.outputs[0]] = [*chain, node.outputs[0]]
            inputs = (chain[0], *node.inputs[1:])
        nodes.append(replace(node, inputs=inputs))
    return replace(graph, nodes=tuple(nodes))


def _earliest(graph: Graph, index: int | None, origin: dict[int, list[int]]) -> int | None:
    """The first tensor of the chain that equals this one in shape, type and meaning."""
    if index is None or index not in origin:
        return index
    tensor = graph.tensors[index]
    for earlier in (graph.tensors[i] for i in origin[index]):
        if (earlier.shape, earlier.dtype, earlier.quantization) == (tensor.shape, tensor.dtype, tensor.quantization):
            return earlier.index
    return index
