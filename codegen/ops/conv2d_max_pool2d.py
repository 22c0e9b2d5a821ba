"""CONV_2D with the MAX_POOL_2D behind it, a layer of the compiler's own (:mod:`thumbnet.codegen.passes.fuse_pool`)."""

from __future__ import annotations

from dataclasses import replace

from ..ir import Graph, Node
from . import conv2d
from .base import Init, Lowered, Operator, row_window


def _convolution(graph: Graph, node: Node) -> Graph:
    """The graph with the convolution's own output in place of the pooled one."""
    target = graph.output(node)
    shape = (target.shape[0], node.attrs["conv_h"], node.attrs["conv_w"], target.shape[3])
    return replace(graph, tensors={**graph.tensors, target.index: replace(target, shape=shape)})


def macs(graph: Graph, node: Node) -> int:
    """Those of the convolution."""
    return conv2d.macs(_convolution(graph, node), node)


def lower(graph: Graph, node: Node) -> Lowered:
    """The convolution, with a window over the rows of both of its outputs when they lie below each other."""
    lowered = conv2d.lower(_convolution(graph, node), node)
    (call,) = lowered.calls
    target = graph.output(node)
    height, _ = conv2d.kernel_size(graph, node)
    stride, dilation = node.attrs["stride_h"], node.attrs["dilation_h"]
    pool: dict[str, Init] = {"taps": height, "tap_distance": dilation}
    params = dict(call.params)
    if node.attrs["pool_axis"] == "h":
        rows = params["rows"]
        assert isinstance(rows, dict)
        span = (height - 1) * dilation + 1 + stride
        params["rows"] = {**rows, "out": target.shape[1], "kernel": span, "stride": 2 * stride, "dilation": 1}
        params["pool"] = {**pool, "axis": "rows", "row_distance": stride, "conv_rows": node.attrs["conv_h"]}
        lowered = replace(lowered, window_rows=span)
    else:
        params["pool"] = {**pool, "axis": "cols", "tap_distance": 1, "out": target.shape[2]}
    return replace(lowered, calls=(replace(call, params=params),))


OPERATOR = Operator("CONV_2D_MAX_POOL_2D", (), lower, macs, row_window(lower))
