"""Constants of the DSP tier: arranged as its kernels read them, and exact for every pair of codes."""

from __future__ import annotations

import numpy as np
import pytest
from thumbnet.codegen.quantized_math import Multiplier, add_multipliers, multiply_by_quantized_multiplier, requantize
from thumbnet.codegen.tiers.dsp.one_line_add import find_constants
from thumbnet.codegen.tiers.dsp.packed import packed_form, packed_rounding
from thumbnet.codegen.tiers.dsp.records import channel_records, shares_lanes, short_records
from thumbnet.codegen.tiers.dsp.rounding import Ints, choose_rounding, choose_scaled_rounding

_OUTPUT = {"zero_point": -5, "min": -128, "max": 127}


def _records(filters: list[list[int]], depth: int, shared: bool) -> list[int]:
    values = np.array(filters, np.int64)
    bias = np.arange(len(values), dtype=np.int64) + 10
    return _words(values, bias, [Multiplier(1 << 30, -3)] * len(values), depth, shared)


def _words(
    values: Ints, bias: Ints, multipliers: list[Multiplier], depth: int, shared: bool, each: bool = False
) -> list[int]:
    rounding = packed_rounding(multipliers, bias, _OUTPUT) if each else choose_rounding(multipliers, _OUTPUT)
    assert rounding is not None
    found: list[int] = channel_records(values, bias, rounding, depth, shared).view(np.int32).tolist()
    return found


def test_records_hold_two_channels_as_lanes() -> None:
    words = _records([[1, 2, 3, 4], [5, -6, 7, -8]], 4, shared=True)
    lanes = np.array(words[2:4], np.int32).view(np.int16).tolist()
    assert words[:2] == [10, 256 * 11 + 10]
    assert lanes == [256 * 5 + 1, 256 * 7 + 3, 256 * -6 + 2, 256 * -8 + 4]
    assert words[4:] == [1 << 30] * 2


@pytest.mark.parametrize("shared", [True, False])
def test_records_hold_shifts_beside_biases(shared: bool) -> None:
    values, bias = np.array([[1, 2, 3, 4], [5, -6, 7, -8]], np.int64), np.array([-3, (1 << 23) - 1], np.int64)
    multipliers = [Multiplier(1 << 30, -3), Multiplier(3 << 29, -4)]
    words = _words(values, bias, multipliers, 4, shared, each=True)
    assert words[:2] == [(-3 << 8) + 2, ((1 << 23) - 1 << 8) + 3]
    assert words[4:] == [1 << 30, 3 << 29]
    plain = _words(values, bias, multipliers, 4, shared=False)
    assert plain[:2] == bias.tolist()
    assert plain[4:] == [1 << 30, (-5 << 3) + 4, 3 << 29, (-5 << 4) + 8, 3, 4]


def test_shifts_and_biases_that_are_too_large_stay_apart() -> None:
    bias = np.array([10, -11], np.int64)
    assert packed_rounding([Multiplier(1 << 30, -7)] * 2, bias, _OUTPUT) is not None
    assert packed_rounding([Multiplier(1 << 30, -7)] * 2, bias << 20, _OUTPUT) is None
    assert packed_rounding([Multiplier(1 << 30, 1)] * 2, bias, _OUTPUT) is None


@pytest.mark.parametrize("low", [-128, -5, 10])
@pytest.mark.parametrize("multiplier", [Multiplier((1 << 30) + 12345, -1), Multiplier((1 << 31) - 1, -22)])
def test_packed_constants_of_depthwise_layers_are_those_of_two_roundings(low: int, multiplier: Multiplier) -> None:
    output = {"zero_point": -5, "min": low, "max": 127}
    form = packed_form([multiplier], np.array([-1234]), output)
    assert form is not None and form.fields["kind"] == "TN_DSP_PACKED" and form.factors.tolist() == [2]
    ((word, factor),) = form.words.tolist()
    assert packed_form([multiplier], np.array([1 << 22]), output) is None
    accumulators = np.arange(-(1 << 16), 1 << 16, dtype=np.int64)
    doubled = 2 * accumulators + (word >> 8)
    value = ((doubled * factor + (1 << 31)) >> 32) + (2 * -5 + 1 << (word & 255))
    value -= (doubled < 0) * (low < -5)
    codes = np.clip((value >> (word & 255)) >> 1, low, 127)
    assert (codes == requantize(accumulators - 1234, *multiplier, -5, low, 127)).all()


def test_records_hold_two_channels_as_bytes() -> None:
    words = _records([[1, 2, 3, 4], [5, -6, 7, -8]], 4, shared=False)
    assert words[:2] == [10, 11]
    assert np.array(words[2:4], np.int32).view(np.int8).tolist() == [1, 5, 3, 7, 2, -6, 4, -8]


def test_the_last_of_an_odd_number_of_channels_is_its_own_partner() -> None:
    words = _records([[1, 2, 3]], 4, shared=True)
    assert np.array(words[2:4], np.int32).view(np.int16).tolist() == [257, 257 * 3, 257 * 2, 0]


