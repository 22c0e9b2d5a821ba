"""CONV_2D and FULLY_CONNECTED, alone or with a max-pooling of two behind them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ...ops.base import SMALL, Array, Call, Init, Lowered, Scratch
from ..inline import inlined
from .border import border
from .packed import packed_rounding
from .records import channel_records, largest_sums, shares_lanes, short_records, widened_order
from .rounding import ACCUMULATOR_LIMIT, choose_rounding, choose_scaled_rounding

_POOLS = {"": "TN_POOL_NONE", "rows": "TN_POOL_ROWS", "cols": "TN_POOL_COLS"}
#: Codes under a filter whose channel is fetched as a whole.
_LONGEST_SHORT = 8
#: Pixels of a row among which one more does not count: a loop for one alone is not worth its bytes.
_MANY_PIXELS = 64
#: Multiply-accumulates of a pixel from which on a partner in the next slice is worth the deeper rings.
_LEAST_PAIRED = 512
#: Steps of four lanes that the inner loop takes at once, at most.
_MOST_UNROLLED = 8


def two_slices(lowered: Lowered, call: Call, params: Mapping[str, Any], small: bool = False) -> Lowered | None:
    """A layer in a stream of single pixels, which takes those of two slices at a time; None for all others."""
    if call.function != "tn_conv2d_s8_row" or params["cols"]["out"] != 1 or "pool" in params:
        return None
    rows = params["rows"]
    used, work = _work(lowered, params)
    if rows["dilation"] != 1 or rows["out"] < 2 or (used > _LONGEST_SHORT and work < _LEAST_PAIRED):
        return None
    found = conv2d(lowered, call, params, small, paired=True)
    if found is None:
        return None
    (made,) = found.calls
    spans = rows["kernel"] + rows["stride"]
    fields = {**made.params, "rows": {**rows, "kernel": spans}, "row_distance": rows["stride"]}
    scratch = made.arguments[4:]
    new = Call("tn_conv2d_s8_dsp_two", ("{params}", "{rows}", "{out0}", "{step}", *scratch), made.struct, fields)
    forms = partial(_forms, two_slices, lowered, call, params)
    return replace(found, calls=(new,), window_rows=spans, forms=forms)


def _work(lowered: Lowered, params: Mapping[str, Any]) -> tuple[int, int]:
    """Codes under a filter, and multiply-accumulates of a pixel."""
    used = params["rows"]["kernel"] * params["cols"]["kernel"] * params["in_channels"]
    return used, used * params["out_channels"]


def conv2d(
    lowered: Lowered, call: Call, params: Mapping[str, Any], small: bool = False, paired: bool = False
) -> Lowered | None:
    """The layer with filters two by two, over gathered columns; None where accumulators are too large to double.

    The `small` form is the same for all layers of a kind: every channel has its shift, though one might do for all,
    filters are never short, and whole tensors have no loop for a pixel alone. Pixels that are `paired` have a partner
    in another row.
    """
    arrays = {array.name: array.values for array in lowered.arrays}
    channels, outputs = params["in_channels"], params["out_channels"]
    filters = arrays["weights"].reshape(outputs, -1).astype(np.int64)
    bias = arrays["channels"][:, 0]
    if largest_sums(filters, bias).max() >= ACCUMULATOR_LIMIT:
        return None
    rows, cols = params["rows"], params["cols"]
    pool = params.get("pool", {"axis": "", "taps": rows["kernel"], "tap_distance": 1})
    by_rows = call.function.endswith("_row")
    conv_cols, out_cols = cols["out"], cols["out"]
    if pool["axis"] == "cols":
        out_cols = pool["out"]
        conv_cols = min(conv_cols, 2 * out_cols)
    one_row = by_rows or rows["out"] == 1
    used = filters.shape[1]
    short = used <= _LONGEST_SHORT and not small
    alone = pool["axis"] == "" and one_row and conv_cols % 2 == 1 and conv_cols < _MANY_PIXELS
    lone = alone and not short and not paired and (by_rows or not small)
    depth, unroll = (used + used % 2, 1) if short else _inner_loop(used, lone)
    shared = not short and shares_lanes(filters, bias, pooled=pool["axis"] != "")
    if short:
        rounding, factors = choose_scaled_rounding(lowered.multipliers, bias, filters, params["output"])
        ordered = widened_order(filters) if channels % 4 == 0 else filters
        records = short_records(ordered * factors[:, None], bias * factors, rounding, depth)
    else:
        rounding = choose_rounding(lowered.multipliers, params["output"])
        packed = packed_rounding(lowered.multipliers, bias, params["output"])
        if packed is None and small:
            return None
        # Of one pixel alone, constants are as much as weights.
        if packed is not None and (small or (rounding.shifts is not None and _is_one_pixel(call, params))):
            rounding = packed
        records = channel_records(filters, bias, rounding, depth, shared)
    padding = border(rows, cols["in"] * channels, params["in_zero_point"])
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
        "is_short": int(short),
        "lone": int(lone),
        "unroll": unroll,
        "bytes": int(not shared),
        "in_zero_point": params["in_zero_point"],
        "rounding": rounding.fields,
        "records": "{records}",
        "border": "{border}" if padding else "NULL",
    }
    found = inlined(
        lowered,
        call,
        "tn_conv2d_s8_dsp",
        fields,
        (Array("records", "uint32_t", records), *padding),
        ("{rows}", "{y}") if by_rows else ("{rows}", "{in0}"),
        (Scratch("uint32_t", "columns", depth), Scratch("int8_t", "codes", 1 if short or channels % 4 == 0 else depth)),
    )
    return replace(found, border="border" if padding else "", forms=partial(_forms, conv2d, lowered, call, params))


def _forms(
    rule: Callable[..., Lowered | None], lowered: Lowered, call: Call, params: Mapping[str, Any]
) -> Iterator[tuple[str, Lowered]]:
    """What the layer may be where others like it are rounded in another way."""
    found = rule(lowered, call, params, small=True)
    if found is not None:
        yield SMALL, found


def _is_one_pixel(call: Call, params: Mapping[str, Any]) -> bool:
    return not call.function.endswith("_row") and bool(params["rows"]["out"] == 1 and params["cols"]["out"] == 1)


def _inner_loop(used: int, lone: bool) -> tuple[int, int]:
    """Lanes under a filter of `used` codes, and how many steps of four the inner loop takes at once.

    A few lanes of padding are worth it where they make the steps divisible. Pixels alone take two steps at a time.
    """
    steps = -(-used // 4)
    if lone:
        steps += steps % 2
    allowed = [n for n in range(1, _MOST_UNROLLED + 1) if not lone or n % 2 == 0]
    # Twelve instructions a step, two and a half for the loop.
    choices = [(total * 12 + total / n * 2.5, total, n) for total in (steps, steps + 1 + lone) for n in allowed]
    _, total, unroll = min(choice for choice in choices if choice[1] % choice[2] == 0)
    return 4 * total, unroll
