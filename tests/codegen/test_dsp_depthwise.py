"""Constants of depthwise convolution on the DSP tier: exact for every accumulator, in the order of the kernel."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from property.problem import Problem, Q
from property.runtimes import HostDsp, check
from property.windows import DepthwiseConv2D
from thumbnet.codegen import compile_model
from thumbnet.codegen.quantized_math import Multiplier, requantize
from thumbnet.codegen.tiers.dsp.depthwise import fours, table
from thumbnet.codegen.tiers.dsp.forms import Form, choose_form

_Ints = npt.NDArray[np.int64]
_REACH = 1 << 15
_ACCUMULATORS = np.arange(-_REACH, _REACH + 1, dtype=np.int64)


def _choose(multipliers: list[Multiplier], zero_point: int, low: int) -> Form:
    ends = np.full(len(multipliers), _REACH, np.int64)
    return choose_form(multipliers, -ends, ends, {"zero_point": zero_point, "min": low, "max": 127})


def _codes(form: Form, channel: int, low: int) -> _Ints:
    """What tn_dsp_four.h computes from the words of a channel."""
    scaled, words = _ACCUMULATORS * form.factors[channel], form.words[channel].astype(object)
    if form.fields["kind"] == "TN_DSP_RISING":
        sums = (scaled * int(words[0]) >> 32) + int(words[1])
    else:
        unsigned = (scaled & 0xFFFFFFFF).astype(object)
        sums = ((words[1] << 32) + words[0] + scaled.astype(object) * words[2] + unsigned * words[3]) >> 32
    return np.clip((sums >> form.fields["shift"]).astype(np.int64), low, 127)


@pytest.mark.parametrize("zero_point,low", [(-128, -128), (-20, -20), (16, -128), (-5, -100)])
@pytest.mark.parametrize("shifts", [(-1, -1), (-7, -8), (-5, -10), (-4, -30)])
def test_codes_are_those_of_two_roundings(zero_point: int, low: int, shifts: tuple[int, int]) -> None:
    multipliers = [Multiplier((1 << 30) + 12345, shifts[0]), Multiplier((1 << 31) - 987654, shifts[1])]
    form = _choose(multipliers, zero_point, low)
    assert form.fields["kind"] == ("TN_DSP_RISING" if low >= zero_point else "TN_DSP_SIGNED")
    for channel, multiplier in enumerate(multipliers):
        wanted = requantize(_ACCUMULATORS, *multiplier, zero_point, low, 127)
        assert (_codes(form, channel, low) == wanted).all(), channel


@pytest.mark.parametrize("multiplier", [Multiplier(1 << 30, 0), Multiplier(1 << 30, 3)])
def test_scales_that_do_not_shrink_take_two_roundings(multiplier: Multiplier) -> None:
    form = _choose([multiplier] * 2, 3, -128)
    assert form.fields["kind"] == "TN_DSP_PLAINLY"
    assert form.factors.tolist() == [1, 1]
    assert form.words.tolist() == [list(multiplier)] * 2


def test_accumulators_without_spare_bits_take_two_roundings() -> None:
    far = np.array([2**29], np.int64)
    output = {"zero_point": 0, "min": -128, "max": 127}
    assert choose_form([Multiplier(1 << 30, -9)], -far, far, output).fields["kind"] == "TN_DSP_SIGNED"
    assert choose_form([Multiplier(1 << 30, -9)], -4 * far, 4 * far, output).fields["kind"] == "TN_DSP_PLAINLY"


def test_a_table_lists_biases_weights_and_constants_of_every_four_channels() -> None:
    form = Form({}, np.array([1, 2, 1, 1, 1, 1, 1, -1], np.int64), np.arange(8, dtype=np.int64)[:, None])
    weights = np.array([[1, 2, 3, 4, 5, 6, 7, 8], [-1, 0, 0, 0, 0, 0, 0, -128]], np.int64)
    first, second = table(weights, np.arange(10, 18, dtype=np.int64), form, fours(8)).reshape(2, -1).view(np.int32)
    assert first[:4].tolist() == [10, 22, 12, 13]
    assert first[4:8].view(np.int16).tolist() == [1, 3, 4, 4, -1, 0, 0, 0]
    assert first[8:].tolist() == [0, 1, 2, 3]
    assert second[:4].tolist() == [14, 15, 16, -17]
    assert second[4:8].view(np.int16).tolist() == [5, 7, 6, -8, 0, 0, 0, 128]


def test_the_last_four_of_an_odd_number_of_channels_overlap() -> None:
    assert fours(6).tolist() == [[0, 1, 2, 3], [2, 3, 4, 5]]
    assert fours(4).tolist() == [[0, 1, 2, 3]]


def _several_filters(
    size: tuple[int, int], kernel: tuple[int, int], padding: str, multiplier: int, channels: int
) -> Problem:
    return DepthwiseConv2D(
        seed=5 * size[0] + multiplier,
        batch=1,
        size=size,
        channels=channels,
        kernel=kernel,
        stride=(1, 1),
        dilation=(1, 1),
        padding=padding,
        activation="NONE",
        filters=channels * multiplier,
        multiplier=multiplier,
        bias=True,
        per_channel=True,
        q_in=Q(0.05, -7),
        q_w=Q(2.0**-7, 0),
        zero_point_out=5,
        gain=0.0,
    )


def test_several_filters_a_channel_for_one_pixel_are_convolutions_side_by_side() -> None:
    problems = [
        _several_filters((1, 32), (1, 32), "VALID", 16, 10),
        _several_filters((19, 1), (19, 1), "VALID", 3, 4),
        _several_filters((5, 3), (5, 3), "VALID", 2, 2),
        _several_filters((1, 3), (1, 3), "SAME", 2, 3),
    ]
    check(HostDsp(), *problems)
    code = compile_model(problems[0].model(), target="cortex-m4").files["src/model.c"]
    assert "tn_conv2d_s8_dsp_groups(&model_l" in code and "model_l0_records[1600]" in code


@pytest.mark.parametrize("size", [(32, 1), (1, 32)])
def test_several_filters_a_channel_over_a_stream(size: tuple[int, int]) -> None:
    problem = _several_filters(size, size, "VALID", 16, 10)
    runtime = HostDsp()
    runtime.schedule = "stream-h"
    check(runtime, problem)
    code = compile_model(problem.model(), target="cortex-m4", schedule="stream-h").files["src/model.c"]
    assert "tn_conv2d_s8_dsp_group_rows(&model_l" in code