def test_what_lanes_cannot_hold_is_not_shared() -> None:
    bias = np.zeros(2, np.int64)
    assert shares_lanes(np.array([[-128, 127], [-127, -128]]), bias)
    assert not shares_lanes(np.array([[-1], [-128]]), bias)
    assert not shares_lanes(np.array([[1], [1]]), np.array([0, 1 << 23]))
    assert shares_lanes(np.array([[1], [1]]), np.array([0, 1 << 22]))
    assert not shares_lanes(np.array([[1], [1]]), np.array([0, 1 << 22]), pooled=True)


def test_short_records_hold_one_channel() -> None:
    filters, bias = np.array([[2, 4, 6], [-8, 10, -12]], np.int64), np.array([20, -22], np.int64)
    rounding = choose_rounding([Multiplier(1 << 30, -3), Multiplier(1 << 30, -4)], _OUTPUT)
    words = short_records(filters, bias, rounding, 4).view(np.int32).reshape(2, -1).tolist()
    assert [word[0] for word in words] == [20, -22]
    assert np.array(words[1][1:3], np.int32).view(np.int16).tolist() == [-8, 10, -12, 0]
    assert words[1][3:] == [1 << 30, (-5 << 4) + 8, 4]


def test_scaled_weights_share_a_shift() -> None:
    multipliers = [Multiplier((1 << 30) + 7, -6), Multiplier((1 << 31) - 9, -8)]
    filters, bias = np.array([[12, -127, 3], [127, 127, 1]], np.int64), np.array([-100, 1000], np.int64)
    output = {"zero_point": -128, "min": -128, "max": 127}
    rounding, factors = choose_scaled_rounding(multipliers, bias, filters, output)
    assert rounding.shifts is None
    accumulators = np.arange(-30000, 30000, dtype=np.int64)
    for (factor, addend), scale, multiplier in zip(rounding.constants, factors, multipliers, strict=True):
        value = ((accumulators * scale * factor) >> 32) + addend
        codes = np.clip(value >> rounding.fields["shift"], -128, 127)
        assert (codes == requantize(accumulators, *multiplier, -128, -128, 127)).all()


@pytest.mark.parametrize("zero_point,low", [(-128, -128), (3, -128), (10, 10)])
@pytest.mark.parametrize("multiplier", [Multiplier((1 << 30) + 12345, -1), Multiplier((1 << 31) - 1, -7)])
def test_rounding_is_that_of_two_roundings(zero_point: int, low: int, multiplier: Multiplier) -> None:
    rounding = choose_rounding([multiplier], {"zero_point": zero_point, "min": low, "max": 127})
    ((factor, addend),) = rounding.constants.tolist()
    accumulators = np.arange(-(1 << 16), 1 << 16, dtype=np.int64)
    value = ((2 * accumulators * factor + (1 << 31)) >> 32) + addend
    value -= (accumulators < 0) * rounding.fields["signs"]
    codes = np.clip(value >> rounding.fields["shift"], low, 127)
    assert (codes == requantize(accumulators, *multiplier, zero_point, low, 127)).all()


def test_shifts_to_the_left_take_the_plain_sequence() -> None:
    rounding = choose_rounding([Multiplier(1 << 30, 2), Multiplier(1 << 30, -2)], _OUTPUT)
    assert rounding.fields["shift"] == 255
    assert rounding.constants[:, 1].tolist() == [2, -2]


@pytest.mark.parametrize("scales", [(0.05, 0.031, 0.06), (0.1, 0.001, 0.07), (0.02, 0.02, 0.02)])
def test_addition_in_one_line_is_exact(scales: tuple[float, float, float]) -> None:
    zero1, zero2, zero = -128, 3, -20
    scaling = add_multipliers(*scales)
    operands = [
        {"multiplier": m.multiplier, "shift": m.shift, "zero_point": z}
        for m, z in ((scaling.input1, zero1), (scaling.input2, zero2))
    ]
    params = {
        "in1": operands[0],
        "in2": operands[1],
        "multiplier": scaling.output.multiplier,
        "shift": scaling.output.shift,
        "headroom": scaling.left_shift,
        "output": {"zero_point": zero, "min": -20, "max": 127},
    }
    found = find_constants(params, 1)
    if found is None:
        pytest.skip("no choice of constants is exact for these scales; the portable kernel stands in")
    codes = np.arange(-128, 128, dtype=np.int64)
    wide = [
        multiply_by_quantized_multiplier((codes - z) << scaling.left_shift, *m)
        for m, z in ((scaling.input1, zero1), (scaling.input2, zero2))
    ]
    wanted = requantize(wide[0][:, None] + wide[1], *scaling.output, zero, -20, 127)
    first, second = (found[name] * codes >> 8 * found["wide"] for name in ("factor1", "factor2"))
    line = found["offset"] + first[:, None] + second
    assert np.abs(line).max() < 2**31
    assert (np.clip(line >> found["shift"], -20, 127) == wanted).all()
