"""Operators that only move data: PAD, RESHAPE, TRANSPOSE, CONCATENATION, SPLIT, slices, PACK, UNPACK.

All work on any element type.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def pad(x: Array, paddings: npt.ArrayLike, value: int) -> Array:
    """Surround with `value`: the output's zero point for PAD, the given constant for PADV2.

    `paddings` is (rank, 2): elements before and after, per axis.
    """
    widths = [(int(before), int(after)) for before, after in np.asarray(paddings)]
    return np.pad(x, widths, constant_values=value)


def reshape(x: Array, shape: Sequence[int]) -> Array:
    """Give another shape to the same elements; also SQUEEZE and EXPAND_DIMS."""
    return x.reshape(tuple(shape))


def transpose(x: Array, permutation: Sequence[int]) -> Array:
    """Reorder the axes: output axis i is input axis `permutation[i]`."""
    return np.transpose(x, [int(axis) for axis in permutation])


def concatenation(inputs: Sequence[Array], axis: int) -> Array:
    """Join along an axis; every input has the output's quantization."""
    return np.concatenate(inputs, axis=axis)


def split(x: Array, sizes: Sequence[int], axis: int) -> list[Array]:
    """Cut into pieces of the given sizes along an axis (SPLIT: equal ones)."""
    return np.split(x, np.cumsum([int(size) for size in sizes])[:-1], axis=axis)


def slice_(x: Array, begin: Sequence[int], size: Sequence[int]) -> Array:
    """Cut out a box; a size of -1 reaches to the end of its axis."""
    box = (
        slice(int(first), None if count == -1 else int(first) + int(count))
        for first, count in zip(begin, size, strict=True)
    )
    return x[tuple(box)]


def strided_slice(
    x: Array,
    begin: Sequence[int],
    end: Sequence[int],
    strides: Sequence[int],
    *,
    begin_mask: int = 0,
    end_mask: int = 0,
    shrink_axis_mask: int = 0,
) -> Array:
    """Cut out a box with steps, negative ones included; bit i of a mask concerns axis i.

    A set bit of `begin_mask` or `end_mask` ignores that bound, one of `shrink_axis_mask` takes the single
    element at `begin` and drops the axis. A shrunk axis needs a positive step: with a negative one TensorFlow
    Lite Micro leaves the output unwritten.
    """
    box: list[slice] = []
    dropped = []
    for axis, (first, last, step) in enumerate(zip(begin, end, strides, strict=True)):
        length, stride = x.shape[axis], int(step)
        # slice.indices counts negative bounds from the end and clamps, exactly as the operator does.
        start, stop, _ = slice(
            None if begin_mask >> axis & 1 else int(first),
            None if end_mask >> axis & 1 else int(last),
            stride,
        ).indices(length)
        if shrink_axis_mask >> axis & 1:
            stop, stride = start + 1, 1
            dropped.append(axis)
        box.append(slice(start, stop if stop >= 0 else None, stride))
    return x[tuple(box)].squeeze(axis=tuple(dropped))


def pack(inputs: Sequence[Array], axis: int) -> Array:
    """Stack along a new axis."""
    return np.stack(inputs, axis=axis)


def unpack(x: Array, axis: int) -> list[Array]:
    """Take apart along an axis, which disappears."""
    return list(np.moveaxis(x, axis, 0))
