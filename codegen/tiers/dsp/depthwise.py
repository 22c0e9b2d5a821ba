"""DEPTHWISE_CONV_2D with depth multiplier 1 and channels in multiples of four."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ...ops.base import Array, Call, Init, Lowered, Scratch
from ...quantized_math import INT8_MAX, INT8_MIN
from ..inline import inlined
from .forms import Form, choose_form

_Ints = npt.NDArray[np.int64]


def depthwise(lowered: Lowered, call: Call, params: Mapping[str, Any]) -> Lowered | None:
    """The layer by four channels at a time; None where the kernel does not fit."""
    arrays = {array.name: array.values for array in lowered.arrays}
    channels = params["in_channels"]
    if params["depth_multiplier"] != 1 or channels % 4:
        return None
    taps = params["rows"]["kernel"] * params["cols"]["kernel"]
    weights = arrays["weights"].reshape(taps, channels).astype(np.int64)
    bias = arrays["channels"][:, 0]
    extremes = np.stack([weights * code for code in (INT8_MIN, INT8_MAX)])
    low, high = bias + extremes.min(axis=0).sum(axis=0), bias + extremes.max(axis=0).sum(axis=0)
    form = choose_form(lowered.multipliers, low, high, params["output"])
    fields: dict[str, Init] = {
        **{name: params[name] for name in ("rows", "cols", "in_zero_point")},
        "channels": channels,
        "form": form.fields,
        "table": "{table}",
    }
    return inlined(
        lowered,
        call,
        "tn_depthwise_conv2d_s8_dsp",
        fields,
        (Array("table", "uint32_t", table(weights, bias, form)),),
        ("{rows}",) if call.function.endswith("_row") else ("{rows}", "{in0}"),
        (Scratch("int8_t", "scratch", channels), Scratch("const int8_t *", "taps", taps)),
    )


def table(weights: _Ints, bias: _Ints, form: Form) -> npt.NDArray[np.uint32]:
    """Words of every four channels: biases, lanes of weights tap by tap, constants of the form.

    `weights` are (taps, channels); lanes are {0, 2} and {1, 3} of the four.
    """
    fours = len(bias) // 4
    scaled = (weights * form.factors).reshape(-1, fours, 4)[:, :, (0, 2, 1, 3)].transpose(1, 0, 2)
    lanes = np.ascontiguousarray(scaled, dtype="<i2").reshape(fours, -1).view("<u4")
    starts = (bias * form.factors).reshape(fours, 4)
    words = [part.astype(np.int64) & 0xFFFFFFFF for part in (starts, lanes, form.words.reshape(fours, -1))]
    return np.concatenate(words, axis=1).reshape(-1).astype(np.uint32)
