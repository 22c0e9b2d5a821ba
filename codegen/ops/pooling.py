"""MAX_POOL_2D and AVERAGE_POOL_2D: windows clipped to the input, same quantization on both sides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..ir import Graph, Node
from .base import (
    CLAMPS,
    FEW_BYTES,
    FEW_CODES,
    PER_TENSOR,
    SMALL_DIMENSIONS,
    SUM_BYTES,
    Call,
    Constraint,
    Init,
    Lowered,
    Operator,
    Slicer,
    Streamer,
    StreamRule,
    Window,
    axis,
    int8_tensors,
    output_limits,
    rank,
    row_window,
    window_overlay,
    windows_fit,
)

_SCALE_TOLERANCE = 1e-6  # TFLM's


def _kernel_size(graph: Graph, node: Node) -> tuple[int, int]:
    return node.attrs["filter_h"], node.attrs["filter_w"]


def _same_channels(graph: Graph, node: Node) -> str | None:
    source, target = graph.input(node, 0).shape, graph.output(node).shape
    return None if source[-1] == target[-1] else f"{source[-1]} become {target[-1]}"


def _same_scale(graph: Graph, node: Node) -> str | None:
    source, target = graph.input(node, 0).q, graph.output(node).q
    same = abs(source.scale - target.scale) <= _SCALE_TOLERANCE and source.zero_point == target.zero_point
    return None if same else "they differ"


def _sum_fits(graph: Graph, node: Node) -> str | None:
    height, width = _kernel_size(graph, node)
    return None if height * width * 129 < 1 << 31 else f"the window has {height * width} elements"


def _window_touches_input(graph: Graph, node: Node) -> str | None:
    for which, size in zip("hw", _kernel_size(graph, node), strict=True):
        if size < 1 or node.attrs[f"stride_{which}"] < 1:
            return f"filter {size}, stride {node.attrs[f'stride_{which}']}"
    return None


def _lower(kernel: str) -> Callable[[Graph, Node], Lowered]:
    def lower(graph: Graph, node: Node) -> Lowered:
        source, target = graph.input(node, 0), graph.output(node)
        height, width = _kernel_size(graph, node)
        rows = axis(node.attrs, "h", source.shape[1], target.shape[1], height)
        cols = axis(node.attrs, "w", source.shape[2], target.shape[2], width)
        limits = output_limits(node, target)
        params: dict[str, Init] = {
            "rows": rows,
            "cols": cols,
            "channels": source.shape[3],
            "min": limits["min"],
            "max": limits["max"],
        }
        return Lowered(
            kernels=(f"tn_{kernel}_s8",),
            calls=(Call(f"tn_{kernel}_s8_run", ("{params}", "{rows}", "{in0}", "{out0}"), "tn_pool2d_s8", params),),
            overlays=((0, 0),) if window_overlay(node.attrs, rows, cols) else (),
            window_rows=height,
        )

    return lower


def _stream(kernel: str, item_bytes: int) -> Streamer:
    """Slice by slice; a window over the whole stream accumulates instead of keeping it."""
    lower = _lower(kernel)

    def rule(graph: Graph, node: Node, slicer: Slicer) -> StreamRule | None:
        source, target = graph.input(node, 0), graph.output(node)
        windowed = row_window(lower)(graph, node, slicer)
        if windowed is None:
            return None
        found = (windowed.window.kernel, windowed.window.pad, target.shape[1])
        if found != (source.shape[1], 0, 1):
            return windowed
        (call,) = lower(graph, node).calls
        height, width = _kernel_size(graph, node)
        few = item_bytes == SUM_BYTES and height * width <= FEW_CODES
        way = "_few" if few else ""
        add = replace(call, function=f"tn_{kernel}_s8_add{way}", arguments=("{params}", "{in0}", "{acc}", "{y}"))
        finish = Call(f"tn_{kernel}_s8_finish{way}", ("{params}", "{acc}", "{out0}"))
        lowered = replace(windowed.lowered, calls=(add,), window_rows=0)
        size = FEW_BYTES if few else item_bytes
        return StreamRule(Window(), lowered, Lowered(calls=(finish,)), size * target.elements)

    return rule


_CONSTRAINTS = (
    int8_tensors(1),
    PER_TENSOR,
    Constraint("input and output have the same scale and zero point", _same_scale),
    SMALL_DIMENSIONS,
    rank(4),
    Constraint("input and output have the same channels", _same_channels),
    CLAMPS,
    Constraint("filter and stride are at least 1", _window_touches_input),
    Constraint("the sum over a window stays within 32 bits", _sum_fits),
    windows_fit(_kernel_size),
)

MAX_POOL_2D = Operator(
    "MAX_POOL_2D", _CONSTRAINTS, _lower("max_pool2d"), stream=_stream("max_pool2d", 1), summary="maximum over a window"
)
AVERAGE_POOL_2D = Operator(
    "AVERAGE_POOL_2D",
    _CONSTRAINTS,
    _lower("average_pool2d"),
    stream=_stream("average_pool2d", SUM_BYTES),
    summary="mean over a window, half away from zero",
)
