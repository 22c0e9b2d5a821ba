"""DEPTHWISE_CONV_2D with depth multiplier 1 and channels in multiples of four."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ...ops.base import Array, Call, Init, Lowered, Scratch
from ..inline import inlined
from .channels import channel_constants


def depthwise(lowered: Lowered, call: Call, params: Mapping[str, Any]) -> Lowered | None:
    """The layer with weights as lanes; None where the kernel does not fit."""
    weights = next(array.values for array in lowered.arrays if array.name == "weights")
    channels = params["in_channels"]
    if params["depth_multiplier"] != 1 or channels % 4:
        return None
    taps = params["rows"]["kernel"] * params["cols"]["kernel"]
    constants, form = channel_constants(lowered, params["output"], "constants")
    fields: dict[str, Init] = {
        **{name: params[name] for name in ("rows", "cols", "in_zero_point", "output")},
        "channels": channels,
        "weights": "{weights}",
        **form,
    }
    return inlined(
        lowered,
        call,
        "tn_depthwise_conv2d_s8_dsp",
        fields,
        (Array("weights", "uint32_t", lanes_by_four(weights.reshape(taps, channels))), constants),
        ("{rows}",) if call.function.endswith("_row") else ("{rows}", "{in0}"),
        (Scratch("int8_t", "scratch", channels), Scratch("const int8_t *", "taps", taps)),
    )


def lanes_by_four(weights: npt.NDArray[Any]) -> npt.NDArray[np.uint32]:
    """Weights (taps, channels) as two words of lanes per four channels and tap: {0, 2} and {1, 3}."""
    taps, channels = weights.shape
    fours = weights.reshape(taps, channels // 4, 4)[:, :, (0, 2, 1, 3)].transpose(1, 0, 2)
    return np.ascontiguousarray(fours, dtype="<i2").view("<u4").reshape(-1).astype(np.uint32)
