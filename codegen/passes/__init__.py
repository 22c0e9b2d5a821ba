"""Transformations of the graph, in the order in which they run."""

from __future__ import annotations

from collections.abc import Callable

from ..ir import Graph, verify
from .drop_unused import drop_unused
from .fold_constants import fold_constants

#: Every pass keeps all output bytes; each stands alone in a module of its own.
PASSES: tuple[Callable[[Graph], Graph], ...] = (fold_constants, drop_unused)


def run(graph: Graph) -> Graph:
    """Run all passes; the graph is verified after each."""
    for transform in PASSES:
        graph = verify(transform(graph))
    return graph
