"""CONV_2D and FULLY_CONNECTED, alone or with a max-pooling of two behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ...ops.base import Array, Call, Init, Lowered, Scratch
from ..dsp.border import border
from ..inline import inlined
from .lanes import LANES, channel_constants, in_eights, overlapping, pad_last, side_by_side

_POOLS = {"": "TN_MVE_POOL_NONE", "rows": "TN_MVE_POOL_ROWS", "cols": "TN_MVE_POOL_COLS"}
#: Codes of one vector, and of the half that widens to 16 bits.
_CODES, _HALVES = 16, 8
#: Codes under a filter up to which lanes are output channels rather than products of one sum.
_FEW = 4


def conv2d(lowered: Lowered, call: Call, params: Mapping[str, Any]) -> Lowered:
    """The layer with sixteen products per instruction, or with channels as lanes where filters are small."""
    weights = next(array.values for array in lowered.arrays if array.name == "weights")
    taps = params.get("pool", {"taps": params["rows"]["kernel"]})["taps"]
    used = taps * params["cols"]["kernel"] * params["in_channels"]
    filters = weights.reshape(params["out_channels"], used).astype(np.int8)
    channels_of = overlapping if used <= _FEW else side_by_side
    constants, scaling = channel_constants(lowered, params["output"], channels_of(params["out_channels"]))
    fields = _windows(params) | {"in_zero_point": params["in_zero_point"], "scaling": scaling}
    if used <= _FEW:
        padding = border(params["rows"], params["cols"]["in"] * params["in_channels"], params["in_zero_point"])
        return few(lowered, call, fields, filters, constants, padding)
    runs, in_place = _runs(params, taps)
    run = used // taps if in_place else -(-used // _HALVES) * _HALVES
    fields |= {"shape": {"runs": runs, "run": run, "in_place": int(in_place)}}
    fields |= {"weights": "{weights}", "channels": "{channels}"}
    column = runs * (-(-run // _CODES) * _CODES)
    return inlined(
        lowered,
        call,
        "tn_conv2d_s8_mve",
        fields,
        (Array("weights", "int8_t", arrange_filters(filters, runs, run)), constants),
        _inputs(call),
        (Scratch("int8_t", "scratch", 2 * column), Scratch("const int8_t *", "runs", 2 * runs + 2)),
    )


def few(
    lowered: Lowered,
    call: Call,
    fields: Mapping[str, Init],
    filters: npt.NDArray[np.int8],
    constants: Array,
    padding: tuple[Array, ...],
) -> Lowered:
    """The layer with channels as lanes: filters (outputs, used), used at most TN_MVE_FEW; a row of padding, if any."""
    found = inlined(
        lowered,
        call,
        "tn_conv2d_few_s8_mve",
        {**fields, "weights": "{weights}", "channels": "{channels}", "border": "{border}" if padding else "NULL"},
        (Array("weights", "int8_t", channels_as_lanes(filters.T)), constants, *padding),
        _inputs(call),
        (),
    )
    return replace(found, border="border" if padding else "")


def _inputs(call: Call) -> tuple[str, ...]:
    return ("{rows}", "{y}") if call.function.endswith("_row") else ("{rows}", "{in0}")


def _windows(params: Mapping[str, Any]) -> dict[str, Init]:
    """How rows and columns are walked, with the pooling behind them."""
    rows, cols = params["rows"], params["cols"]
    plain = {"axis": "", "taps": rows["kernel"], "tap_distance": 1}
    pool = params.get("pool", plain)
    conv_cols = out_cols = cols["out"]
    if pool["axis"] == "cols":
        out_cols = pool["out"]
        conv_cols = min(conv_cols, 2 * out_cols)
    return {
        "rows": rows,
        "cols": {**cols, "out": conv_cols},
        "taps": pool["taps"],
        "tap_distance": pool["tap_distance"],
        "row_distance": pool.get("row_distance", 0),
        "conv_rows": min(pool.get("conv_rows", 0), 2 * rows["out"]),
        "out_cols": out_cols,
        "in_channels": params["in_channels"],
        "out_channels": params["out_channels"],
        "pool": _POOLS[pool["axis"]],
    }


def _runs(params: Mapping[str, Any], taps: int) -> tuple[int, bool]:
    """Contiguous parts under a pixel, and whether they are read in place.

    A part that does not fill its vectors wastes products; beyond one part, gathering everything into one is cheaper.
    """
    cols = params["cols"]
    run = cols["kernel"] * params["in_channels"]
    contiguous = cols["dilation"] == 1 or cols["kernel"] == 1
    in_place = contiguous and (taps == 1 or run % _HALVES == 0)
    return (taps, True) if in_place else (1, False)


def arrange_filters(filters: npt.NDArray[np.int8], runs: int, run: int) -> npt.NDArray[np.int8]:
    """Filters (outputs, used) as the kernel walks them: fours of :func:`side_by_side`, runs, vectors, outputs, codes.

    The last vector of a run has only 8 codes per output when no more are left.
    """
    outputs, used = filters.shape
    lanes = side_by_side(outputs).reshape(-1, 1)
    padded = np.zeros((len(lanes), runs * run), np.int8)
    padded[:, :used] = np.where(lanes < 0, 0, filters[lanes[:, 0]])
    parts = padded.reshape(-1, LANES, runs, run)
    whole, rest = run // _CODES * _CODES, run % _CODES
    vectors = parts[..., :whole].reshape(len(parts), LANES, runs, whole // _CODES, _CODES)
    pieces = [vectors.transpose(0, 2, 3, 1, 4).reshape(len(parts), runs, -1)]
    if rest:
        last = pad_last(parts[..., whole:], _HALVES if rest <= _HALVES else _CODES)
        pieces.append(last.transpose(0, 2, 1, 3).reshape(len(parts), runs, -1))
    return np.ascontiguousarray(np.concatenate(pieces, axis=2)).reshape(-1)


def channels_as_lanes(weights: npt.NDArray[Any]) -> npt.NDArray[np.int8]:
    """Weights (taps, channels) as eights of channels, taps, even and odd channels."""
    lanes = in_eights(weights)
    parted = lanes.reshape(*lanes.shape[:2], LANES, 2).transpose(1, 0, 3, 2)
    return np.ascontiguousarray(parted, dtype=np.int8).reshape(-1)
