"""Constants of the MVE tier: arranged as its kernels read them, exact, and within the recorded stack."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from golden.stack_frames import local_bytes
from thumbnet.codegen import compile_model
from thumbnet.codegen.library import KERNELS
from thumbnet.codegen.ops.base import Array, Lowered
from thumbnet.codegen.quantized_math import (
    Multiplier,
    add_multipliers,
    multiply_by_quantized_multiplier,
    requantize,
)
from thumbnet.codegen.tiers.mve.add import find_line
from thumbnet.codegen.tiers.mve.conv2d import arrange_filters, channels_as_lanes
from thumbnet.codegen.tiers.mve.lanes import channel_constants, in_eights, overlapping, side_by_side

EXAMPLE = KERNELS.parent / "example_model" / "model.tflite"


def test_fours_are_even_and_odd_channels_of_eights() -> None:
    assert side_by_side(12).tolist() == [[0, 2, 4, 6], [1, 3, 5, 7], [8, 9, 10, 11]]
    assert side_by_side(13)[2:].tolist() == [[8, 10, 12, -1], [9, 11, -1, -1]]
    assert side_by_side(3).tolist() == [[0, 1, 2, -1]]
    assert overlapping(12).tolist() == [[0, 2, 4, 6], [1, 3, 5, 7], [4, 6, 8, 10], [5, 7, 9, 11]]
    assert overlapping(3).tolist() == [[0, 2, -1, -1], [1, -1, -1, -1]]


def test_filters_lie_by_fours_of_outputs() -> None:
    filters = np.arange(4 * 32, dtype=np.int8).reshape(4, 32)
    vectors = arrange_filters(filters, 1, 32).reshape(2, 4, 16)
    for block, output in np.ndindex(2, 4):
        assert (vectors[block, output] == filters[output, 16 * block : 16 * block + 16]).all()


def test_a_rest_of_up_to_eight_codes_takes_half_a_vector() -> None:
    filters = np.ones((5, 2 * 24), np.int8)
    arranged = arrange_filters(filters, 2, 24)
    assert arranged.size == 8 * 2 * 24
    assert arranged.sum() == filters.sum()
    assert arrange_filters(np.ones((1, 19), np.int8), 1, 19).size == 4 * (16 + 8)
    assert arrange_filters(np.ones((1, 25), np.int8), 1, 25).size == 4 * (16 + 16)


def test_channels_as_lanes_are_padded_to_eights_with_even_ones_first() -> None:
    lanes = channels_as_lanes(np.arange(10).reshape(2, 5))
    assert lanes.tolist() == [0, 2, 4, 0, 1, 3, 0, 0, 5, 7, 9, 0, 6, 8, 0, 0]


def test_the_last_eight_channels_overlap_those_before() -> None:
    assert in_eights(np.arange(1, 13)).tolist() == [[1, 2, 3, 4, 5, 6, 7, 8], [5, 6, 7, 8, 9, 10, 11, 12]]
    assert in_eights(np.arange(1, 18))[:, 0].tolist() == [1, 9, 10]


@pytest.mark.parametrize(
    ("shifts", "low", "signs", "left"),
    [
        ((-3, -5), -128, "TN_MVE_SHIFTED", 0),
        ((-3, 0), -128, "TN_MVE_ANY", 0),
        ((-3, 2), -128, "TN_MVE_ANY", 1),
        ((-3, 0), 4, "TN_MVE_POSITIVE", 0),
    ],
)
def test_scaling_says_what_may_be_left_out(shifts: tuple[int, int], low: int, signs: str, left: int) -> None:
    channels = Array("channels", "tn_channel", np.array([[7, 0, 0, 0], [-9, 0, 0, 0]], np.int64))
    lowered = Lowered(arrays=(channels,), multipliers=tuple(Multiplier(1 << 30, shift) for shift in shifts))
    array, fields = channel_constants(lowered, {"zero_point": 4, "min": low, "max": 127}, side_by_side(2))
    assert (fields["signs"], fields["left"]) == (signs, left)
    bias, multiplier, right, up = array.values.reshape(4, 4)
    assert bias.tolist() == [7, -9, 0, 0]
    assert multiplier.tolist() == [1 << 30, 1 << 30, 0, 0]
    assert (right + up)[:2].tolist() == list(shifts)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("scales", [(0.05, 0.031, 0.06), (0.1, 0.001, 0.07), (0.02, 0.02, 0.02)])
def test_addition_in_one_line_is_exact(scales: tuple[float, float, float], sign: int) -> None:
    zeros, zero = (-128, 3), -20
    scaling = add_multipliers(*scales)
    first, second = ((*m, z) for m, z in zip((scaling.input1, scaling.input2), zeros, strict=True))
    line = find_line(first, second, sign, scaling.left_shift, (*scaling.output, zero), (-20, 127))
    if line is None:
        pytest.skip("no choice of constants is exact for these scales; another kernel stands in")
    factor1, factor2, offset, shift = line
    codes = np.arange(-128, 128, dtype=np.int64)
    wide = [
        multiply_by_quantized_multiplier((codes - z) << scaling.left_shift, *m)
        for m, z in ((scaling.input1, zeros[0]), (scaling.input2, zeros[1]))
    ]
    wanted = requantize(wide[0][:, None] + sign * wide[1], *scaling.output, zero, -20, 127)
    value = offset + factor1 * codes[:, None] + factor2 * codes
    assert np.abs(value).max() < 2**31
    assert (np.clip(value >> shift, -20, 127) == wanted).all()


@pytest.mark.parametrize("schedule", ["whole", "stream"])
def test_recorded_frames_are_upper_bounds(schedule: str, tmp_path: Path) -> None:
    if shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("arm-none-eabi-gcc is not installed")
    compile_model(EXAMPLE.read_bytes(), target="cortex-m55", schedule=schedule).write(tmp_path)
    source = tmp_path / "src" / "model.c"
    flags = json.loads((KERNELS.parent / "platform" / "cores.json").read_text())["cortex-m55"]
    command = ["arm-none-eabi-gcc", *flags, "-std=c99", "-O2", "-fstack-usage", "-c", str(source)]
    subprocess.run([*command, "-o", str(tmp_path / "model.o")], check=True, timeout=60)
    lines = (line.split("\t") for line in (tmp_path / "model.su").read_text().splitlines())
    # The compiler may make one function of two equal ones, or rename a copy.
    frames = {name.rpartition(":")[2].partition(".")[0]: int(size) for name, size, _ in lines}
    recorded = json.loads((KERNELS / "stack.json").read_text())["inline"]
    checked = 0
    for name, body in re.findall(r"^TN_OUTLINE void (\w+)\([^)]*\)\n\{\n(.*?)^\}", source.read_text(), re.M | re.S):
        kernel = re.search(r"(tn_\w+_mve)_(?:run|row)\(", body)
        if kernel and name in frames:
            checked += 1
            assert frames[name] - local_bytes(body) <= recorded[kernel.group(1)], name
    assert checked > 10
