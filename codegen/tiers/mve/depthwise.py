"""DEPTHWISE_CONV_2D with channels as lanes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...ops.base import Array, Call, Init, Lowered, Scratch
from ..inline import inlined
from .conv2d import channels_as_lanes
from .lanes import LANES, channel_constants, fours, pad_last


def depthwise(lowered: Lowered, call: Call, params: Mapping[str, Any]) -> Lowered:
    """The layer, with the input channel of every lane where there are several outputs per channel."""
    weights = next(array.values for array in lowered.arrays if array.name == "weights")
    source, several = params["in_channels"], params["depth_multiplier"]
    channels = source * several
    taps = params["rows"]["kernel"] * params["cols"]["kernel"]
    constants, scaling = channel_constants(lowered, params["output"])
    arrays = [Array("weights", "int8_t", channels_as_lanes(weights.reshape(taps, channels))), constants]
    if several > 1:
        sources = pad_last(np.arange(channels) // several, fours(channels) * LANES)
        arrays.append(Array("sources", "uint32_t", sources.astype(np.uint32)))
    fields: dict[str, Init] = {
        **{name: params[name] for name in ("rows", "cols", "in_channels")},
        "channels": channels,
        "in_zero_point": params["in_zero_point"],
        "scaling": scaling,
        "weights": "{weights}",
        "constants": "{channels}",
        "sources": "{sources}" if several > 1 else "NULL",
    }
    return inlined(
        lowered,
        call,
        "tn_depthwise_conv2d_s8_mve",
        fields,
        tuple(arrays),
        ("{rows}",) if call.function.endswith("_row") else ("{rows}", "{in0}"),
        (Scratch("int8_t", "scratch", source), Scratch("const int8_t *", "taps", taps)),
    )
