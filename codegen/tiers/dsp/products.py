"""MUL and SQUARED_DIFFERENCE, broadcast: the rounding of convolutions, with one accumulator per code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ...ops.base import Call, Init, Lowered, Scratch
from ...quantized_math import Multiplier, multiply_by_quantized_multiplier
from ..inline import inlined
from .rounding import TWICE, Rounding, choose_rounding

_CODES = np.arange(-128, 128, dtype=np.int64)
#: What an accumulator may reach so that twice of it fits 32 bits.
_LIMIT = 1 << 30
#: Codes of a repeated row that are scaled beforehand.
_MOST_SCALED = 64


def mul(lowered: Lowered, call: Call, params: Mapping[str, Any]) -> Lowered | None:
    """The layer with one high multiply a code; None where the product is not scaled down."""
    rounding = _rounding(params, params["output"])
    if rounding is None:
        return None
    fields: dict[str, Init] = {
        "shape": params["shape"],
        **_constants(rounding),
        "zero_point1": params["zero_point1"],
        "zero_point2": params["zero_point2"],
        "rounding": rounding.fields,
    }
    return inlined(lowered, call, "tn_mul_s8_dsp", fields, (), ("{in0}", "{in1}"), ())


def squared_difference(lowered: Lowered, call: Call, params: Mapping[str, Any]) -> Lowered | None:
    """The same for a difference squared; None where twice the square does not fit 32 bits."""
    if call.function != "tn_squared_difference_s8_run":
        return None
    terms = [_scaled(params[name], params["headroom"]) for name in ("in1", "in2")]
    largest = max(terms[0].max() - terms[1].min(), terms[1].max() - terms[0].min())
    rounding = _rounding(params, params["output"])
    if rounding is None or int(largest) ** 2 >= _LIMIT:
        return None
    rounding.fields["signs"] = 0  # squares are never negative
    repeats = _repeats(params["shape"])
    fields: dict[str, Init] = {
        "shape": params["shape"],
        "in1": _term(params["in1"], terms[0], params["headroom"]),
        "in2": _term(params["in2"], terms[1], params["headroom"]),
        **_constants(rounding),
        "headroom": params["headroom"],
        "repeats": int(repeats),
        "rounding": rounding.fields,
    }
    scaled = Scratch("int32_t", "scaled", params["shape"]["size"][3] if repeats else 1)
    return inlined(lowered, call, "tn_squared_difference_s8_dsp", fields, (), ("{in0}", "{in1}"), (scaled,))


def _repeats(shape: Mapping[str, Any]) -> bool:
    """Whether rows that lie one behind the other in input 1 share a row of input 2 that the stack has room for."""
    rows, count = shape["size"][2:]
    straight = shape["stride1"][2:] == (count, 1) and shape["stride2"][2:] == (0, 1)
    return bool(straight and rows > 1 and count <= _MOST_SCALED)


def _scaled(operand: Mapping[str, int], headroom: int) -> npt.NDArray[np.int64]:
    """Every code in the common scale."""
    centred = (_CODES - operand["zero_point"]) << headroom
    return multiply_by_quantized_multiplier(centred, operand["multiplier"], operand["shift"])


def _rounding(params: Mapping[str, Any], output: Mapping[str, Any]) -> Rounding | None:
    found = choose_rounding([Multiplier(params["multiplier"], params["shift"])], output)
    return None if found.fields["shift"] == TWICE else found


def _constants(rounding: Rounding) -> dict[str, Init]:
    multiplier, addend = rounding.constants[0].tolist()
    return {"multiplier": multiplier, "addend": addend}


def _term(operand: Mapping[str, int], scaled: npt.NDArray[np.int64], headroom: int) -> dict[str, Init]:
    exact = headroom > 0 and bool((scaled == (_CODES - operand["zero_point"]) << (headroom - 1)).all())
    return {
        "multiplier": operand["multiplier"],
        "zero_point": operand["zero_point"],
        "right": -operand["shift"],
        "exact": int(exact),
    }
