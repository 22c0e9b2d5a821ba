"""Compute layers that depend on constants alone, once and for all.

The NumPy reference does the computing; it equals TFLM byte for byte.
"""

from __future__ import annotations

from dataclasses import replace

from ..ir import Graph, Node
from ..reference.interpreter import OPERATORS, run_graph


def fold_constants(graph: Graph) -> Graph:
    """Turn the outputs of layers over constants into constants; layers that write the model's outputs stay."""
    tensors = dict(graph.tensors)
    kept: list[Node] = []
    for node in graph.nodes:
        alone = replace(graph, tensors=tensors, nodes=(node,), inputs=(), outputs=node.outputs)
        if _foldable(alone, node) and not set(node.outputs) & set(graph.outputs):
            values = run_graph(alone, [])
            tensors |= {index: replace(tensors[index], data=value) for index, value in values.items()}
        else:
            kept.append(node)
    return replace(graph, tensors=tensors, nodes=tuple(kept))


def _foldable(graph: Graph, node: Node) -> bool:
    sources = [graph.tensors[i] for i in node.inputs if i is not None]
    return node.op in OPERATORS and bool(sources) and all(t.data is not None for t in sources)
