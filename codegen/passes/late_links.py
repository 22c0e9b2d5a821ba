"""Residual links of a stream wait as what is smaller: the pixels that a strided pointwise convolution reads.

A link of a residual network is early: its slices wait until the other branch is done. Where it is a CONV_2D of one
pixel that steps over slices and makes more channels than it takes, the pixels that it reads are kept in its place, by a
layer that only copies them, and the convolution runs together with the sum. All bytes stay what they are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from types import MappingProxyType

from ..ir import Graph, Node
from ..ops.base import window_padding
from ..ops.conv2d import kernel_size

_SUMS = frozenset({"ADD", "SUB", "MUL", "SQUARED_DIFFERENCE"})


def late_links(graph: Graph, apart: Collection[int] = ()) -> Graph:
    """Split every link that allows it, but for those of the layers `apart`, by number of the node."""
    for index in sorted(links(graph) - set(apart)):
        graph = _split(graph, next(node for node in graph.nodes if node.index == index))
    return graph


def links(graph: Graph) -> frozenset[int]:
    """Numbers of the convolutions that can run late."""
    return frozenset(node.index for node in graph.nodes if any(True for _ in _sums(graph, node)))


def _sums(graph: Graph, conv: Node) -> Iterator[Node]:
    """The layer behind a convolution that can run late, if it is one."""
    if conv.op != "CONV_2D" or conv.outputs[0] in graph.outputs or graph.input(conv, 0).data is not None:
        return
    users, source, target = list(graph.consumers(conv.outputs[0])), graph.input(conv, 0), graph.output(conv)
    if len(users) != 1 or users[0].op not in _SUMS or conv.attrs["stride_h"] < 2 or kernel_size(graph, conv) != (1, 1):
        return
    padded = any(
        window_padding(conv.attrs, which, size, 1) or any(conv.attrs.get(f"pad_{which}", ()))
        for which, size in zip("hw", source.shape[1:3], strict=True)
    )
    others = [index for index in users[0].inputs if index != conv.outputs[0]]
    if padded or len(others) != 1 or source.shape[3] >= target.shape[3]:
        return
    other = graph.tensors[others[0] or 0]
    if other.data is None and other.shape == target.shape and other.index not in graph.inputs:
        yield users[0]


def _split(graph: Graph, conv: Node) -> Graph:
    (user,) = _sums(graph, conv)
    source, target = graph.input(conv, 0), graph.output(conv)
    (other,) = (index for index in user.inputs if index != target.index)
    made = max(graph.tensors) + 1
    pixels = replace(source, index=made, shape=(*target.shape[:3], source.shape[3]), kept=None)
    steps = {name: conv.attrs[name] for name in ("stride_h", "stride_w")}
    take = Node(1 + max(n.index for n in graph.nodes), "SUBSAMPLE", (source.index,), (made,), MappingProxyType(steps))
    late = replace(conv, inputs=(made, *conv.inputs[1:])).with_attrs(
        stride_h=1, stride_w=1, padding="VALID", after=other
    )
    nodes: list[Node] = []
    for node in graph.nodes:
        if node is user:
            nodes.append(late)
        nodes.append(take if node is conv else node)
    return replace(graph, tensors={**graph.tensors, made: pixels}, nodes=tuple(nodes))
