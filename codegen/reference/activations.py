"""LOGISTIC, TANH, RELU, RELU6, LEAKY_RELU and RSQRT on int8: functions of one code.

Applied to all 256 codes, each gives the lookup table that the compiler emits (`lookup_table`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from .. import fixed_point
from ..ir import Quantization
from ..quantized_math import (
    INT8_MAX,
    INT8_MIN,
    LOGISTIC_INTEGER_BITS,
    Int64Array,
    activation_range,
    leaky_relu_multiplier,
    logistic_scaling,
    multiply_by_quantized_multiplier,
    quantize_real,
    relu_multiplier,
    requantize,
    rounding_divide_by_pot,
    rsqrt_multiplier,
)

Int8Array = npt.NDArray[np.int8]
_RSQRT_EXTRA_BITS = 20


def lookup_table(function: Callable[[Int8Array], Int8Array]) -> Int8Array:
    """Values of a function of one code, for the codes -128 to 127 in order."""
    return function(np.arange(INT8_MIN, INT8_MAX + 1, dtype=np.int8))


def lookup(x: Int8Array, table: Int8Array | None) -> Int8Array:
    """Values of a table that `lookup_table` made."""
    assert table is not None
    result: Int8Array = table[x.astype(np.int64) - INT8_MIN]
    return result


def logistic(x: Int8Array, *, q_in: Quantization) -> Int8Array:
    """Logistic function; the output's scale is 1/256 and its zero point -128."""
    fixed, beyond = _fixed_point_argument(x, q_in)
    result = rounding_divide_by_pot(fixed_point.logistic(fixed, LOGISTIC_INTEGER_BITS), 23) + INT8_MIN
    return _saturate(np.where(beyond < 0, INT8_MIN, np.where(beyond > 0, INT8_MAX, result)))


def tanh(x: Int8Array, *, q_in: Quantization) -> Int8Array:
    """Hyperbolic tangent; the output's scale is 1/128 and its zero point 0."""
    fixed, beyond = _fixed_point_argument(x, q_in)
    result = rounding_divide_by_pot(fixed_point.tanh(fixed, LOGISTIC_INTEGER_BITS), 24)
    return _saturate(np.where(beyond < 0, INT8_MIN, np.where(beyond > 0, INT8_MAX, result)))


def relu(x: Int8Array, *, q_in: Quantization, q_out: Quantization) -> Int8Array:
    """Rectify and requantize."""
    low, high = activation_range("RELU", q_out.scale, q_out.zero_point)
    shifted = x.astype(np.int64) - q_in.zero_point
    return requantize(shifted, *relu_multiplier(q_in.scale, q_out.scale), q_out.zero_point, low, high)


def relu6(x: Int8Array, *, q_in: Quantization) -> Int8Array:
    """Clamp the codes to [0, 6] in the input's quantization; the output's is not looked at."""
    six = min(max(quantize_real(6.0, q_in.scale, q_in.zero_point), INT8_MIN), INT8_MAX)
    return np.where(x > six, six, np.maximum(x, q_in.zero_point)).astype(np.int8)


def leaky_relu(x: Int8Array, *, alpha: float, q_in: Quantization, q_out: Quantization) -> Int8Array:
    """Requantize, negative values with a scale multiplied by `alpha` (of either sign)."""
    shifted = x.astype(np.int64) - q_in.zero_point
    multiplier, shift = leaky_relu_multiplier(q_in.scale, alpha, q_out.scale)
    negative = multiply_by_quantized_multiplier(shifted, abs(multiplier), shift)
    positive = multiply_by_quantized_multiplier(shifted, *relu_multiplier(q_in.scale, q_out.scale))
    side = np.where(shifted >= 0, positive, -negative if multiplier < 0 else negative)
    return _saturate(side + q_out.zero_point)


def rsqrt(x: Int8Array, *, q_in: Quantization, q_out: Quantization) -> Int8Array:
    """Inverse square root.

    Codes at the zero point give 127. Below it the operator is not defined and TensorFlow Lite Micro stops
    with an error; here those give 127 too.
    """
    multiplier, shift = rsqrt_multiplier(q_in.scale, q_out.scale)
    table = np.full(256, INT8_MAX, dtype=np.int64)
    for value in range(1, 256):
        significand, exponent = fixed_point.inverse_sqrt(value)
        root = multiply_by_quantized_multiplier(1, significand, exponent + _RSQRT_EXTRA_BITS)
        scaled = multiply_by_quantized_multiplier(root, multiplier, shift - _RSQRT_EXTRA_BITS)
        table[value] = int(scaled) + q_out.zero_point
    return _saturate(table[np.maximum(x.astype(np.int64) - q_in.zero_point, 0)])


def _fixed_point_argument(x: Int8Array, q_in: Quantization) -> tuple[Int64Array, Int64Array]:
    """Argument in Q4.27, and the sign of codes that lie beyond its range (0 within)."""
    scaling, radius = logistic_scaling(q_in.scale)
    shifted = x.astype(np.int64) - q_in.zero_point
    beyond = np.where(np.abs(shifted) >= radius, np.sign(shifted), 0)
    if radius == 0:
        beyond = np.where(shifted <= 0, -1, 1)
    inside = np.where(beyond == 0, shifted, 0)
    return multiply_by_quantized_multiplier(inside, *scaling), beyond


def _saturate(values: Int64Array) -> Int8Array:
    return np.clip(values, INT8_MIN, INT8_MAX).astype(np.int8)
