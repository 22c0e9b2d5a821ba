"""CONV_2D and FULLY_CONNECTED, alone or with a max-pooling of two behind them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ...ops.base import Array, Call, Init, Lowered, Scratch
from ..inline import inlined
from .channels import channel_constants

_POOLS = {"": "TN_POOL_NONE", "rows": "TN_POOL_ROWS", "cols": "TN_POOL_COLS"}


def conv2d(lowered: Lowered, call: Call, params: Mapping[str, Any]) -> Lowered:
    """The layer with filters two by two, over gathered columns."""
    weights = next(array.values for array in lowered.arrays if array.name == "weights")
    rows, cols = params["rows"], params["cols"]
    channels, outputs = params["in_channels"], params["out_channels"]
    pool = params.get("pool", {"axis": "", "taps": rows["kernel"], "tap_distance": 1})
    used = pool["taps"] * cols["kernel"] * channels
    depth = 4 if used <= 4 else -(-used // 8) * 8
    interleaved = channels % 4 == 0
    conv_cols, out_cols = cols["out"], cols["out"]
    if pool["axis"] == "cols":
        out_cols = pool["out"]
        conv_cols = min(conv_cols, 2 * out_cols)
    constants, form = channel_constants(lowered, params["output"], "channels")
    fields: dict[str, Init] = {
        "rows": rows,
        "cols": {**cols, "out": conv_cols},
        "taps": pool["taps"],
        "tap_distance": pool["tap_distance"],
        "row_distance": pool.get("row_distance", 0),
        "conv_rows": min(pool.get("conv_rows", 0), 2 * rows["out"]),
        "out_cols": out_cols,
        "in_channels": channels,
        "out_channels": outputs,
        "depth": depth,
        "pool": _POOLS[pool["axis"]],
        "interleaved": int(interleaved),
        "in_zero_point": params["in_zero_point"],
        "output": params["output"],
        "weights": "{weights}",
        **form,
    }
    filters = weights.reshape(outputs, used).astype(np.int8)
    return inlined(
        lowered,
        call,
        "tn_conv2d_s8_dsp",
        fields,
        (Array("weights", "uint32_t", pair_filters(filters, depth, interleaved)), constants),
        ("{rows}", "{y}") if call.function.endswith("_row") else ("{rows}", "{in0}"),
        (Scratch("int16_t", "scratch", 2 * depth),),
    )


def pair_filters(filters: npt.NDArray[np.int8], depth: int, interleaved: bool) -> npt.NDArray[np.uint32]:
    """Filters (outputs, used) two by two: for every two codes a word of bytes a, b, a, b.

    `interleaved` follows the order in which SXTB16 widens the codes of a word: 0, 2, 1, 3.
    """
    outputs, used = filters.shape
    padded = np.zeros((outputs + outputs % 2, depth), np.int8)
    padded[:outputs, :used] = filters
    if interleaved:
        padded = padded.reshape(-1, depth // 4, 4)[:, :, (0, 2, 1, 3)].reshape(-1, depth)
    pairs = padded.reshape(-1, 2, depth)
    return np.ascontiguousarray(pairs.transpose(0, 2, 1)).reshape(-1).view("<u4").astype(np.uint32)
