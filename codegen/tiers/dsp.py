"""The DSP tier: kernels for two 16-bit lanes (Cortex-M4, M7 and M33), inlined into one function per layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..ops.base import Array, Call, Init, Lowered, Scratch
from ..requantize import OFFSET_UNIT, PLAIN
from .one_line_add import find_constants

_Ints = npt.NDArray[np.int64]
#: TN_DSP_PLAIN of tn_dsp.h.
_NO_PROOF = -(2**62)
_POOLS = {"": "TN_POOL_NONE", "rows": "TN_POOL_ROWS", "cols": "TN_POOL_COLS"}


def arrange(lowered: Lowered) -> Lowered:
    """Kernel and constants of this tier for one layer; `lowered` itself where there is none."""
    if len(lowered.calls) != 1:
        return lowered
    (call,) = lowered.calls
    rule = _RULES.get(call.struct)
    found = rule(lowered, call, call.params) if rule and call.function in _FUNCTIONS else None
    return lowered if found is None else found


# --- channels -----------------------------------------------------------------------------------------------


def _channels(lowered: Lowered, output: Mapping[str, Any], name: str) -> tuple[Array, dict[str, Init]]:
    """Requantization constants in 64 bits, and the fields that say which form they have.

    Where no code below the zero point can come out, the offset of negative accumulators never shows.
    """
    rows = next(array.values for array in lowered.arrays if array.name == "channels")
    bias, multiplier, offset, negative = rows.T
    proven = bool((offset != PLAIN).all())
    wide, wide_negative = offset * OFFSET_UNIT, negative * OFFSET_UNIT
    fields: dict[str, Init] = {"proven": int(proven), name: "NULL", f"signed_{name}": "NULL"}
    if proven and (output["min"] >= output["zero_point"] or bool((offset == negative).all())):
        fields[name] = "{channels}"
        return Array("channels", "tn_dsp_channel", _even(np.stack([bias, multiplier, wide], axis=1))), fields
    plain = offset == PLAIN
    wide = np.where(plain, negative, wide)
    wide_negative = np.where(plain, _NO_PROOF, wide_negative)
    fields[f"signed_{name}"] = "{channels}"
    table = np.stack([bias, multiplier, wide, wide_negative], axis=1)
    return Array("channels", "tn_dsp_signed_channel", _even(table)), fields


def _even(rows: _Ints) -> _Ints:
    """An even number of channels; the last one is repeated."""
    return np.concatenate([rows, rows[-1:]]) if len(rows) % 2 else rows


# --- convolution --------------------------------------------------------------------------------------------


def _conv2d(lowered: Lowered, call: Call, params: Mapping[str, Any]) -> Lowered:
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
    constants, form = _channels(lowered, params["output"], "channels")
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
    return _inlined(
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


# --- depthwise convolution ----------------------------------------------------------------------------------


def _depthwise(lowered: Lowered, call: Call, params: Mapping[str, Any]) -> Lowered | None:
    weights = next(array.values for array in lowered.arrays if array.name == "weights")
    channels = params["in_channels"]
    if params["depth_multiplier"] != 1 or channels % 4:
        return None
    taps = params["rows"]["kernel"] * params["cols"]["kernel"]
    constants, form = _channels(lowered, params["output"], "constants")
    fields: dict[str, Init] = {
        **{name: params[name] for name in ("rows", "cols", "in_zero_point", "output")},
        "channels": channels,
        "weights": "{weights}",
        **form,
    }
    return _inlined(
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


# --- addition -----------------------------------------------------------------------------------------------


def _add(lowered: Lowered, call: Call, params: Mapping[str, Any]) -> Lowered | None:
    shape = params["shape"]
    straight = all(shape[name][3] == 1 for name in ("stride1", "stride2")) and max(shape["size"][:3]) == 1
    constants = find_constants(params, -1 if "sub" in call.function else 1) if straight else None
    if constants is None:
        return None
    fields: dict[str, Init] = {"count": shape["size"][3], **constants, "output": params["output"]}
    return _inlined(lowered, call, "tn_add_s8_dsp", fields, (), ("{in0}", "{in1}"), ())


def _inlined(
    lowered: Lowered,
    call: Call,
    kernel: str,
    fields: Mapping[str, Init],
    arrays: tuple[Array, ...],
    inputs: tuple[str, ...],
    scratch: tuple[Scratch, ...],
) -> Lowered:
    suffix = call.function.rpartition("_")[2]
    names = tuple("{" + item.name + "}" for item in scratch)
    new = Call(f"{kernel}_{suffix}", ("{params}", *inputs, "{out0}", *names), kernel, fields)
    return replace(lowered, kernels=(), inline=kernel, calls=(new,), arrays=arrays, scratch=scratch)


_FUNCTIONS = frozenset(
    f"tn_{name}_s8_{way}" for name in ("conv2d", "depthwise_conv2d", "add", "sub") for way in ("run", "row")
)
_RULES: Mapping[str, Callable[[Lowered, Call, Mapping[str, Any]], Lowered | None]] = {
    "tn_conv2d_s8": _conv2d,
    "tn_depthwise_conv2d_s8": _depthwise,
    "tn_add_s8": _add,
}
