"""DEPTHWISE_CONV_2D with the pointwise CONV_2D behind it, a layer of the compiler's own.

:mod:`thumbnet.codegen.passes.fuse_depthwise` makes it. Rows between the two exist only while a row of output is made.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from ..ir import Graph, Node
from . import conv2d, conv2d_max_pool2d, depthwise_conv2d
from .base import Chain, Init, Lowered, Operator, Slicer, StreamRule, Window

_POINTWISE = {"stride_h": 1, "stride_w": 1, "dilation_h": 1, "dilation_w": 1, "padding": "VALID"}
_OWN = ("between", "pointwise")


def join(depthwise: Node, pointwise: Node) -> Node:
    """The two as one layer: attributes of the first, those that matter of the second in ``pointwise``."""
    kept = {
        key: value for key, value in pointwise.attrs.items() if key not in _POINTWISE and key not in ("pad_h", "pad_w")
    }
    attrs = {**depthwise.attrs, "between": depthwise.outputs[0], "pointwise": {"op": pointwise.op, **kept}}
    inputs = (*_padded(depthwise.inputs), *_padded(pointwise.inputs)[1:])
    return replace(pointwise, op="SEPARABLE_CONV_2D", inputs=inputs, attrs=MappingProxyType(attrs))


def _padded(inputs: tuple[int | None, ...]) -> tuple[int | None, ...]:
    """Input, weights and bias; None for one that is not there."""
    return (*inputs, *(None,) * (3 - len(inputs)))


def split(node: Node) -> tuple[Node, Node]:
    """The two layers that became one."""
    between = node.attrs["between"]
    attrs = {key: value for key, value in node.attrs.items() if key not in _OWN}
    depthwise = Node(node.index, "DEPTHWISE_CONV_2D", node.inputs[:3], (between,), MappingProxyType(attrs))
    second = dict(node.attrs["pointwise"])
    op = second.pop("op")
    inputs = (between, *node.inputs[3:])
    return depthwise, Node(node.index, op, inputs, node.outputs, MappingProxyType({**_POINTWISE, **second}))


def _operator(pointwise: Node) -> Operator:
    return conv2d_max_pool2d.OPERATOR if pointwise.op == "CONV_2D_MAX_POOL_2D" else conv2d.OPERATOR


def macs(graph: Graph, node: Node) -> int:
    """Those of both."""
    depthwise, pointwise = split(node)
    return depthwise_conv2d.macs(graph, depthwise) + _operator(pointwise).macs(graph, pointwise)


def _row(lowered: Lowered) -> Lowered:
    (call,) = lowered.calls
    row = replace(call, function=call.function.replace("_run", "_row"), arguments=("{params}", "{rows}", "{out0}"))
    return replace(lowered, calls=(row,))


def lower(graph: Graph, node: Node) -> Lowered:
    """Both by rows; where two rows are pooled, both of them are made before."""
    depthwise, pointwise = split(node)
    first, second = depthwise_conv2d.lower(graph, depthwise), _operator(pointwise).lower(graph, pointwise)
    between, target = graph.tensors[node.attrs["between"]], graph.output(node)
    height, _ = conv2d.kernel_size(graph, depthwise)
    stride, dilation = node.attrs["stride_h"], node.attrs["dilation_h"]
    made = 2 if pointwise.attrs.get("pool_axis") == "h" else 1
    own = first.calls[0].params["rows"]
    assert isinstance(own, dict)
    rows: dict[str, Init] = {**own, "out": target.shape[1]}
    if made == 2:
        rows |= {"kernel": (height - 1) * dilation + 1 + stride, "stride": 2 * stride, "dilation": 1}
    chain = Chain(
        first=_row(first),
        second=_row(second),
        rows=rows,
        made=made,
        distance=stride,
        length=between.shape[1],
        row_bytes=between.bytes // between.shape[1],
        nodes=(depthwise, pointwise),
    )
    return Lowered(window_rows=int(str(rows["kernel"])), chain=chain)


def stream(graph: Graph, node: Node, slicer: Slicer) -> StreamRule:
    """A window over rows, as either of the two is."""
    lowered = lower(graph, node)
    assert lowered.chain is not None
    kernel, stride, dilation, pad = (
        int(str(lowered.chain.rows[key])) for key in ("kernel", "stride", "dilation", "pad")
    )
    return StreamRule(Window(kernel, stride, dilation, pad), lowered)


OPERATOR = Operator("SEPARABLE_CONV_2D", (), lower, macs, stream)
