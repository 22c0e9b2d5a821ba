"""MEAN and REDUCE_MAX on int8."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..ir import Quantization
from ..quantized_math import mean_multiplier, requantize

Int8Array = npt.NDArray[np.int8]


def mean(x: Int8Array, axes: Sequence[int], *, keep_dims: bool, q_in: Quantization, q_out: Quantization) -> Int8Array:
    """Average over some axes; the division is folded into the requantization.

    Parameters
    ----------
    x : ndarray of int8
    axes : sequence of int
        May be negative or repeated.
    keep_dims : bool
        Whether reduced axes stay, with length one.
    q_in, q_out : Quantization
    """
    reduced = resolve_axes(axes, x.ndim)
    count = math.prod(x.shape[axis] for axis in reduced)
    total = x.sum(axis=reduced, dtype=np.int64, keepdims=keep_dims) - q_in.zero_point * count
    multiplier, shift = mean_multiplier(q_in.scale, q_out.scale, count)
    return requantize(total, multiplier, shift, q_out.zero_point)


def reduce_max(x: Int8Array, axes: Sequence[int], *, keep_dims: bool) -> Int8Array:
    """Take the largest code over some axes; input and output share one quantization."""
    result: Int8Array = x.max(axis=resolve_axes(axes, x.ndim), keepdims=keep_dims)
    return result


def resolve_axes(axes: Sequence[int], rank: int) -> tuple[int, ...]:
    """Sort axes, count negative ones from the end and drop repeated ones."""
    return tuple(sorted({int(axis) % rank for axis in axes}))
