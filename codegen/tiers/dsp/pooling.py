"""MAX_POOL_2D, AVERAGE_POOL_2D and MEAN by four neighbouring channels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod
from typing import Any

from ...ops.base import Call, Lowered
from ..inline import inlined

_MOST_CODES = 256  # TN_BYTE_SUMS_MOST: as many codes as a sum of 16 bits holds


def pool2d(lowered: Lowered, call: Call, params: Mapping[str, Any]) -> Lowered | None:
    """A pooling; None where channels are no fours, or the sum over a window is too large."""
    average = "average" in call.function
    if params["channels"] % 4 or (average and params["rows"]["kernel"] * params["cols"]["kernel"] > _MOST_CODES):
        return None
    inputs = ("{rows}",) if call.function.endswith("_row") else ("{rows}", "{in0}")
    return inlined(lowered, call, f"tn_{'average' if average else 'max'}_pool2d_s8_dsp", params, (), inputs, ())


def mean(lowered: Lowered, call: Call, params: Mapping[str, Any]) -> Lowered | None:
    """A mean; None where its outputs are no neighbouring fours, or 16 bits do not hold the sum over their codes."""
    few = call.function.endswith("_few")
    if params["size"][2] % 4 or params["stride"][2] != 1 or (few and prod(params["reduced_size"]) > _MOST_CODES):
        return None
    if not call.function.startswith("tn_mean_s8_add"):
        return inlined(lowered, call, "tn_mean_s8_dsp", params, (), ("{in0}",), ())
    sums = "{few}" if few else "{acc}"
    way = "few" if few else "add"
    add = Call(f"tn_mean_s8_dsp_{way}", ("{params}", "{in0}", sums, "{y}"), "tn_mean_s8_dsp", params)
    # The portable kernels end the sum.
    return replace(lowered, inline="tn_mean_s8_dsp", calls=(add,))
