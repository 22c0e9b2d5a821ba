"""DEPTHWISE_CONV_2D with channels as lanes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ...ops.base import Array, Call, Init, Lowered, Scratch
from ..dsp.border import border
from ..inline import inlined
from .lanes import channel_constants, in_eights, overlapping


def depthwise(lowered: Lowered, call: Call, params: Mapping[str, Any]) -> Lowered:
    """The layer, with the input channel of every lane where there are several outputs per channel."""
    weights = next(array.values for array in lowered.arrays if array.name == "weights")
    source, several = params["in_channels"], params["depth_multiplier"]
    channels = source * several
    taps = params["rows"]["kernel"] * params["cols"]["kernel"]
    constants, scaling = channel_constants(lowered, params["output"], overlapping(channels))
    filters = in_eights(weights.reshape(taps, channels)).transpose(1, 0, 2).astype(np.int8)
    arrays = [Array("weights", "int8_t", np.ascontiguousarray(filters).reshape(-1)), constants]
    if several > 1:
        sources = in_eights(np.arange(channels) // several)
        arrays.append(Array("sources", "uint16_t", sources.astype(np.uint16).reshape(-1)))
    padding = border(params["rows"], params["cols"]["in"] * source, params["in_zero_point"])
    fields: dict[str, Init] = {
        **{name: params[name] for name in ("rows", "cols", "in_channels")},
        "channels": channels,
        "in_zero_point": params["in_zero_point"],
        "scaling": scaling,
        "weights": "{weights}",
        "constants": "{channels}",
        "sources": "{sources}" if several > 1 else "NULL",
        "border": "{border}" if padding else "NULL",
    }
    found = inlined(
        lowered,
        call,
        "tn_depthwise_conv2d_s8_mve",
        fields,
        (*arrays, *padding),
        ("{rows}",) if call.function.endswith("_row") else ("{rows}", "{in0}"),
        (Scratch("int8_t", "scratch", source), Scratch("const int8_t *", "taps", 2 * taps)),
    )
    return replace(found, border="border" if padding else "")
