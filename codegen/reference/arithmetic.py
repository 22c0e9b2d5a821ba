"""ADD, SUB, MUL and SQUARED_DIFFERENCE on int8, broadcasting as NumPy does."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..ir import Quantization
from ..quantized_math import (
    AddMultipliers,
    Int64Array,
    activation_range,
    add_multipliers,
    mul_multiplier,
    multiply_by_quantized_multiplier,
    requantize,
    squared_difference_multipliers,
    sub_multipliers,
    wrap_int32,
)

Int8Array = npt.NDArray[np.int8]


def add(
    a: Int8Array, b: Int8Array, *, activation: str, q_a: Quantization, q_b: Quantization, q_out: Quantization
) -> Int8Array:
    """Add: both inputs are brought to a common scale with 20 extra bits, then to the output's."""
    scaling = add_multipliers(q_a.scale, q_b.scale, q_out.scale)
    left, right = _common_scale(a, b, q_a, q_b, scaling)
    low, high = activation_range(activation, q_out.scale, q_out.zero_point)
    return requantize(left + right, *scaling.output, q_out.zero_point, low, high)


def sub(
    a: Int8Array, b: Int8Array, *, activation: str, q_a: Quantization, q_b: Quantization, q_out: Quantization
) -> Int8Array:
    """Subtract `b` from `a`, as `add` does."""
    scaling = sub_multipliers(q_a.scale, q_b.scale, q_out.scale)
    left, right = _common_scale(a, b, q_a, q_b, scaling)
    low, high = activation_range(activation, q_out.scale, q_out.zero_point)
    return requantize(left - right, *scaling.output, q_out.zero_point, low, high)


def mul(
    a: Int8Array, b: Int8Array, *, activation: str, q_a: Quantization, q_b: Quantization, q_out: Quantization
) -> Int8Array:
    """Multiply: one product of the shifted codes, one requantization."""
    product = (a.astype(np.int64) - q_a.zero_point) * (b.astype(np.int64) - q_b.zero_point)
    low, high = activation_range(activation, q_out.scale, q_out.zero_point)
    scaling = mul_multiplier(q_a.scale, q_b.scale, q_out.scale)
    return requantize(product, *scaling, q_out.zero_point, low, high)


def squared_difference(
    a: Int8Array, b: Int8Array, *, q_a: Quantization, q_b: Quantization, q_out: Quantization
) -> Int8Array:
    """Square the difference, taken with 7 extra bits."""
    scaling = squared_difference_multipliers(q_a.scale, q_b.scale, q_out.scale)
    left, right = _common_scale(a, b, q_a, q_b, scaling)
    return requantize(wrap_int32((left - right) ** 2), *scaling.output, q_out.zero_point)


def _common_scale(
    a: Int8Array, b: Int8Array, q_a: Quantization, q_b: Quantization, scaling: AddMultipliers
) -> tuple[Int64Array, Int64Array]:
    left = (a.astype(np.int64) - q_a.zero_point) << scaling.left_shift
    right = (b.astype(np.int64) - q_b.zero_point) << scaling.left_shift
    return (
        multiply_by_quantized_multiplier(left, *scaling.input1),
        multiply_by_quantized_multiplier(right, *scaling.input2),
    )
