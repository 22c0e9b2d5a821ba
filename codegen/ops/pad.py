"""PAD and PADV2: a border of one code around a copy."""

from __future__ import annotations

import numpy as np

from ..ir import Graph, Node
from .base import (
    MAX_DIMENSION,
    Call,
    Constraint,
    Init,
    Lowered,
    Operator,
    Slicer,
    StreamRule,
    Window,
    constant_input,
    same_quantization,
)
from .views import KERNEL, LEVELS, View, copy_call, dummy, integers


def _inside(graph: Graph, node: Node, out: View) -> View:
    widths = np.array(integers(graph, node, 1)).reshape(-1, 2)
    return out[tuple(slice(int(a), size - int(b)) for (a, b), size in zip(widths, out.shape, strict=True))]


def _padding_fits(graph: Graph, node: Node) -> str | None:
    out, source = graph.output(node), graph.input(node, 0)
    widths = integers(graph, node, 1)
    if len(out.shape) > LEVELS:
        return f"{len(out.shape)} dimensions"
    if len(widths) == 2 * len(out.shape) == 2 * len(source.shape) and min(widths, default=0) >= 0:
        expected = [s + a + b for s, a, b in zip(source.shape, widths[::2], widths[1::2], strict=True)]
        if expected == list(out.shape):
            return None
    return f"{widths} from {list(source.shape)} to {list(out.shape)}"


def _border(graph: Graph, node: Node) -> int:
    """Value of the border."""
    data = graph.input(node, 2).data if len(node.inputs) > 2 else None
    return graph.output(node).q.zero_point if data is None else int(data.reshape(-1)[0])


def _lower_pad(graph: Graph, node: Node) -> Lowered:
    source, target = dummy(graph.input(node, 0)), dummy(graph.output(node))
    fill = Call("tn_fill_run", ("{out0}", str(_border(graph, node)), str(target.size)))
    copy = copy_call(source, source, _inside(graph, node, target), target, ("{in0}", "{out0}"))
    return Lowered(kernels=KERNEL, calls=(fill, copy))


def _stream_pad(graph: Graph, node: Node, slicer: Slicer) -> StreamRule | None:
    """Along the stream a window of one slice that begins before the first and ends behind the last."""
    source, target = graph.input(node, 0), graph.output(node)
    if len(target.shape) < 3 or target.shape[0] != 1 or max(target.shape) > MAX_DIMENSION:
        return None
    widths = np.array(integers(graph, node, 1)).reshape(-1, 2).tolist()
    slice_in, slice_out = (dummy(slicer(node).tensors[i]) for i in (source.index, target.index))
    box = [slice(before, size - after) for (before, after), size in zip(widths[2:], target.shape[2:], strict=True)]
    copy = copy_call(slice_in, slice_in, slice_out[(slice(None), slice(None), *box)], slice_out, ("", ""))
    rows = {"in": source.shape[1], "out": target.shape[1], "kernel": 1, "stride": 1, "dilation": 1}
    params: dict[str, Init] = {
        "rows": {**rows, "pad": widths[1][0]},
        "copy": copy.params,
        "bytes": slice_out.size,
        "value": _border(graph, node),
    }
    call = Call("tn_pad_s8_row", ("{params}", "{rows}", "{out0}"), "tn_pad_s8", params)
    return StreamRule(Window(pad=widths[1][0]), Lowered(kernels=KERNEL, calls=(call,), window_rows=1))


def _int8_only(graph: Graph, node: Node) -> str | None:
    tensor = graph.input(node, 0)
    return None if tensor.dtype == "int8" and tensor.quantization else f"'{tensor.name}' is {tensor.dtype}"


_PAD = (
    Constraint("input and output are int8", _int8_only, "convert with full-integer quantization"),
    same_quantization(),
    constant_input(1, "the list of paddings"),
    Constraint(f"the paddings lead from the input's shape to the output's, up to {LEVELS} dimensions", _padding_fits),
)

OPERATORS = (
    Operator("PAD", _PAD, _lower_pad, stream=_stream_pad, summary="a border of zeros"),
    Operator(
        "PADV2",
        (*_PAD, constant_input(2, "the padding value", "int8")),
        _lower_pad,
        stream=_stream_pad,
        summary="a border of one value",
    ),
)
