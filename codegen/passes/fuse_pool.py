"""CONV_2D followed by MAX_POOL_2D of two becomes one layer, so that only what survives is requantized.

Requantization never decreases: pool(requantize(acc)) == requantize(max(acc)). Valid where nobody else wants the
convolution's output, the pooling steps by its own window along one axis and its clamp changes nothing.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from ..ir import Graph, Node
from ..ops.base import output_limits, window_padding

#: Filter and stride of the pooling, as (height, width), with the axis that it pools.
_WINDOWS = {(2, 1): "h", (1, 2): "w"}


def fuse_pool(graph: Graph) -> Graph:
    """Fuse every pair that allows it."""
    pairs = {node.index: pool for node in graph.nodes if (pool := _fusable(graph, node)) is not None}
    gone = {pool.index for pool in pairs.values()}
    nodes = tuple(
        _fused(graph, node, pairs[node.index]) if node.index in pairs else node
        for node in graph.nodes
        if node.index not in gone
    )
    return replace(graph, nodes=nodes)


def _fusable(graph: Graph, conv: Node) -> Node | None:
    """The pooling that can join a convolution."""
    if conv.op != "CONV_2D" or conv.outputs[0] in graph.outputs:
        return None
    users = list(graph.consumers(conv.outputs[0]))
    if len(users) != 1 or users[0].op != "MAX_POOL_2D":
        return None
    (pool,) = users
    window = (pool.attrs["filter_h"], pool.attrs["filter_w"])
    if window not in _WINDOWS or window != (pool.attrs["stride_h"], pool.attrs["stride_w"]):
        return None
    before, after = output_limits(conv, graph.output(conv)), output_limits(pool, graph.output(pool))
    clamps = int(str(after["min"])) > int(str(before["min"])) or int(str(after["max"])) < int(str(before["max"]))
    lengths = graph.output(conv).shape[1:3]
    padded = any(window_padding(pool.attrs, *along) for along in zip("hw", lengths, window, strict=True))
    return None if clamps or padded else pool


def _fused(graph: Graph, conv: Node, pool: Node) -> Node:
    window = (pool.attrs["filter_h"], pool.attrs["filter_w"])
    height, width = graph.output(conv).shape[1:3]
    attrs = {**conv.attrs, "pool_axis": _WINDOWS[window], "conv_h": height, "conv_w": width}
    return replace(conv, op="CONV_2D_MAX_POOL_2D", outputs=pool.outputs, attrs=MappingProxyType(attrs))
