"""SOFTMAX from int8 to int8 (scale 1/256, zero point -128) along the last axis."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..fixed_point import exp_on_negative_values, reciprocal
from ..ir import Quantization
from ..quantized_math import (
    INT8_MAX,
    INT8_MIN,
    SOFTMAX_INTEGER_BITS,
    Int64Array,
    multiply_by_quantized_multiplier,
    rounding_divide_by_pot,
    saturating_rounding_doubling_high_mul,
    softmax_scaling,
)

Int8Array = npt.NDArray[np.int8]
_SUM_INTEGER_BITS = 12


def softmax(x: Int8Array, *, beta: float, q_in: Quantization) -> Int8Array:
    """Softmax of each row, with the exponential and the reciprocal in fixed point."""
    table = exponential_table(beta, q_in.scale)
    rows = x.reshape(-1, x.shape[-1]).astype(np.int64)
    result = np.stack([_row(row, table) for row in rows])
    return result.reshape(x.shape)


def exponential_table(beta: float, input_scale: float) -> Int64Array:
    """Exponentials in Q0.31 of the 256 possible distances 0 to 255 below a row's maximum.

    Zero stands for a distance whose probability is zero; every other entry is positive. A kernel can use
    the table as it is: `sum += rounding_divide_by_pot(table[max - x], 12)`.
    """
    multiplier, left_shift, diff_min = softmax_scaling(beta, input_scale)
    difference = -np.arange(256, dtype=np.int64)
    counted = difference >= diff_min
    scaled = multiply_by_quantized_multiplier(np.where(counted, difference, 0), multiplier, left_shift)
    return np.where(counted, exp_on_negative_values(scaled, SOFTMAX_INTEGER_BITS), 0)


def _row(row: Int64Array, table: Int64Array) -> Int8Array:
    exponentials = table[row.max() - row]
    total = int(rounding_divide_by_pot(exponentials, _SUM_INTEGER_BITS).sum())
    scale, bits_over_unit = reciprocal(total, _SUM_INTEGER_BITS)
    products = saturating_rounding_doubling_high_mul(scale, exponentials)
    scaled = rounding_divide_by_pot(products, bits_over_unit + 31 - 8) + INT8_MIN
    return np.clip(scaled, INT8_MIN, INT8_MAX).astype(np.int8)
