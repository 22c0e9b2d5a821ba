"""Remove layers whose results nobody reads."""

from __future__ import annotations

from dataclasses import replace

from ..ir import Graph, Node


def drop_unused(graph: Graph) -> Graph:
    """Keep the layers that an output of the model depends on."""
    needed = set(graph.outputs)
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        if needed.intersection(node.outputs):
            kept.append(node)
            needed.update(i for i in node.inputs if i is not None)
    return replace(graph, nodes=tuple(reversed(kept)))
