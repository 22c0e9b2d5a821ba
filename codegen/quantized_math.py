"""Integer arithmetic of quantized operators, as TensorFlow Lite Micro defines it, in NumPy.

The compiler derives every constant it emits from this module and the NumPy reference computes with it, so
that the two cannot disagree. Conventions used everywhere:

- a *real multiplier* (a ratio of scales, double precision) is held as an int32 `multiplier` in
  [2**30, 2**31) and a `shift`: real = multiplier * 2**(shift - 31). A positive shift is to the left.
- scales are the float32 numbers of the file, combined in double precision. TFLM's sources of August 2026 combine
  those of SUB, RELU, LEAKY_RELU, RSQRT and per-tensor FULLY_CONNECTED in float32; the interpreter that is the oracle
  here (wheel 0.dev20261023182759) does not. The two differ in the last bits of a multiplier, which shows in one
  code of a few hundred thousand: `tests/codegen/test_multiplier_precision.py` keeps scales that tell them apart.
- rounding is half away from zero unless said otherwise, and requantization rounds twice: once in the
  high multiply, once in the right shift.

Sources: the TFLite quantization specification, the gemmlowp paper (Jacob et al., 2018,
doi:10.1109/CVPR.2018.00286), and measurements against the `tflite-micro` interpreter.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.integer[Any]]
Int64Array = npt.NDArray[np.int64]

INT8_MIN, INT8_MAX = -128, 127
INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1
ADD_LEFT_SHIFT = 20
SQUARED_DIFFERENCE_LEFT_SHIFT = 7
SOFTMAX_INTEGER_BITS = 5
LOGISTIC_INTEGER_BITS = 4


class Multiplier(NamedTuple):
    """A real multiplier in fixed point: `multiplier * 2**(shift - 31)`."""

    multiplier: int
    shift: int


class AddMultipliers(NamedTuple):
    """The three rescalings of ADD, SUB and SQUARED_DIFFERENCE, and the common left shift of the inputs."""

    input1: Multiplier
    input2: Multiplier
    output: Multiplier
    left_shift: int


class SoftmaxScaling(NamedTuple):
    """Constants of int8 SOFTMAX: input differences below `diff_min` have probability zero."""

    multiplier: int
    left_shift: int
    diff_min: int


def round_half_away(value: float) -> int:
    """Round to the nearest integer, ties away from zero (C's `round`)."""
    whole = math.floor(abs(value))
    rounded = whole + (abs(value) - whole >= 0.5)
    return int(math.copysign(rounded, value)) if rounded else 0


# --- multipliers from scales -------------------------------------------------------------------------------


def quantize_multiplier(real: float) -> Multiplier:
    """Hold a real number as a 31-bit multiplier and a shift.

    Parameters
    ----------
    real : float
        Any finite number. Magnitudes below about 2**-32 become (0, 0).

    Returns
    -------
    Multiplier
        `multiplier` has the sign of `real` and a magnitude in [2**30, 2**31), or is 0.
    """
    if real == 0.0:
        return Multiplier(0, 0)
    fraction, shift = math.frexp(real)
    fixed = round_half_away(fraction * 2.0**31)
    if fixed == 2**31:
        fixed //= 2
        shift += 1
    if shift < -31:
        return Multiplier(0, 0)
    return Multiplier(fixed, shift)


def conv_multipliers(input_scale: float, filter_scales: npt.ArrayLike, output_scale: float) -> list[Multiplier]:
    """Requantization of CONV_2D, DEPTHWISE_CONV_2D and per-channel FULLY_CONNECTED, in double precision.

    `filter_scales` holds one scale per output channel (or a single one); one multiplier comes back for each.
    """
    return [
        quantize_multiplier(_double(input_scale) * _double(scale) / _double(output_scale))
        for scale in np.atleast_1d(np.asarray(filter_scales, dtype=np.float32))
    ]


def fully_connected_multiplier(input_scale: float, filter_scale: float, output_scale: float) -> Multiplier:
    """Requantization of per-tensor FULLY_CONNECTED, in double precision."""
    return quantize_multiplier(_double(input_scale) * _double(filter_scale) / _double(output_scale))


def mul_multiplier(input1_scale: float, input2_scale: float, output_scale: float) -> Multiplier:
    """Requantization of MUL, in double precision."""
    return quantize_multiplier(_double(input1_scale) * _double(input2_scale) / _double(output_scale))


def rescale_multiplier(input_scale: float, output_scale: float) -> Multiplier:
    """Requantization of QUANTIZE and MEAN (before its division): the ratio in double precision."""
    return quantize_multiplier(_double(input_scale) / _double(output_scale))


def relu_multiplier(input_scale: float, output_scale: float) -> Multiplier:
    """Requantization of RELU and of LEAKY_RELU's positive side: the ratio in double precision."""
    return quantize_multiplier(_double(input_scale) / _double(output_scale))


def leaky_relu_multiplier(input_scale: float, alpha: float, output_scale: float) -> Multiplier:
    """Requantization of LEAKY_RELU's negative side, in double precision; negative when `alpha` is."""
    return quantize_multiplier(_double(input_scale) * _double(alpha) / _double(output_scale))


def rsqrt_multiplier(input_scale: float, output_scale: float) -> Multiplier:
    """Output scaling of RSQRT: 1 / (sqrt(input_scale) * output_scale), in double precision."""
    return quantize_multiplier(1.0 / (math.sqrt(_double(input_scale)) * _double(output_scale)))


def add_multipliers(input1_scale: float, input2_scale: float, output_scale: float) -> AddMultipliers:
    """Return the rescalings of ADD, in double precision; each is below one."""
    twice_max = 2.0 * max(_double(input1_scale), _double(input2_scale))
    return AddMultipliers(
        quantize_multiplier(_double(input1_scale) / twice_max),
        quantize_multiplier(_double(input2_scale) / twice_max),
        quantize_multiplier(twice_max / (2.0**ADD_LEFT_SHIFT * _double(output_scale))),
        ADD_LEFT_SHIFT,
    )


def sub_multipliers(input1_scale: float, input2_scale: float, output_scale: float) -> AddMultipliers:
    """Return the rescalings of SUB: those of ADD."""
    return add_multipliers(input1_scale, input2_scale, output_scale)


def squared_difference_multipliers(input1_scale: float, input2_scale: float, output_scale: float) -> AddMultipliers:
    """Return the rescalings of SQUARED_DIFFERENCE, in double precision; the output's may exceed one."""
    twice_max = 2.0 * max(_double(input1_scale), _double(input2_scale))
    shifted_output = float(np.float32(2 ** (2 * SQUARED_DIFFERENCE_LEFT_SHIFT)) * np.float32(output_scale))
    return AddMultipliers(
        quantize_multiplier(_double(input1_scale) / twice_max),
        quantize_multiplier(_double(input2_scale) / twice_max),
        quantize_multiplier(twice_max * twice_max / shifted_output),
        SQUARED_DIFFERENCE_LEFT_SHIFT,
    )


def mean_multiplier(input_scale: float, output_scale: float, count: int) -> Multiplier:
    """Fold MEAN's division by `count` elements into its requantization.

    The division truncates the multiplier, which is scaled up first by as many bits as `count` has.
    """
    multiplier, shift = rescale_multiplier(input_scale, output_scale)
    extra = min(count.bit_length() - 1, 32, 31 + shift)
    return Multiplier((multiplier << extra) // count, shift - extra)


def softmax_scaling(beta: float, input_scale: float) -> SoftmaxScaling:
    """Constants that bring int8 input differences to the Q5.26 argument of the exponential."""
    real = _double(beta) * _double(input_scale) * 2.0 ** (31 - SOFTMAX_INTEGER_BITS)
    multiplier, left_shift = quantize_multiplier(min(real, 2.0**31 - 1.0))
    return SoftmaxScaling(multiplier, left_shift, -input_radius(SOFTMAX_INTEGER_BITS, left_shift))


def logistic_scaling(input_scale: float) -> tuple[Multiplier, int]:
    """Multiplier to the Q4.27 argument of LOGISTIC and TANH, and the input radius where they saturate."""
    scaling = quantize_multiplier(_double(input_scale) * 2.0 ** (31 - LOGISTIC_INTEGER_BITS))
    return scaling, input_radius(LOGISTIC_INTEGER_BITS, scaling.shift)


def input_radius(integer_bits: int, left_shift: int, total_bits: int = 31) -> int:
    """Largest input magnitude that stays inside the fixed-point range after `left_shift`."""
    return math.floor(math.ldexp(2**integer_bits - 1, total_bits - integer_bits - left_shift))


# --- ranges and windows ------------------------------------------------------------------------------------


def activation_range(activation: str, scale: float, zero_point: int) -> tuple[int, int]:
    """Range of int8 outputs that a fused activation leaves.

    Parameters
    ----------
    activation : {"NONE", "RELU", "RELU6", "RELU_N1_TO_1"}
        Name in the TFLite schema.
    scale, zero_point : float, int
        Quantization of the output tensor.

    Returns
    -------
    tuple of int
        Lowest and highest value, both inclusive. The lowest may exceed the highest when the zero point is
        outside int8; the clamp order (low first, then high) then decides.
    """
    bounds = {
        "NONE": (None, None),
        "RELU": (0.0, None),
        "RELU6": (0.0, 6.0),
        "RELU_N1_TO_1": (-1.0, 1.0),
    }
    if activation not in bounds:
        raise ValueError(f"fused activation must be one of {', '.join(bounds)}, got {activation}")
    low, high = bounds[activation]
    return (
        INT8_MIN if low is None else max(INT8_MIN, quantize_real(low, scale, zero_point)),
        INT8_MAX if high is None else min(INT8_MAX, quantize_real(high, scale, zero_point)),
    )


def quantize_real(value: float, scale: float, zero_point: int) -> int:
    """Quantized counterpart of a real number, not clamped; the quotient is taken in float32."""
    return zero_point + round_half_away(float(np.float32(value) / np.float32(scale)))


def output_size(padding: str, size: int, kernel: int, stride: int, dilation: int = 1) -> int:
    """Output length of a window sliding along one axis; `padding` is "SAME" or "VALID"."""
    if padding == "SAME":
        return -(-size // stride)
    return (size + stride - ((kernel - 1) * dilation + 1)) // stride


def padding_before(padding: str, size: int, kernel: int, stride: int, dilation: int = 1) -> int:
    """Samples of padding before the first one; when the total is odd, the extra one goes to the end."""
    extent = (output_size(padding, size, kernel, stride, dilation) - 1) * stride + (kernel - 1) * dilation + 1
    return max(extent - size, 0) // 2 if padding == "SAME" else 0


# --- requantization ----------------------------------------------------------------------------------------


def saturating_rounding_doubling_high_mul(a: npt.ArrayLike, b: npt.ArrayLike) -> Int64Array:
    """Return (a * b + 2**30) >> 31 on int32 values, the one overflow (-2**31 squared) saturated."""
    product = np.asarray(a, dtype=np.int64) * np.asarray(b, dtype=np.int64)
    result: Int64Array = np.minimum((product + 2**30) >> 31, INT32_MAX)
    return result


def rounding_divide_by_pot(x: npt.ArrayLike, exponent: npt.ArrayLike) -> Int64Array:
    """Divide by 2**exponent (0 to 31), rounding half away from zero."""
    value = np.asarray(x, dtype=np.int64)
    power = np.asarray(exponent, dtype=np.int64)
    mask = (np.int64(1) << power) - 1
    threshold = (mask >> 1) + (value < 0)
    result: Int64Array = (value >> power) + ((value & mask) > threshold)
    return result


def wrap_int32(x: npt.ArrayLike) -> Int64Array:
    """Keep the low 32 bits, as a signed number."""
    result: Int64Array = ((np.asarray(x, dtype=np.int64) + 2**31) & (2**32 - 1)) - 2**31
    return result


def multiply_by_quantized_multiplier(x: npt.ArrayLike, multiplier: npt.ArrayLike, shift: npt.ArrayLike) -> Int64Array:
    """Scale int32 values by a fixed-point multiplier, rounding twice.

    Parameters
    ----------
    x, multiplier, shift : array_like of int
        Broadcast together. `multiplier` is non-negative; `shift` lies in [-31, 30].

    Returns
    -------
    ndarray of int64
        Values in the int32 range. A left shift that overflows wraps, as the compiled oracle does; a model
        that reaches this is outside the specification of TFLite.
    """
    amount = np.asarray(shift, dtype=np.int64)
    shifted = wrap_int32(np.asarray(x, dtype=np.int64) << np.maximum(amount, 0))
    high = saturating_rounding_doubling_high_mul(shifted, multiplier)
    return rounding_divide_by_pot(high, np.maximum(-amount, 0))


def requantize(
    accumulator: npt.ArrayLike,
    multiplier: npt.ArrayLike,
    shift: npt.ArrayLike,
    zero_point: int,
    low: int = INT8_MIN,
    high: int = INT8_MAX,
) -> npt.NDArray[np.int8]:
    """Scale an int32 accumulator, add the output zero point, clamp to [low, high] and narrow to int8."""
    scaled = multiply_by_quantized_multiplier(accumulator, multiplier, shift) + zero_point
    result: npt.NDArray[np.int8] = np.minimum(np.maximum(scaled, low), high).astype(np.int8)
    return result


def _double(scale: float) -> float:
    """Widen a float32 scale; scales come from the file as float32 and lose nothing here."""
    return float(np.float32(scale))
