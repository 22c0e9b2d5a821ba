"""MAX_POOL_2D and AVERAGE_POOL_2D on int8, NHWC; input and output share one quantization."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ..ir import Quantization
from ..quantized_math import INT8_MIN, activation_range, output_size, padding_before

Int8Array = npt.NDArray[np.int8]


def max_pool_2d(
    x: Int8Array,
    *,
    window: tuple[int, int],
    stride: tuple[int, int],
    padding: str,
    activation: str,
    q_out: Quantization,
) -> Int8Array:
    """Take the largest value of each window; samples outside the image do not take part.

    Parameters
    ----------
    x : ndarray of int8, (batch, height, width, channels)
    window, stride : tuple of int
        Vertical, horizontal.
    padding : {"SAME", "VALID"}
    activation : str
        Fused activation, see `activation_range`.
    q_out : Quantization
        Quantization of the output, which is the input's too.

    Returns
    -------
    ndarray of int8, (batch, output height, output width, channels)
    """
    size = _output_hw(x, window, stride, padding)
    result = np.full((x.shape[0], *size, x.shape[3]), INT8_MIN, dtype=np.int8)
    for outputs, inputs in _taps(x, size, window, stride, padding):
        result[:, *outputs] = np.maximum(result[:, *outputs], x[:, *inputs])
    return _clamp(result, activation, q_out)


def average_pool_2d(
    x: Int8Array,
    *,
    window: tuple[int, int],
    stride: tuple[int, int],
    padding: str,
    activation: str,
    q_out: Quantization,
) -> Int8Array:
    """Average the codes of each window over its samples inside the image, half away from zero.

    Arguments as in `max_pool_2d`.
    """
    size = _output_hw(x, window, stride, padding)
    total = np.zeros((x.shape[0], *size, x.shape[3]), dtype=np.int64)
    count = np.zeros((*size, 1), dtype=np.int64)
    for outputs, inputs in _taps(x, size, window, stride, padding):
        total[:, *outputs] += x[:, *inputs]
        count[outputs] += 1
    # A window may lie wholly in the padding of a degenerate shape; the operator then has no value.
    count = np.maximum(count, 1)
    average = np.sign(total) * ((np.abs(total) + count // 2) // count)
    return _clamp(average, activation, q_out)


def _output_hw(x: Int8Array, window: tuple[int, int], stride: tuple[int, int], padding: str) -> tuple[int, int]:
    return (
        output_size(padding, x.shape[1], window[0], stride[0]),
        output_size(padding, x.shape[2], window[1], stride[1]),
    )


def _taps(
    x: Int8Array, size: tuple[int, int], window: tuple[int, int], stride: tuple[int, int], padding: str
) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """Pairs of output and input slices: one pair per window position, clipped to the image."""
    for position in np.ndindex(*window):
        outputs, inputs = [], []
        for axis in range(2):
            before = padding_before(padding, x.shape[1 + axis], window[axis], stride[axis])
            first = position[axis] - before
            start = max(0, -(first // stride[axis]))
            stop = min(size[axis], -((first - x.shape[1 + axis]) // stride[axis]))
            stop = max(stop, start)
            origin = start * stride[axis] + first
            outputs.append(slice(start, stop))
            inputs.append(slice(origin, origin + (stop - start) * stride[axis], stride[axis]))
        if all(part.stop > part.start for part in outputs):
            yield (outputs[0], outputs[1]), (inputs[0], inputs[1])


def _clamp(values: npt.NDArray[np.integer], activation: str, q_out: Quantization) -> Int8Array:
    low, high = activation_range(activation, q_out.scale, q_out.zero_point)
    result: Int8Array = np.minimum(np.maximum(values, low), high).astype(np.int8)
    return result
