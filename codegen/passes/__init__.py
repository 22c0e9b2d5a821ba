"""Transformations of the graph, in the order in which they run."""

from __future__ import annotations

from collections.abc import Callable

from ..ir import Graph, verify
from ..targets import Target
from .drop_unused import drop_unused
from .fold_constants import fold_constants
from .fuse_pool import fuse_pool

#: Every pass keeps all output bytes; each stands alone in a module of its own.
PASSES: tuple[Callable[[Graph], Graph], ...] = (fold_constants, drop_unused)


def run(graph: Graph) -> Graph:
    """Run all passes; the graph is verified after each."""
    for transform in PASSES:
        graph = verify(transform(graph))
    return graph


def fuse(graph: Graph, target: Target) -> Graph:
    """Join layers for which the target has a kernel that does both; comes last, after axes have been exchanged."""
    return verify(fuse_pool(graph)) if "dsp" in target.tiers else graph
