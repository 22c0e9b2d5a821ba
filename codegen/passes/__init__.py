"""Transformations of the graph, in the order in which they run, and the switches that turn optimisations off."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace

from ..errors import OptionError
from ..ir import Graph, verify
from ..targets import Target
from .dead_channels import dead_channels
from .drop_reshapes import drop_reshapes
from .drop_unused import drop_unused
from .fold_constants import fold_constants
from .fuse_activations import fuse_clamps, merge_lookups
from .fuse_depthwise import fuse_depthwise
from .fuse_pad import fuse_pad
from .fuse_pool import fuse_pool
from .late_links import late_links

Pass = Callable[[Graph, Target], Graph]

#: Every pass keeps all output bytes; each stands alone in a module of its own.
PASSES: Mapping[str, Pass] = {
    "fold-constants": lambda graph, target: fold_constants(graph),
    "drop-reshapes": lambda graph, target: drop_reshapes(graph),
    "fuse-clamps": lambda graph, target: fuse_clamps(graph),
    "merge-lookups": lambda graph, target: merge_lookups(graph),
    "fuse-pad": lambda graph, target: fuse_pad(graph),
    "dead-channels": lambda graph, target: dead_channels(graph, target.lanes),
}
#: As a pass, but for the layers that shall stay apart, by number of the node.
Fusion = Callable[[Graph, Target, Collection[int]], Graph]
#: Joins of layers, as far as kernels of the target allow; they come last, after axes have been exchanged.
FUSIONS: Mapping[str, Fusion] = {
    "fuse-pool": lambda graph, target, apart: fuse_pool(graph) if "dsp" in target.tiers else graph,
    "fuse-depthwise": lambda graph, target, apart: fuse_depthwise(graph, apart),
    "late-links": lambda graph, target, apart: late_links(graph, apart),
}
#: What can be switched off, and what it does.
SWITCHES: Mapping[str, str] = {
    "fold-constants": "layers over constants are computed beforehand",
    "drop-reshapes": "changes of shape that cancel out are left out",
    "fuse-clamps": "activations that only clamp join the layer in front",
    "merge-lookups": "functions of one code in a row share one table",
    "fuse-pad": "borders of padding are read by the window behind them",
    "dead-channels": "channels that are constant or unused are removed",
    "fuse-pool": "a convolution and the max-pooling of two behind it requantize once per pooled code",
    "fuse-depthwise": "a depthwise convolution and the pointwise one behind it run row by row, with nothing in between",
    "late-links": "a strided pointwise convolution of a residual link runs late, so that its smaller input waits",
    "pair-slices": "convolutions in streams of single pixels take two slices at a time",
    "proven-rounding": "portable kernels requantize by one multiply-add per channel that proves exact",
    "one-line-add": "additions run as one line of 32-bit arithmetic that is exact for all pairs of codes",
    "tier-kernels": "layers get kernels of the core's instruction set in place of the portable ones",
}


def check_switches(names: Collection[str]) -> frozenset[str]:
    """The names as a set.

    Raises
    ------
    OptionError
        When one is not of :data:`SWITCHES`.
    """
    unknown = sorted(set(names) - set(SWITCHES))
    if unknown:
        raise OptionError(f"cannot switch off '{unknown[0]}': allowed are {', '.join(SWITCHES)}")
    return frozenset(names)


def restricted(target: Target, disable: Collection[str]) -> Target:
    """The target without the kernels that are switched off."""
    tiers = ("portable",) if "tier-kernels" in disable else target.tiers
    return replace(target, tiers=tiers, disabled=frozenset(disable))


def run(graph: Graph, target: Target, disable: Collection[str] = ()) -> Graph:
    """Run all passes but those switched off; the graph is verified after each."""
    *_, (_, last) = stages(graph, target, disable)
    return last


def stages(graph: Graph, target: Target, disable: Collection[str] = ()) -> Iterator[tuple[str, Graph]]:
    """As :func:`run`, giving the name of each pass and the graph that it left."""
    for name, transform in PASSES.items():
        if name not in disable:
            graph = verify(drop_unused(transform(graph, target)))
            yield name, graph
    graph = verify(drop_unused(graph))
    if "proven-rounding" in disable:
        graph = replace(graph, nodes=tuple(node.with_attrs(round_twice=True) for node in graph.nodes))
    yield "drop-unused", graph


def fuse(graph: Graph, target: Target, disable: Collection[str] = (), apart: Collection[int] = ()) -> Graph:
    """Join layers as far as the target's kernels allow, but for those `apart`."""
    for name, transform in FUSIONS.items():
        graph = graph if name in disable else verify(transform(graph, target, apart))
    return graph
