"""DEPTHWISE_CONV_2D with several filters a channel that gives one pixel: for each channel a convolution of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ...ops.base import Array, Call, Lowered
from .conv2d import conv2d


def groups(lowered: Lowered, call: Call, params: Mapping[str, Any]) -> Lowered | None:
    """The layer as convolutions side by side, with records in a row; None for windows over lines of several columns."""
    rows, cols = params["rows"], params["cols"]
    if rows["out"] * cols["out"] != 1 or rows["pad"] or cols["pad"]:
        return None
    by_rows = call.function == "tn_depthwise_conv2d_s8_row"
    if min(rows["kernel"], cols["kernel"]) != 1:
        return None
    count, outputs = params["in_channels"], params["depth_multiplier"]
    taps = rows["kernel"] * cols["kernel"]
    along = by_rows or rows["kernel"] == 1
    distance = count * (cols["dilation"] if along else cols["in"] * rows["dilation"])
    arrays = {array.name: array for array in lowered.arrays}
    filters = arrays["weights"].values.reshape(taps, count, outputs).transpose(1, 2, 0)
    one = {"in": 1, "out": 1, "kernel": 1, "stride": 1, "dilation": 1, "pad": 0}
    fields = {
        **{"rows": {**one, "in": taps, "kernel": taps}, "cols": one, "in_channels": 1, "out_channels": outputs},
        **{"in_zero_point": params["in_zero_point"], "output": params["output"]},
    }
    row = Call("tn_conv2d_s8_row", (), "tn_conv2d_s8", fields)
    made = []
    for group, weights in enumerate(filters):
        part = slice(group * outputs, (group + 1) * outputs)
        own = (
            replace(arrays["weights"], values=np.ascontiguousarray(weights)),
            replace(arrays["channels"], values=arrays["channels"].values[part]),
        )
        made.append(
            conv2d(replace(lowered, arrays=own, multipliers=lowered.multipliers[part]), row, fields, small=True)
        )
    found = [one for one in made if one is not None]
    if len(found) < count or any(one.calls != found[0].calls for one in found):
        return None
    records = [array.values for one in found for array in one.arrays if array.name == "records"]
    first = found[0]
    sizes = (str(count), str(len(records[0])), str(distance))
    scratch = ("{out0}", "{columns}", "{codes}", *sizes)
    if by_rows:
        new = Call("tn_conv2d_s8_dsp_group_rows", ("{params}", "{rows}", *scratch, str(cols["kernel"])))
    else:
        new = Call("tn_conv2d_s8_dsp_groups", ("{params}", "{in0}", *scratch))
    return replace(
        first,
        calls=(replace(new, struct=first.calls[0].struct, params={**first.calls[0].params, "rows": rows}),),
        arrays=(Array("records", "uint32_t", np.concatenate(records)),),
        window_rows=lowered.window_rows if by_rows else 0,
        overlays=(),
        multipliers=lowered.multipliers,
        forms=None,
    )
