"""Constants of the DSP tier: arranged as its kernels read them, and exact for every pair of codes."""

from __future__ import annotations

import numpy as np
import pytest
from thumbnet.codegen.quantized_math import add_multipliers, multiply_by_quantized_multiplier, requantize
from thumbnet.codegen.tiers.dsp.conv2d import pair_filters
from thumbnet.codegen.tiers.dsp.depthwise import lanes_by_four
from thumbnet.codegen.tiers.dsp.one_line_add import find_constants


def test_filters_lie_in_pairs() -> None:
    filters = np.arange(1, 9, dtype=np.int8).reshape(2, 4)
    assert pair_filters(filters, 4, False).view(np.int8).tolist() == [1, 5, 2, 6, 3, 7, 4, 8]
    assert pair_filters(filters, 4, True).view(np.int8).tolist() == [1, 5, 3, 7, 2, 6, 4, 8]


def test_an_odd_filter_gets_a_partner_of_zeros() -> None:
    words = pair_filters(np.array([[1, 2, 3]], np.int8), 4, False)
    assert words.view(np.int8).tolist() == [1, 0, 2, 0, 3, 0, 0, 0]


def test_depthwise_lanes() -> None:
    words = lanes_by_four(np.array([[-1, 2, 3, -4]], np.int8))
    assert words.view(np.int16).tolist() == [-1, 3, 2, -4]


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
    line = found["offset"] + found["factor1"] * codes[:, None] + found["factor2"] * codes
    assert np.abs(line).max() < 2**31
    assert (np.clip(line >> found["shift"], -20, 127) == wanted).all()
