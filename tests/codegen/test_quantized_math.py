"""Quantized arithmetic against its definitions in exact integers and fractions, no oracle needed."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thumbnet.codegen import fixed_point
from thumbnet.codegen import quantized_math as qm

int32 = st.integers(qm.INT32_MIN, qm.INT32_MAX)
scales = st.floats(2.0**-20, 2.0**10, width=32)


def high_mul(a: int, b: int) -> int:
    """The high half of the doubled product as gemmlowp writes it: a nudge, then C's truncating division."""
    nudge = 2**30 if a * b >= 0 else 1 - 2**30
    quotient, sign = divmod(abs(a * b + nudge), 2**31)[0], -1 if a * b + nudge < 0 else 1
    return min(sign * quotient, qm.INT32_MAX)


def half_away(value: Fraction) -> int:
    return int(math.copysign(math.floor(abs(value) + Fraction(1, 2)), value))


@settings(derandomize=True)
@given(int32, int32)
def test_high_multiply(a: int, b: int) -> None:
    assert int(qm.saturating_rounding_doubling_high_mul(a, b)) == high_mul(a, b)


@settings(derandomize=True)
@given(int32, st.integers(0, 31))
def test_division_by_a_power_of_two_rounds_half_away_from_zero(x: int, exponent: int) -> None:
    assert int(qm.rounding_divide_by_pot(x, exponent)) == half_away(Fraction(x, 2**exponent))


@settings(derandomize=True)
@given(st.floats(2.0**-30, 2.0**20))
def test_a_multiplier_holds_31_bits(real: float) -> None:
    multiplier, shift = qm.quantize_multiplier(real)
    assert 2**30 <= multiplier < 2**31
    assert abs(Fraction(multiplier) * Fraction(2) ** (shift - 31) / Fraction(real) - 1) <= Fraction(1, 2**31)


@pytest.mark.parametrize(
    ("real", "expected"),
    [
        (0.0, (0, 0)),
        (1.0, (2**30, 1)),
        (0.5, (2**30, 0)),
        (-0.25, (-(2**30), -1)),
        (1.0 - 2.0**-40, (2**30, 1)),  # rounds up to a power of two
        (2.0**-33, (0, 0)),
        (2.0**-32, (2**30, -31)),
    ],
)
def test_multipliers_at_the_edges(real: float, expected: tuple[int, int]) -> None:
    assert qm.quantize_multiplier(real) == expected


@settings(derandomize=True)
@given(st.integers(-(2**24), 2**24), st.floats(2.0**-20, 4.0))
def test_requantization_rounds_twice_and_stays_near_the_product(x: int, real: float) -> None:
    multiplier, shift = qm.quantize_multiplier(real)
    got = int(qm.multiply_by_quantized_multiplier(x, multiplier, shift))
    assert got == half_away(Fraction(high_mul(x << max(shift, 0), multiplier), 2 ** max(-shift, 0)))
    assert abs(got - x * real) <= 1.5 + abs(x * real) * 2.0**-30


def test_two_roundings_differ_from_one() -> None:
    multiplier, shift = qm.quantize_multiplier(0.125)
    assert (multiplier, shift) == (2**30, -2)
    # Rounded once, 3/8 and 11/8 are 0 and 1; the first rounding lifts them to 2/4 and 6/4, the second up.
    assert qm.multiply_by_quantized_multiplier([3, 11, -12], multiplier, shift).tolist() == [1, 2, -2]


@settings(derandomize=True)
@given(st.sampled_from(["NONE", "RELU", "RELU6", "RELU_N1_TO_1"]), scales, st.integers(-128, 127))
def test_activation_ranges(activation: str, scale: float, zero_point: int) -> None:
    low, high = qm.activation_range(activation, scale, zero_point)
    assert -128 <= low <= 127
    assert -128 <= high <= 127
    if activation in ("RELU", "RELU6"):
        assert low == zero_point
    if activation == "RELU6":
        assert high == min(127, zero_point + half_away(Fraction(float(np.float32(6) / np.float32(scale)))))


def test_an_unknown_activation_is_named() -> None:
    with pytest.raises(ValueError, match=r"NONE, RELU, RELU6, RELU_N1_TO_1, got GELU"):
        qm.activation_range("GELU", 0.1, 0)


@pytest.mark.parametrize(
    ("padding", "size", "kernel", "stride", "dilation", "output", "before"),
    [
        ("SAME", 10, 3, 1, 1, 10, 1),
        ("SAME", 10, 3, 2, 1, 5, 0),
        ("SAME", 11, 4, 2, 1, 6, 1),
        ("SAME", 5, 3, 1, 4, 5, 4),
        ("SAME", 7, 1, 3, 1, 3, 0),
        ("VALID", 10, 3, 1, 1, 8, 0),
        ("VALID", 10, 3, 2, 2, 3, 0),
        ("VALID", 3, 3, 4, 1, 1, 0),
    ],
)
def test_windows(padding: str, size: int, kernel: int, stride: int, dilation: int, output: int, before: int) -> None:
    assert qm.output_size(padding, size, kernel, stride, dilation) == output
    assert qm.padding_before(padding, size, kernel, stride, dilation) == before


def test_mean_multiplier_divides() -> None:
    for count in (1, 2, 3, 49, 3000):
        multiplier, shift = qm.mean_multiplier(0.3, 0.2, count)
        real = multiplier * 2.0 ** (shift - 31)
        assert real == pytest.approx(float(np.float32(0.3)) / float(np.float32(0.2)) / count, rel=1e-8)


def test_fixed_point_functions_follow_the_real_ones() -> None:
    # Tolerance: three Newton-Raphson steps and a fourth-order polynomial leave about 2**-22.
    x = -np.linspace(0, 15.9, 2001)
    fixed = np.round(x * 2.0**27).astype(np.int64)
    assert fixed_point.exp_on_negative_values(fixed, 4) / 2.0**31 == pytest.approx(np.exp(x), abs=2e-7)
    both = np.concatenate([fixed, -fixed])
    real = both / 2.0**27
    assert fixed_point.logistic(both, 4) / 2.0**31 == pytest.approx(1 / (1 + np.exp(-real)), abs=3e-7)
    assert fixed_point.tanh(both, 4) / 2.0**31 == pytest.approx(np.tanh(real), abs=1e-6)


@pytest.mark.parametrize("value", [1, 2, 3, 5, 16, 255])
def test_inverse_sqrt(value: int) -> None:
    multiplier, shift = fixed_point.inverse_sqrt(value)
    assert multiplier * 2.0 ** (shift - 31) == pytest.approx(value**-0.5, rel=1e-4)


@pytest.mark.parametrize("value", [0.3, 1.0, 1.5, 300.0])
def test_reciprocal(value: float) -> None:
    significand, bits = fixed_point.reciprocal(round(value * 2**19), 12)
    assert significand * 2.0 ** (-31 - bits) == pytest.approx(1 / value, rel=1e-5)
