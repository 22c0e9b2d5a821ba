"""PAD and PADV2 in front of a window become padding of the window.

Convolutions read the zero point where their window leaves the input, so that a border of exactly that code need not
exist. Max-pooling leaves out what lies outside; that is the same where no code of its input can be below the border's,
as behind a ReLU. An average counts what it sees and stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..ir import Graph, Node
from ..ops.base import window_padding
from ..ranges import Range, find_ranges

_WEIGHTED = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D"})


def fuse_pad(graph: Graph) -> Graph:
    """Take every border that all of its readers can do without."""
    tensors = {index for node in graph.nodes if node.op in ("PAD", "PADV2") for index in node.outputs}
    if not tensors:
        return graph
    ranges = find_ranges(graph)
    while (
        pad := next((n for n in graph.nodes if tensors & set(n.outputs) and _fusable(graph, n, ranges)), None)
    ) is not None:
        tensors.discard(pad.outputs[0])
        graph = _fused(graph, pad)
    return graph


def _fusable(graph: Graph, pad: Node, ranges: Mapping[int, Range]) -> bool:
    target = graph.output(pad)
    users = list(graph.consumers(target.index))
    if pad.op not in ("PAD", "PADV2") or target.index in graph.outputs or not users:
        return False
    source, widths = graph.input(pad, 0), graph.input(pad, 1).data
    if source.data is not None or len(source.shape) != 4 or widths is None or widths.reshape(-1, 2)[[0, 3]].any():
        return False
    return all(_reads_border(graph, pad, user, ranges[source.index]) for user in users)


def _reads_border(graph: Graph, pad: Node, user: Node, codes: Range) -> bool:
    if user.op not in (*_WEIGHTED, "MAX_POOL_2D") or user.inputs[0] != pad.outputs[0]:
        return False
    code = _border(graph, pad)
    # Padding that the pooling adds itself never takes part, with or without the border.
    exact = int(codes.low.min()) >= code if user.op == "MAX_POOL_2D" else code == graph.output(pad).q.zero_point
    return exact and all(_window_fits(graph, pad, user, which) for which in "hw")


def _border(graph: Graph, pad: Node) -> int:
    data = graph.input(pad, 2).data if pad.op == "PADV2" else None
    return graph.output(pad).q.zero_point if data is None else int(data.reshape(-1)[0])


def _kernel(graph: Graph, node: Node, which: str) -> int:
    kernel: int = (
        node.attrs[f"filter_{which}"] if node.op == "MAX_POOL_2D" else _weights(graph, node)["hw".index(which)]
    )
    return kernel


def _weights(graph: Graph, node: Node) -> tuple[int, ...]:
    return graph.input(node, 1).shape[1:3]


def _padding(graph: Graph, pad: Node, user: Node, which: str) -> tuple[int, int]:
    """Padding (before, after) of the window once it has taken the border."""
    widths = graph.input(pad, 1).data
    assert widths is not None  # checked
    position = 1 + "hw".index(which)
    outer, kernel = graph.output(pad).shape[position], _kernel(graph, user, which)
    before = window_padding(user.attrs, which, outer, kernel) + int(widths.reshape(-1, 2)[position, 0])
    stride, dilation = user.attrs[f"stride_{which}"], user.attrs.get(f"dilation_{which}", 1)
    extent = (graph.output(user).shape[position] - 1) * stride + (kernel - 1) * dilation + 1
    return before, max(extent - before - graph.input(pad, 0).shape[position], 0)


def _window_fits(graph: Graph, pad: Node, user: Node, which: str) -> bool:
    """Whether every window spans part of the input, so that kernels never run on padding alone."""
    before, after = _padding(graph, pad, user, which)
    reach = (_kernel(graph, user, which) - 1) * user.attrs.get(f"dilation_{which}", 1)
    return bool(before <= reach and after <= reach)


def _fused(graph: Graph, pad: Node) -> Graph:
    source = graph.input(pad, 0)

    def rewired(node: Node) -> Node:
        if pad.outputs[0] not in node.inputs:
            return node
        pads = {f"pad_{which}": _padding(graph, pad, node, which) for which in "hw"}
        return replace(node, inputs=(source.index, *node.inputs[1:])).with_attrs(padding="VALID", **pads)

    return replace(graph, nodes=tuple(rewired(node) for node in graph.nodes if node is not pad))
