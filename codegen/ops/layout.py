"""Operators that only move values.

NumPy views do the thinking: the operator's reference, applied to a dummy array, gives a view whose strides are the
kernel's strides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..ir import ITEM_BYTES, Graph, Node, Tensor
from ..reference import layout
from .base import (
    MAX_DIMENSION,
    SAME_ELEMENTS,
    Call,
    Constraint,
    Init,
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

_View = npt.NDArray[Any]
_LEVELS = 5
_KERNEL = ("tn_copy",)


def _dummy(tensor: Tensor) -> _View:
    return np.empty(tensor.shape, np.dtype(f"V{ITEM_BYTES[tensor.dtype]}"))


def _integers(graph: Graph, node: Node, position: int) -> list[int]:
    data = graph.input(node, position).data
    assert data is not None  # a constraint
    return [int(v) for v in data.reshape(-1)]


def _axis(axis: int, rank: int) -> int:
    """An axis counted from the front; ValueError when there is none such."""
    if not -rank <= axis < rank:
        raise ValueError(f"axis {axis} of {rank}")
    return axis % rank


def _offset(view: _View, base: _View) -> int:
    return int(view.__array_interface__["data"][0] - base.__array_interface__["data"][0])


def _moved_dimensions(source: _View, target: _View) -> tuple[list[tuple[int, int, int]], int]:
    """(size, input stride, output stride) per dimension, joined where possible, and the contiguous run in bytes."""
    dims: list[tuple[int, int, int]] = []
    for size, a, b in zip(source.shape, source.strides, target.strides, strict=True):
        if size == 1:
            continue
        if dims and dims[-1][1] == size * a and dims[-1][2] == size * b:
            dims[-1] = (dims[-1][0] * size, a, b)
        else:
            dims.append((size, a, b))
    run = source.itemsize
    # A run is copied at once; its length must fit the kernel's 16-bit field.
    if dims and dims[-1][1] == dims[-1][2] == run and dims[-1][0] * run <= 0xFFFF:
        run *= dims.pop()[0]
    return dims, run


def _copy(source: _View, source_base: _View, target: _View, target_base: _View, arguments: tuple[str, str]) -> Call:
    """Call that copies one view to another of the same shape."""
    dims, run = _moved_dimensions(source, target)
    padded = [(1, 0, 0)] * (_LEVELS - len(dims)) + dims
    params: dict[str, Init] = {
        "size": tuple(d[0] for d in padded),
        "in_stride": tuple(d[1] for d in padded),
        "out_stride": tuple(d[2] for d in padded),
        "in_offset": _offset(source, source_base),
        "out_offset": _offset(target, target_base),
        "run": run,
    }
    return Call("tn_copy_run", ("{params}", *arguments), "tn_copy", params)


def _within_slices(part: _View, whole: _View) -> bool:
    """Whether slice y of one view lies within slice y of the other, along the axis behind the batch."""
    if min(len(part.shape), len(whole.shape)) < 3 or part.shape[:2] != whole.shape[:2] or part.shape[0] != 1:
        return False
    if part.shape[1] > 1 and part.strides[1] != whole.strides[1]:
        return False
    reach = [(size - 1) * stride for size, stride in zip(part.shape[2:], part.strides[2:], strict=True)]
    first = _offset(part, whole) + sum(min(step, 0) for step in reach)
    last = _offset(part, whole) + sum(max(step, 0) for step in reach)
    return bool(first >= 0 and last < whole[:, :1].nbytes)


# --- parts of the input become the outputs ------------------------------------------------------------------

_Select = Callable[[Graph, Node, _View], Iterable[_View]]


def _shapes_follow(select: _Select, data: int) -> Constraint:
    def check(graph: Graph, node: Node) -> str | None:
        source = graph.input(node, data)
        try:
            views = list(select(graph, node, _dummy(source)))
        except (ValueError, IndexError):
            return f"they do not apply to shape {list(source.shape)}"
        if len(views) != len(node.outputs):
            return f"{len(views)} parts for {len(node.outputs)} outputs"
        for position, view in enumerate(views):
            target = graph.output(node, position)
            if view.size != target.elements or view.size == 0:
                return f"{list(source.shape)} gives {list(view.shape)}, the file says {list(target.shape)}"
            if len(_moved_dimensions(view, np.empty(view.shape, view.dtype))[0]) > _LEVELS:
                return f"{list(source.shape)} needs more than {_LEVELS} nested loops"
        return None

    return Constraint("its arguments lead from the input's shape to the outputs'", check)


def _selection(name: str, select: _Select, summary: str, *constants: Constraint, data: int = 0) -> Operator:
    def lower(graph: Graph, node: Node) -> Lowered:
        source = _dummy(graph.input(node, data))
        calls = []
        for position, view in enumerate(select(graph, node, source)):
            target = np.empty(view.shape, view.dtype)
            calls.append(_copy(view, source, target, target, (f"{{in{data}}}", f"{{out{position}}}")))
        return Lowered(kernels=_KERNEL, calls=tuple(calls))

    def rule(graph: Graph, node: Node, slicer: Slicer) -> StreamRule | None:
        """Slices of the input become slices of the outputs, one for one."""
        source = _dummy(graph.input(node, data))
        calls = []
        for position, view in enumerate(select(graph, node, source)):
            if view.shape != graph.output(node, position).shape or not _within_slices(view, source):
                return None
            target = np.empty(view[:, :1].shape, view.dtype)
            calls.append(_copy(view[:, :1], source, target, target, (f"{{in{data}}}", f"{{out{position}}}")))
        return StreamRule(Window(), Lowered(kernels=_KERNEL, calls=tuple(calls)))

    return Operator(
        name,
        (movable_tensors((data,)), same_quantization((data,)), *constants, _shapes_follow(select, data)),
        lower,
        stream=rule,
        summary=summary,
    )


def _transpose(graph: Graph, node: Node, x: _View) -> list[_View]:
    return [layout.transpose(x, _integers(graph, node, 1))]


def _slice(graph: Graph, node: Node, x: _View) -> list[_View]:
    begin, size = _integers(graph, node, 1), _integers(graph, node, 2)
    for first, count, length in zip(begin, size, x.shape, strict=True):
        if first < 0 or count < -1 or first + count > length:
            raise ValueError(f"{count} elements from {first} of {length}")
    return [layout.slice_(x, begin, size)]


def _strided_slice(graph: Graph, node: Node, x: _View) -> list[_View]:
    begin, end, strides = (_integers(graph, node, i) for i in (1, 2, 3))
    masks = {name: node.attrs[name] for name in ("begin_mask", "end_mask", "shrink_axis_mask")}
    if any(masks["shrink_axis_mask"] >> axis & 1 and stride < 0 for axis, stride in enumerate(strides)):
        raise ValueError("TFLM leaves the output unwritten")
    return [layout.strided_slice(x, begin, end, strides, **masks)]


def _split(graph: Graph, node: Node, x: _View) -> list[_View]:
    (axis,) = _integers(graph, node, 0)
    parts = node.attrs["num_splits"]
    length = x.shape[_axis(axis, len(x.shape))]
    if parts < 1 or parts != len(node.outputs) or length % parts != 0:
        raise ValueError(f"{parts} parts of {length}")
    return layout.split(x, [length // parts] * parts, axis)


def _split_v(graph: Graph, node: Node, x: _View) -> list[_View]:
    (axis,) = _integers(graph, node, 2)
    length = x.shape[_axis(axis, len(x.shape))]
    sizes = _split_sizes(_integers(graph, node, 1), length)
    if min(sizes) < 0 or sum(sizes) != length:
        raise ValueError(f"sizes {sizes} of {length}")
    return layout.split(x, sizes, axis)


def _split_sizes(sizes: list[int], total: int) -> list[int]:
    """One size may be -1: whatever the others leave."""
    rest = total - sum(size for size in sizes if size >= 0)
    return [rest if size < 0 else size for size in sizes]


def _unpack(graph: Graph, node: Node, x: _View) -> list[_View]:
    return layout.unpack(x, node.attrs["axis"])


# --- the inputs become parts of the output ------------------------------------------------------------------

_Place = Callable[[Graph, Node, _View], Iterable[_View]]


def _slots(graph: Graph, node: Node, out: _View, axis: int) -> Iterable[_View]:
    start = 0
    for position in range(len(node.inputs)):
        size = graph.input(node, position).shape[axis]
        slot = np.moveaxis(out, axis, 0)[start : start + size]
        yield np.moveaxis(slot, 0, axis)
        start += size


def _concatenation(graph: Graph, node: Node, out: _View) -> Iterable[_View]:
    return _slots(graph, node, out, _axis(node.attrs["axis"], len(out.shape)))


def _pack(graph: Graph, node: Node, out: _View) -> Iterable[_View]:
    axis = _axis(node.attrs["axis"], len(out.shape))
    return [np.moveaxis(out, axis, 0)[i] for i in range(len(node.inputs))]


def _parts_fill(place: _Place) -> Constraint:
    def check(graph: Graph, node: Node) -> str | None:
        out = graph.output(node)
        try:
            views = list(place(graph, node, _dummy(out)))
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
        target = _dummy(graph.output(node))
        calls = []
        for position, view in enumerate(place(graph, node, target)):
            source = _dummy(graph.input(node, position))
            calls.append(_copy(source, source, view, target, (f"{{in{position}}}", "{out0}")))
        return Lowered(kernels=_KERNEL, calls=tuple(calls))

    def rule(graph: Graph, node: Node, slicer: Slicer) -> StreamRule | None:
        """Slices of the inputs lie side by side in slices of the output."""
        target = _dummy(graph.output(node))
        seen = slicer(node)
        calls = []
        for position, view in enumerate(place(graph, node, target)):
            source = _dummy(seen.input(node, position))
            if graph.input(node, position).data is not None or source.shape[1:2] != (1,):
                return None
            if not _within_slices(view, target):
                return None
            calls.append(_copy(source, source, view[:, :1], target, (f"{{in{position}}}", "{out0}")))
        return StreamRule(Window(), Lowered(kernels=_KERNEL, calls=tuple(calls)))

    constraints = (
        _all_inputs(movable_tensors),
        _all_inputs(same_quantization),
        *extra,
        _parts_fill(place),
    )
    return Operator(name, constraints, lower, stream=rule, summary=summary)


# --- padding ------------------------------------------------------------------------------------------------


def _inside(graph: Graph, node: Node, out: _View) -> _View:
    widths = np.array(_integers(graph, node, 1)).reshape(-1, 2)
    return out[tuple(slice(int(a), size - int(b)) for (a, b), size in zip(widths, out.shape, strict=True))]


def _padding_fits(graph: Graph, node: Node) -> str | None:
    out, source = graph.output(node), graph.input(node, 0)
    widths = _integers(graph, node, 1)
    if len(out.shape) > _LEVELS:
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
    source, target = _dummy(graph.input(node, 0)), _dummy(graph.output(node))
    fill = Call("tn_fill_run", ("{out0}", str(_border(graph, node)), str(target.size)))
    copy = _copy(source, source, _inside(graph, node, target), target, ("{in0}", "{out0}"))
    return Lowered(kernels=_KERNEL, calls=(fill, copy))


def _stream_pad(graph: Graph, node: Node, slicer: Slicer) -> StreamRule | None:
    """Along the stream a window of one slice that begins before the first and ends behind the last."""
    source, target = graph.input(node, 0), graph.output(node)
    if len(target.shape) < 3 or target.shape[0] != 1 or max(target.shape) > MAX_DIMENSION:
        return None
    widths = np.array(_integers(graph, node, 1)).reshape(-1, 2).tolist()
    slice_in, slice_out = (_dummy(slicer(node).tensors[i]) for i in (source.index, target.index))
    box = [slice(before, size - after) for (before, after), size in zip(widths[2:], target.shape[2:], strict=True)]
    copy = _copy(slice_in, slice_in, slice_out[(slice(None), slice(None), *box)], slice_out, ("", ""))
    rows = {"in": source.shape[1], "out": target.shape[1], "kernel": 1, "stride": 1, "dilation": 1}
    params: dict[str, Init] = {
        "rows": {**rows, "pad": widths[1][0]},
        "copy": copy.params,
        "bytes": slice_out.size,
        "value": _border(graph, node),
    }
    call = Call("tn_pad_s8_row", ("{params}", "{rows}", "{out0}"), "tn_pad_s8", params)
    return StreamRule(Window(pad=widths[1][0]), Lowered(kernels=_KERNEL, calls=(call,), window_rows=1))


def _int8_only(graph: Graph, node: Node) -> str | None:
    tensor = graph.input(node, 0)
    return None if tensor.dtype == "int8" and tensor.quantization else f"'{tensor.name}' is {tensor.dtype}"


_PAD = (
    Constraint("input and output are int8", _int8_only, "convert with full-integer quantization"),
    same_quantization(),
    constant_input(1, "the list of paddings"),
    Constraint(f"the paddings lead from the input's shape to the output's, up to {_LEVELS} dimensions", _padding_fits),
)


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
    Operator("PAD", _PAD, _lower_pad, stream=_stream_pad, summary="a border of zeros"),
    Operator(
        "PADV2",
        (*_PAD, constant_input(2, "the padding value", "int8")),
        _lower_pad,
        stream=_stream_pad,
        summary="a border of one value",
    ),
    _alias("RESHAPE", "another shape for the same values"),
    _alias("SQUEEZE", "axes of length 1 removed"),
    _alias("EXPAND_DIMS", "an axis of length 1 added"),
)
