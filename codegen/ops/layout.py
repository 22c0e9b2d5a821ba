"""Operators that only move values.

NumPy views do the thinking: the operator's reference, applied to a dummy array, gives a view whose strides are the
kernel's strides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from ..ir import Graph, Node
from ..reference import layout
from .base import (
    SAME_ELEMENTS,
    Constraint,
    Lowered,
    Operator,
    Slicer,
    StreamRule,
    Window,
    activation,
    constant_input,
    movable_tensors,
    same_quantization,
)
from .views import KERNEL, LEVELS, View, axis_of, copy_call, dummy, integers, moved_dimensions, within_slices

# --- parts of the input become the outputs ------------------------------------------------------------------

_Select = Callable[[Graph, Node, View], Iterable[View]]


def _shapes_follow(select: _Select, data: int) -> Constraint:
    def check(graph: Graph, node: Node) -> str | None:
        source = graph.input(node, data)
        try:
            views = list(select(graph, node, dummy(source)))
        except (ValueError, IndexError):
            return f"they do not apply to shape {list(source.shape)}"
        if len(views) != len(node.outputs):
            return f"{len(views)} parts for {len(node.outputs)} outputs"
        for position, view in enumerate(views):
            target = graph.output(node, position)
            if view.size != target.elements or view.size == 0:
                return f"{list(source.shape)} gives {list(view.shape)}, the file says {list(target.shape)}"
            if len(moved_dimensions(view, np.empty(view.shape, view.dtype))[0]) > LEVELS:
                return f"{list(source.shape)} needs more than {LEVELS} nested loops"
        return None

    return Constraint("its arguments lead from the input's shape to the outputs'", check)


def _selection(name: str, select: _Select, summary: str, *constants: Constraint, data: int = 0) -> Operator:
    def lower(graph: Graph, node: Node) -> Lowered:
        source = dummy(graph.input(node, data))
        calls = []
        for position, view in enumerate(select(graph, node, source)):
            target = np.empty(view.shape, view.dtype)
            calls.append(copy_call(view, source, target, target, (f"{{in{data}}}", f"{{out{position}}}")))
        return Lowered(kernels=KERNEL, calls=tuple(calls))

    def rule(graph: Graph, node: Node, slicer: Slicer) -> StreamRule | None:
        """Slices of the input become slices of the outputs, one for one."""
        source = dummy(graph.input(node, data))
        calls = []
        for position, view in enumerate(select(graph, node, source)):
            if view.shape != graph.output(node, position).shape or not within_slices(view, source):
                return None
            target = np.empty(view[:, :1].shape, view.dtype)
            calls.append(copy_call(view[:, :1], source, target, target, (f"{{in{data}}}", f"{{out{position}}}")))
        return StreamRule(Window(), Lowered(kernels=KERNEL, calls=tuple(calls)))

    return Operator(
        name,
        (movable_tensors((data,)), same_quantization((data,)), *constants, _shapes_follow(select, data)),
        lower,
        stream=rule,
        summary=summary,
    )


def _transpose(graph: Graph, node: Node, x: View) -> list[View]:
    return [layout.transpose(x, integers(graph, node, 1))]


def _slice(graph: Graph, node: Node, x: View) -> list[View]:
    begin, size = integers(graph, node, 1), integers(graph, node, 2)
    for first, count, length in zip(begin, size, x.shape, strict=True):
        if first < 0 or count < -1 or first + count > length:
            raise ValueError(f"{count} elements from {first} of {length}")
    return [layout.slice_(x, begin, size)]


def _strided_slice(graph: Graph, node: Node, x: View) -> list[View]:
    begin, end, strides = (integers(graph, node, i) for i in (1, 2, 3))
    masks = {name: node.attrs[name] for name in ("begin_mask", "end_mask", "shrink_axis_mask")}
    if any(masks["shrink_axis_mask"] >> axis & 1 and stride < 0 for axis, stride in enumerate(strides)):
        raise ValueError("TFLM leaves the output unwritten")
    return [layout.strided_slice(x, begin, end, strides, **masks)]


def _split(graph: Graph, node: Node, x: View) -> list[View]:
    (axis,) = integers(graph, node, 0)
    parts = node.attrs["num_splits"]
    length = x.shape[axis_of(axis, len(x.shape))]
    if parts < 1 or parts != len(node.outputs) or length % parts != 0:
        raise ValueError(f"{parts} parts of {length}")
    return layout.split(x, [length // parts] * parts, axis)


def _split_v(graph: Graph, node: Node, x: View) -> list[View]:
    (axis,) = integers(graph, node, 2)
    length = x.shape[axis_of(axis, len(x.shape))]
    sizes = _split_sizes(integers(graph, node, 1), length)
    if min(sizes) < 0 or sum(sizes) != length:
        raise ValueError(f"sizes {sizes} of {length}")
    return layout.split(x, sizes, axis)


def _split_sizes(sizes: list[int], total: int) -> list[int]:
    """One size may be -1: whatever the others leave."""
    rest = total - sum(size for size in sizes if size >= 0)
    return [rest if size < 0 else size for size in sizes]


def _unpack(graph: Graph, node: Node, x: View) -> list[View]:
    return layout.unpack(x, node.attrs["axis"])


# --- the inputs become parts of the output ------------------------------------------------------------------

_Place = Callable[[Graph, Node, View], Iterable[View]]


def _slots(graph: Graph, node: Node, out: View, axis: int) -> Iterable[View]:
    start = 0
    for position in range(len(node.inputs)):
        size = graph.input(node, position).shape[axis]
        slot = np.moveaxis(out, axis, 0)[start : start + size]
        yield np.moveaxis(slot, 0, axis)
        start += size


def _concatenation(graph: Graph, node: Node, out: View) -> Iterable[View]:
    return _slots(graph, node, out, axis_of(node.attrs["axis"], len(out.shape)))


def _pack(graph: Graph, node: Node, out: View) -> Iterable[View]:
    axis = axis_of(node.attrs["axis"], len(out.shape))
    return [np.moveaxis(out, axis, 0)[i] for i in range(len(node.inputs))]


def _parts_fill(place: _Place) -> Constraint:
    def check(graph: Graph, node: Node) -> str | None:
        out = graph.output(node)
        try:
            views = list(place(graph, node, dummy(out)))
        except (ValueError, IndexError):
            return f"they do not fit shape {list(out.shape)}"
        shapes = [graph.input(node, i).shape for i in range(len(node.inputs))]
        fits = [v.shape for v in views] == shapes and sum(v.size for v in views) == out.elements
        return None if fits else f"{[list(s) for s in shapes]} into {list(out.shape)}"

    return Constraint("the inputs fill the output exactly", check)


def _all_inputs(constraint: Callable[[Sequence[int]], Constraint]) -> Constraint:
    return Constraint(constraint((0,)).text, lambda graph, node: constraint(range(len(node.inputs))).check(graph, node))


def _joining(name: str, place: _Place, summary: str, *extra: Constraint) -> Operator:
    def lower(graph: Graph, node: Node) -> Lowered:
        target = dummy(graph.output(node))
        calls = []
        for position, view in enumerate(place(graph, node, target)):
            source = dummy(graph.input(node, position))
            calls.append(copy_call(source, source, view, target, (f"{{in{position}}}", "{out0}")))
        return Lowered(kernels=KERNEL, calls=tuple(calls))

    def rule(graph: Graph, node: Node, slicer: Slicer) -> StreamRule | None:
        """Slices of the inputs lie side by side in slices of the output."""
        target = dummy(graph.output(node))
        seen = slicer(node)
        calls = []
        for position, view in enumerate(place(graph, node, target)):
            source = dummy(seen.input(node, position))
            if graph.input(node, position).data is not None or source.shape[1:2] != (1,):
                return None
            if not within_slices(view, target):
                return None
            calls.append(copy_call(source, source, view[:, :1], target, (f"{{in{position}}}", "{out0}")))
        return StreamRule(Window(), Lowered(kernels=KERNEL, calls=tuple(calls)))

    constraints = (
        _all_inputs(movable_tensors),
        _all_inputs(same_quantization),
        *extra,
        _parts_fill(place),
    )
    return Operator(name, constraints, lower, stream=rule, summary=summary)


# --- the same bytes under another shape ---------------------------------------------------------------------


def _alias(name: str, summary: str) -> Operator:
    return Operator(
        name,
        (
            movable_tensors((0,)),
            same_quantization(),
            SAME_ELEMENTS,
        ),
        lambda graph, node: Lowered(alias=True),
        stream=_same_slices,
        summary=summary,
    )


def _same_slices(graph: Graph, node: Node, slicer: Slicer) -> StreamRule | None:
    """No code at all where a new shape leaves the slices as they are."""
    source, target = graph.input(node, 0).shape, graph.output(node).shape
    same = len(target) >= 3 and source[:2] == target[:2]
    return StreamRule(Window(), Lowered(alias=True)) if same else None


def _no_new_axes(graph: Graph, node: Node) -> str | None:
    masks = [name for name in ("ellipsis_mask", "new_axis_mask", "offset") if node.attrs[name]]
    return f"{masks[0]} is set" if masks else None


OPERATORS = (
    _selection("TRANSPOSE", _transpose, "axes in another order", constant_input(1, "the permutation")),
    _selection("SLICE", _slice, "a box of the input", constant_input(1, "the begin"), constant_input(2, "the size")),
    _selection(
        "STRIDED_SLICE",
        _strided_slice,
        "a box of the input with steps",
        constant_input(1, "the begin"),
        constant_input(2, "the end"),
        constant_input(3, "the list of strides"),
        Constraint("no ellipsis, new axis or offset", _no_new_axes),
    ),
    _selection("UNPACK", _unpack, "slices along one axis, which disappears"),
    _selection("SPLIT", _split, "equal parts along an axis", constant_input(0, "the axis"), data=1),
    _selection(
        "SPLIT_V",
        _split_v,
        "parts along an axis",
        constant_input(1, "the list of sizes"),
        constant_input(2, "the axis"),
    ),
    _joining("CONCATENATION", _concatenation, "inputs one after another along an axis", activation("NONE")),
    _joining("PACK", _pack, "inputs stacked along a new axis"),
    _alias("RESHAPE", "another shape for the same values"),
    _alias("SQUEEZE", "axes of length 1 removed"),
    _alias("EXPAND_DIMS", "an axis of length 1 added"),
)
