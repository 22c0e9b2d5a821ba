"""Views that think for operators which only move values: their strides are the copy kernel's strides."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..ir import ITEM_BYTES, Graph, Node, Tensor
from .base import (
    Call,
    Init,
)

#: A dummy array or a view of one.
View = npt.NDArray[Any]
#: Nested loops of the copy kernel.
LEVELS = 5
KERNEL = ("tn_copy",)


def dummy(tensor: Tensor) -> View:
    """Array of a tensor's shape whose elements have its size."""
    return np.empty(tensor.shape, np.dtype(f"V{ITEM_BYTES[tensor.dtype]}"))


def integers(graph: Graph, node: Node, position: int) -> list[int]:
    """Values of a constant input."""
    data = graph.input(node, position).data
    assert data is not None  # a constraint
    return [int(v) for v in data.reshape(-1)]


def axis_of(axis: int, rank: int) -> int:
    """An axis counted from the front; ValueError when there is none such."""
    if not -rank <= axis < rank:
        raise ValueError(f"axis {axis} of {rank}")
    return axis % rank


def _offset(view: View, base: View) -> int:
    return int(view.__array_interface__["data"][0] - base.__array_interface__["data"][0])


def moved_dimensions(source: View, target: View) -> tuple[list[tuple[int, int, int]], int]:
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


def copy_call(source: View, source_base: View, target: View, target_base: View, arguments: tuple[str, str]) -> Call:
    """Call that copies one view to another of the same shape."""
    dims, run = moved_dimensions(source, target)
    padded = [(1, 0, 0)] * (LEVELS - len(dims)) + dims
    params: dict[str, Init] = {
        "size": tuple(d[0] for d in padded),
        "in_stride": tuple(d[1] for d in padded),
        "out_stride": tuple(d[2] for d in padded),
        "in_offset": _offset(source, source_base),
        "out_offset": _offset(target, target_base),
        "run": run,
    }
    return Call("tn_copy_run", ("{params}", *arguments), "tn_copy", params)


def within_slices(part: View, whole: View) -> bool:
    """Whether slice y of one view lies within slice y of the other, along the axis behind the batch."""
    if min(len(part.shape), len(whole.shape)) < 3 or part.shape[:2] != whole.shape[:2] or part.shape[0] != 1:
        return False
    if part.shape[1] > 1 and part.strides[1] != whole.strides[1]:
        return False
    reach = [(size - 1) * stride for size, stride in zip(part.shape[2:], part.strides[2:], strict=True)]
    first = _offset(part, whole) + sum(min(step, 0) for step in reach)
    last = _offset(part, whole) + sum(max(step, 0) for step in reach)
    return bool(first >= 0 and last < whole[:, :1].nbytes)
