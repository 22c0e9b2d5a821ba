"""MEAN and REDUCE_MAX over any set of axes."""

from __future__ import annotations

import math
from collections.abc import Callable

from ..ir import Graph, Node
from ..quantized_math import Multiplier, mean_multiplier
from ..reference.reduce import resolve_axes
from .base import (
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
    constant_input,
    int8_tensors,
    output_limits,
    rescaling,
    same_quantization,
    slice_by_slice,
)

_MAX_GROUPS = 3
_SUM_LIMIT = 1 << 23  # elements; 256 of them per code stay within 32 bits


def _axes(graph: Graph, node: Node) -> list[int]:
    data = graph.input(node, 1).data
    assert data is not None  # a constraint
    return [int(a) for a in data.reshape(-1)]


def _groups(graph: Graph, node: Node) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """(size, stride) of the kept and of the reduced dimensions, neighbours of one kind joined."""
    source = graph.input(node, 0)
    reduced = resolve_axes(_axes(graph, node), len(source.shape))
    kinds: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
    previous = None
    stride = source.elements
    for position, size in enumerate(source.shape):
        stride //= size
        if size == 1:
            continue
        kind = position in reduced
        if kind == previous:
            size *= kinds[kind].pop()[0]
        kinds[kind].append((size, stride))
        previous = kind
    return kinds


def _few_groups(graph: Graph, node: Node) -> str | None:
    kept, reduced = _groups(graph, node)
    found = max(len(kept), len(reduced))
    return None if found <= _MAX_GROUPS else f"{found} separate groups"


def _few_elements(graph: Graph, node: Node) -> str | None:
    count = graph.input(node, 0).elements // graph.output(node).elements
    return None if count < _SUM_LIMIT else f"{count} elements"


def _lower(kernel: str, with_mean: bool) -> Callable[[Graph, Node], Lowered]:
    def lower(graph: Graph, node: Node) -> Lowered:
        source, target = graph.input(node, 0), graph.output(node)
        params = _loops(graph, node)
        if with_mean:
            count = source.elements // target.elements
            multiplier, shift = mean_multiplier(source.q.scale, target.q.scale, count)
            params |= {"offset": -source.q.zero_point * count, "multiplier": multiplier, "shift": shift}
            params["output"] = output_limits(node, target)
        call = Call(f"tn_{kernel}_s8_run", ("{params}", "{in0}", "{out0}"), "tn_reduce_s8", params)
        return Lowered(kernels=(f"tn_{kernel}_s8",), calls=(call,))

    return lower


def _stream(kernel: str, with_mean: bool, item_bytes: int) -> Streamer:
    """A reduction along the stream accumulates; one that leaves the stream alone runs slice by slice."""
    lower = _lower(kernel, with_mean)

    def rule(graph: Graph, node: Node, slicer: Slicer) -> StreamRule | None:
        if 1 not in resolve_axes(_axes(graph, node), len(graph.input(node, 0).shape)):
            return slice_by_slice(lower)(graph, node, slicer)
        (whole,) = lower(graph, node).calls
        params = {**whole.params, **_loops(slicer(node), node)}
        outputs = graph.output(node).elements
        few = item_bytes == SUM_BYTES and graph.input(node, 0).elements // outputs <= FEW_CODES
        way = "_few" if few else ""
        add = Call(f"tn_{kernel}_s8_add{way}", ("{params}", "{in0}", "{acc}", "{y}"), whole.struct, params)
        finish = Call(f"tn_{kernel}_s8_finish{way}", ("{params}", "{acc}", "{out0}"))
        lowered = Lowered(kernels=(f"tn_{kernel}_s8",), calls=(add,))
        return StreamRule(Window(), lowered, Lowered(calls=(finish,)), (FEW_BYTES if few else item_bytes) * outputs)

    return rule


def _loops(graph: Graph, node: Node) -> dict[str, Init]:
    fields: dict[str, Init] = {}
    for prefix, group in zip(("", "reduced_"), _groups(graph, node), strict=True):
        padded = [(1, 0)] * (_MAX_GROUPS - len(group)) + group
        fields[prefix + "size"] = tuple(size for size, _ in padded)
        fields[prefix + "stride"] = tuple(stride for _, stride in padded)
    return fields


def _mean_scale(graph: Graph, node: Node) -> list[Multiplier]:
    source, target = graph.input(node, 0), graph.output(node)
    return [mean_multiplier(source.q.scale, target.q.scale, source.elements // target.elements)]


def _shape_follows(graph: Graph, node: Node) -> str | None:
    shape, axes = graph.input(node, 0).shape, _axes(graph, node)
    if any(not -len(shape) <= axis < len(shape) for axis in axes):
        return f"axes {axes} of shape {list(shape)}"
    reduced = resolve_axes(axes, len(shape))
    kept = [size for position, size in enumerate(shape) if position not in reduced]
    fits = math.prod(kept) == graph.output(node).elements
    return None if fits else f"{list(shape)} to {list(graph.output(node).shape)}"


_CONSTRAINTS = (
    int8_tensors(1),
    PER_TENSOR,
    SMALL_DIMENSIONS,
    constant_input(1, "the list of axes"),
    Constraint("the axes lead from the input's shape to the output's", _shape_follows),
    Constraint(f"kept and reduced axes form at most {_MAX_GROUPS} groups each", _few_groups),
    Constraint(f"fewer than {_SUM_LIMIT} elements are reduced to one", _few_elements),
)

MEAN = Operator(
    "MEAN",
    (*_CONSTRAINTS, rescaling(_mean_scale)),
    _lower("mean", True),
    stream=_stream("mean", True, SUM_BYTES),
    summary="mean over axes",
)
REDUCE_MAX = Operator(
    "REDUCE_MAX",
    (*_CONSTRAINTS, same_quantization()),
    _lower("reduce_max", False),
    stream=_stream("reduce_max", False, 1),
    summary="maximum over axes",
)
