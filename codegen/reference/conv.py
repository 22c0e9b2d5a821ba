"""CONV_2D and DEPTHWISE_CONV_2D on int8, activations NHWC."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..ir import Quantization
from ..quantized_math import (
    IntArray,
    activation_range,
    conv_multipliers,
    output_size,
    padding_before,
    requantize,
    wrap_int32,
)

Int8Array = npt.NDArray[np.int8]


def conv2d(
    x: Int8Array,
    w: Int8Array,
    bias: IntArray | None,
    *,
    stride: tuple[int, int],
    dilation: tuple[int, int],
    padding: str,
    activation: str,
    q_in: Quantization,
    q_w: Quantization,
    q_out: Quantization,
) -> Int8Array:
    """Convolve in two dimensions.

    Parameters
    ----------
    x : ndarray of int8, (batch, height, width, channels)
    w : ndarray of int8, (filters, kernel height, kernel width, channels)
        Symmetric weights; their zero point is not used.
    bias : ndarray of int32, (filters,), optional
    stride, dilation : tuple of int
        Vertical, horizontal.
    padding : {"SAME", "VALID"}
    activation : str
        Fused activation, see `activation_range`.
    q_in, q_w, q_out : Quantization
        `q_w` has one scale, or one per filter.

    Returns
    -------
    ndarray of int8, (batch, output height, output width, filters)
    """
    shifted = _pad(x, w.shape[1:3], stride, dilation, padding, q_in.zero_point)
    size = _output_hw(x, w.shape[1:3], stride, dilation, padding)
    accumulator = np.zeros((x.shape[0], *size, w.shape[0]))
    for row, column in np.ndindex(*w.shape[1:3]):
        # Products of bytes summed in double precision are exact, and use the fast matrix product.
        tap = _tap(shifted, row, column, size, stride, dilation).astype(np.float64)
        accumulator += tap @ w[:, row, column, :].T.astype(np.float64)
    return _finish(accumulator.astype(np.int64), bias, activation, q_in, q_w, q_out)


def depthwise_conv2d(
    x: Int8Array,
    w: Int8Array,
    bias: IntArray | None,
    *,
    stride: tuple[int, int],
    dilation: tuple[int, int],
    padding: str,
    activation: str,
    q_in: Quantization,
    q_w: Quantization,
    q_out: Quantization,
) -> Int8Array:
    """Convolve each channel with its own filters.

    As `conv2d`, but `w` is (1, kernel height, kernel width, channels * multiplier); output channel
    `c * multiplier + m` reads input channel `c`.
    """
    shifted = _pad(x, w.shape[1:3], stride, dilation, padding, q_in.zero_point)
    size = _output_hw(x, w.shape[1:3], stride, dilation, padding)
    multiplier = w.shape[3] // x.shape[3]
    accumulator = np.zeros((x.shape[0], *size, w.shape[3]), dtype=np.int64)
    for row, column in np.ndindex(*w.shape[1:3]):
        tap = np.repeat(_tap(shifted, row, column, size, stride, dilation), multiplier, axis=3)
        accumulator += tap * w[0, row, column].astype(np.int32)
    return _finish(accumulator, bias, activation, q_in, q_w, q_out)


def _output_hw(
    x: Int8Array, kernel: tuple[int, ...], stride: tuple[int, int], dilation: tuple[int, int], padding: str
) -> tuple[int, int]:
    height, width = (
        output_size(padding, x.shape[1 + axis], kernel[axis], stride[axis], dilation[axis]) for axis in range(2)
    )
    return height, width


def _pad(
    x: Int8Array,
    kernel: tuple[int, ...],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    padding: str,
    zero_point: int,
) -> npt.NDArray[np.int32]:
    """Subtract the zero point and surround with as many zeros as any tap reaches."""
    widths = [(0, 0)]
    for axis in range(2):
        size = x.shape[1 + axis]
        before = padding_before(padding, size, kernel[axis], stride[axis], dilation[axis])
        outputs = output_size(padding, size, kernel[axis], stride[axis], dilation[axis])
        reach = (outputs - 1) * stride[axis] + (kernel[axis] - 1) * dilation[axis] + 1
        widths.append((before, max(reach - size - before, 0)))
    return np.pad(x.astype(np.int32) - zero_point, [*widths, (0, 0)])


def _tap(
    x: npt.NDArray[np.int32],
    row: int,
    column: int,
    size: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
) -> npt.NDArray[np.int32]:
    """Samples that one kernel position sees, for every output position."""
    top, left = row * dilation[0], column * dilation[1]
    return x[
        :,
        top : top + (size[0] - 1) * stride[0] + 1 : stride[0],
        left : left + (size[1] - 1) * stride[1] + 1 : stride[1],
    ]


def _finish(
    accumulator: npt.NDArray[Any],
    bias: IntArray | None,
    activation: str,
    q_in: Quantization,
    q_w: Quantization,
    q_out: Quantization,
) -> Int8Array:
    if bias is not None:
        accumulator = accumulator + bias.astype(np.int64)
    multipliers = np.array(conv_multipliers(q_in.scale, q_w.scales, q_out.scale), dtype=np.int64)
    low, high = activation_range(activation, q_out.scale, q_out.zero_point)
    return requantize(wrap_int32(accumulator), multipliers[:, 0], multipliers[:, 1], q_out.zero_point, low, high)
