"""Elementary functions in fixed point, on int32 values held in int64 arrays.

`Qm.n` means m integer bits, n fractional bits and a sign. These reproduce the algorithms of the gemmlowp
paper's library that TensorFlow Lite Micro uses for SOFTMAX, LOGISTIC, TANH and RSQRT, bit for bit: the
exponential is a fourth-order Taylor polynomial on [-1/4, 0) times stored powers, the reciprocal three
Newton-Raphson steps, the inverse square root five.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .quantized_math import (
    INT32_MAX,
    INT32_MIN,
    Int64Array,
    rounding_divide_by_pot,
    wrap_int32,
)
from .quantized_math import saturating_rounding_doubling_high_mul as _mul

_EXP_MINUS_ONE_EIGHTH = 1895147668  # Q0.31
_ONE_THIRD = 715827883  # Q0.31
_48_OVER_17 = 1515870810  # Q2.29: Newton-Raphson's first guess of 1/d is 48/17 - 32/17 d
_MINUS_32_OVER_17 = -1010580540  # Q2.29
_HALF_SQRT_2 = 1518500250  # Q0.31
# exp(-2**k) in Q0.31, for k from -2 upwards.
_EXP_OF_MINUS_POWERS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)


def multiply_by_pot(x: npt.ArrayLike, exponent: int) -> Int64Array:
    """Multiply by 2**exponent: saturating to the left, rounding half away from zero to the right."""
    if exponent < 0:
        return rounding_divide_by_pot(x, -exponent)
    result: Int64Array = np.clip(np.asarray(x, dtype=np.int64) << exponent, INT32_MIN, INT32_MAX)
    return result


def exp_on_negative_values(x: npt.ArrayLike, integer_bits: int) -> Int64Array:
    """Exponential of x <= 0.

    Parameters
    ----------
    x : array_like of int
        Argument in Q(integer_bits).(31 - integer_bits); `integer_bits` is at most 5.

    Returns
    -------
    ndarray of int64
        Result in Q0.31; exp(0) is the largest int32.
    """
    value = np.asarray(x, dtype=np.int64)
    fraction_bits = 31 - integer_bits
    quarter = np.int64(1) << (fraction_bits - 2)
    reduced = (value & (quarter - 1)) - quarter
    result = _exp_on_last_quarter(multiply_by_pot(reduced, integer_bits))
    remainder = reduced - value
    for power, factor in zip(range(-2, integer_bits), _EXP_OF_MINUS_POWERS, strict=False):
        bit = np.int64(1) << (fraction_bits + power)
        result = np.where(remainder & bit, _mul(result, factor), result)
    return np.where(value == 0, INT32_MAX, result)


def _exp_on_last_quarter(a: Int64Array) -> Int64Array:
    """Exponential of a in [-1/4, 0), Q0.31, by a polynomial around -1/8."""
    x = a + (1 << 28)
    x2 = _mul(x, x)
    x3 = _mul(x2, x)
    quarter_x4 = multiply_by_pot(_mul(x2, x2), -2)
    tail = multiply_by_pot(_mul(quarter_x4 + x3, _ONE_THIRD) + x2, -1)
    return _EXP_MINUS_ONE_EIGHTH + _mul(_EXP_MINUS_ONE_EIGHTH, x + tail)


def one_over_one_plus_x(x: npt.ArrayLike) -> Int64Array:
    """Return 1 / (1 + x) for x in [0, 1], both Q0.31."""
    return multiply_by_pot(_twice_reciprocal_of_one_plus(x), 1)


def one_minus_x_over_one_plus_x(x: npt.ArrayLike) -> Int64Array:
    """Return (1 - x) / (1 + x) for x in [0, 1], both Q0.31."""
    return multiply_by_pot(_twice_reciprocal_of_one_plus(x) - (1 << 29), 2)


def _twice_reciprocal_of_one_plus(x: npt.ArrayLike) -> Int64Array:
    """Return 2 / (1 + x) in Q2.29, by Newton-Raphson on half the denominator."""
    half_denominator = (np.asarray(x, dtype=np.int64) + INT32_MAX + 1) >> 1
    guess = _48_OVER_17 + _mul(half_denominator, _MINUS_32_OVER_17)
    for _ in range(3):
        error = (1 << 29) - _mul(half_denominator, guess)
        guess = guess + multiply_by_pot(_mul(guess, error), 2)
    return guess


def logistic(x: npt.ArrayLike, integer_bits: int) -> Int64Array:
    """Logistic function of x in Q(integer_bits).(31 - integer_bits), as Q0.31."""
    value = np.asarray(x, dtype=np.int64)
    positive = one_over_one_plus_x(exp_on_negative_values(-np.abs(value), integer_bits))
    return np.where(value == 0, 1 << 30, np.where(value > 0, positive, INT32_MAX - positive))


def tanh(x: npt.ArrayLike, integer_bits: int) -> Int64Array:
    """Hyperbolic tangent of x in Q(integer_bits).(31 - integer_bits), as Q0.31."""
    value = np.asarray(x, dtype=np.int64)
    # The same bits read with one more integer bit are twice the value: tanh needs exp(2x).
    minus_tanh = one_minus_x_over_one_plus_x(exp_on_negative_values(-np.abs(value), integer_bits + 1))
    return np.where(value == 0, 0, np.where(value < 0, -minus_tanh, minus_tanh))


def reciprocal(x: int, integer_bits: int) -> tuple[int, int]:
    """Reciprocal of a positive number.

    Parameters
    ----------
    x : int
        Q(integer_bits).(31 - integer_bits), above zero.

    Returns
    -------
    tuple of int
        Significand in Q0.31 and the number of bits of `x` above one; 1/x is significand / 2**bits.
    """
    headroom = 32 - x.bit_length()
    significand = one_over_one_plus_x((x << headroom) - (1 << 31))
    return int(significand), integer_bits - headroom


def inverse_sqrt(x: int) -> tuple[int, int]:
    """Inverse square root of an integer in 1 to 2**29, as a multiplier and a left shift."""
    if x <= 1:
        return INT32_MAX, 0
    pairs = (31 - x.bit_length()) // 2 - 1
    scaled = np.int64(x << (2 * pairs) >> 1)  # Q3.28, between 1/4 and 1
    half = multiply_by_pot(scaled, -1)
    guess: Int64Array = np.asarray(1 << 28, dtype=np.int64)
    for _ in range(5):
        cube = multiply_by_pot(_mul(_mul(guess, guess), guess), 6)
        guess = multiply_by_pot(_mul((1 << 28) + (1 << 27), guess) - _mul(half, cube), 3)
    significand = _mul(guess, _HALF_SQRT_2)
    right_shift = 11 - pairs
    if right_shift < 0:
        return int(wrap_int32(significand << -right_shift)), 0
    return int(significand), -right_shift
