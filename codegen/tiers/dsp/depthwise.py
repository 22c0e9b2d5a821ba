"""DEPTHWISE_CONV_2D by four channels at a time; with one input channel it is a CONV_2D."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ...ops.base import SMALL, Array, Call, Init, Lowered, Scratch
from ...quantized_math import INT8_MAX, INT8_MIN
from ..inline import inlined
from .border import border
from .conv2d import conv2d
from .forms import SHIFTS, Form, choose_form, form_with_shift
from .groups import groups
from .packed import PACKED, packed_form

_Ints = npt.NDArray[np.int64]


def depthwise(lowered: Lowered, call: Call, params: Mapping[str, Any]) -> Lowered | None:
    """The layer by fours; None with two or three channels that do not pair up, and mostly with several outputs each."""
    if params["in_channels"] == 1:
        return _convolution(lowered, call, params)
    if params["depth_multiplier"] != 1:
        return groups(lowered, call, params)
    arrays = {array.name: array.values for array in lowered.arrays}
    taps = params["rows"]["kernel"] * params["cols"]["kernel"]
    weights = arrays["weights"].reshape(taps, -1).astype(np.int64)
    bias = arrays["channels"][:, 0]
    extremes = np.stack([weights * code for code in (INT8_MIN, INT8_MAX)])
    low, high = bias + extremes.min(axis=0).sum(axis=0), bias + extremes.max(axis=0).sum(axis=0)
    cols, repeats = _joined_columns(params["cols"], len(bias))
    channels = len(bias) * repeats
    if channels < 4:
        return None
    order = fours(channels) % len(bias)
    padding = border(params["rows"], cols["in"] * channels, params["in_zero_point"]) if _alone(cols) else ()

    def made(form: Form) -> Lowered:
        fields: dict[str, Init] = {
            "rows": params["rows"],
            "cols": cols,
            "channels": channels,
            "in_zero_point": params["in_zero_point"],
            "form": form.fields,
            "table": "{table}",
            "border": "{border}" if padding else "NULL",
        }
        found = inlined(
            lowered,
            call,
            "tn_depthwise_conv2d_s8_dsp",
            fields,
            (Array("table", "uint32_t", table(weights, bias, form, order)), *padding),
            ("{rows}",) if call.function.endswith("_row") else ("{rows}", "{in0}"),
            (Scratch("int8_t", "scratch", channels), Scratch("const int8_t *", "taps", taps)),
        )
        return replace(found, border="border" if padding else "")

    def forms() -> Iterator[tuple[str, Lowered]]:
        packed = packed_form(lowered.multipliers, bias, params["output"])
        if packed is not None:
            yield SMALL, made(packed)
        for shift in SHIFTS:
            form = form_with_shift(shift, lowered.multipliers, low, high, params["output"])
            if form is not None:
                yield f"shift {shift}", made(form)

    form = choose_form(lowered.multipliers, low, high, params["output"])
    if params["rows"]["out"] * params["cols"]["out"] == 1:  # constants are as much as weights
        form = packed_form(lowered.multipliers, bias, params["output"]) or form
    return replace(made(form), forms=forms)


def _alone(cols: Mapping[str, int]) -> bool:
    """Whether windows are one column wide and lie beside each other."""
    return cols["kernel"] == 1 and cols["stride"] == 1 and cols["pad"] == 0 and cols["in"] == cols["out"]


def _convolution(lowered: Lowered, call: Call, params: Mapping[str, Any]) -> Lowered | None:
    """Filters over the one channel: weights [1, height, width, filters] as [filters, height, width, 1]."""
    outputs = params["depth_multiplier"]
    filters = [
        replace(array, values=array.values.reshape(-1, outputs).T) if array.name == "weights" else array
        for array in lowered.arrays
    ]
    wanted = {name: params[name] for name in ("rows", "cols", "in_channels", "in_zero_point", "output")}
    return conv2d(replace(lowered, arrays=tuple(filters)), call, {**wanted, "out_channels": outputs})


def _joined_columns(cols: Mapping[str, int], channels: int) -> tuple[Mapping[str, int], int]:
    """Columns that stand alone, seen as one with the channels of several where that makes fours; and how many."""
    repeats = 4 // int(np.gcd(channels, 4))
    if not _alone(cols) or cols["in"] % repeats:
        return cols, 1
    return {**cols, "in": cols["in"] // repeats, "out": cols["out"] // repeats}, repeats


def fours(channels: int) -> _Ints:
    """Channels of each four, (fours, 4): the last four of an odd number overlaps the one before."""
    starts = np.minimum(np.arange(0, channels, 4), channels - 4)
    found: _Ints = starts[:, None] + np.arange(4)
    return found


def table(weights: _Ints, bias: _Ints, form: Form, order: _Ints) -> npt.NDArray[np.uint32]:
    """Words of every four channels: biases, unless they are packed, lanes of weights tap by tap, constants of the form.

    `weights` are (taps, channels); `order` holds the channels of each four, whose lanes are {0, 2} and {1, 3}.
    """
    scaled = (weights * form.factors)[:, order[:, (0, 2, 1, 3)]].transpose(1, 0, 2)
    lanes = np.ascontiguousarray(scaled, dtype="<i2").reshape(len(order), -1).view("<u4")
    starts = (bias * form.factors)[order]
    parts = [lanes, form.words[order].reshape(len(order), -1)]
    if form.fields.get("kind") != PACKED:
        parts.insert(0, starts)
    words = [part.astype(np.int64) & 0xFFFFFFFF for part in parts]
    return np.concatenate(words, axis=1).reshape(-1).astype(np.uint32)
