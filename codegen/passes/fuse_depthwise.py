"""DEPTHWISE_CONV_2D and the pointwise CONV_2D behind it become one layer, with no tensor or ring between them.

Each row of the depthwise output is made when the pointwise convolution takes it, and forgotten after that. With a
max-pooling of two rows in the layer, two rows are. Valid where nobody else wants that output and the second window is
one pixel; both kernels stay what they are, so that every byte does.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from ..ir import Graph, Node
from ..ops.base import window_padding
from ..ops.conv2d import kernel_size
from ..ops.separable_conv2d import join

_POINTWISE = frozenset({"CONV_2D", "CONV_2D_MAX_POOL_2D"})


def fuse_depthwise(graph: Graph, apart: Collection[int] = ()) -> Graph:
    """Fuse every pair that allows it, but for the depthwise layers `apart`, by number of the node."""
    found = {node.index: other for node, other in pairs(graph) if node.index not in apart}
    gone = {other.index: index for index, other in found.items()}
    firsts = {node.index: node for node in graph.nodes if node.index in found}
    nodes = tuple(
        join(firsts[gone[node.index]], node) if node.index in gone else node
        for node in graph.nodes
        if node.index not in found
    )
    return replace(graph, nodes=nodes)


def joinable(graph: Graph) -> frozenset[int]:
    """Numbers of the depthwise layers that can join."""
    return frozenset(node.index for node, _ in pairs(graph))


def lean(graph: Graph) -> frozenset[int]:
    """Those that hold no more bytes joined, over whole tensors: input, rows and output against the larger of two pairs.

    The rows count too, wherever they are.
    """
    found = set()
    for depthwise, other in pairs(graph):
        source, made, target = graph.input(depthwise, 0).bytes, graph.output(depthwise), graph.output(other).bytes
        rows = made.bytes // made.shape[1] * (2 if other.attrs.get("pool_axis") == "h" else 1)
        if source + rows + target <= max(source + made.bytes, made.bytes + target):
            found.add(depthwise.index)
    return frozenset(found)


def pairs(graph: Graph) -> list[tuple[Node, Node]]:
    """Depthwise layers that can join the layer behind them, and that layer."""
    found = ((node, _partner(graph, node)) for node in graph.nodes if node.op == "DEPTHWISE_CONV_2D")
    return [(node, other) for node, other in found if other is not None]


def _partner(graph: Graph, depthwise: Node) -> Node | None:
    made = depthwise.outputs[0]
    if made in graph.outputs or graph.input(depthwise, 0).data is not None:
        return None
    users = list(graph.consumers(made))
    if len(users) != 1 or users[0].op not in _POINTWISE or users[0].inputs.count(made) != 1:
        return None
    (user,) = users
    height, width = kernel_size(graph, user)
    steps = (height, width, user.attrs["stride_h"], user.attrs["stride_w"])
    sizes = zip("hw", graph.tensors[made].shape[1:3], strict=True)
    padded = any(
        window_padding(user.attrs, which, size, 1) or any(user.attrs.get(f"pad_{which}", ())) for which, size in sizes
    )
    # Rows for two windows below each other are neighbours only without dilation.
    pools_rows = user.attrs.get("pool_axis") == "h"
    spread = pools_rows and depthwise.attrs["dilation_h"] > 1 and kernel_size(graph, depthwise)[0] > 1
    return None if steps != (1, 1, 1, 1) or padded or spread else user
