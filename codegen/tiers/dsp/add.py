"""ADD and SUB of tensors of one shape, or where one repeats rows of the other's length."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...ops.base import Call, Init, Lowered
from ..inline import inlined
from .one_line_add import find_constants


def add(lowered: Lowered, call: Call, params: Mapping[str, Any]) -> Lowered | None:
    """The layer in one line of arithmetic; None where single codes repeat or no constants are exact."""
    shape = params["shape"]
    straight = all(shape[name][3] == 1 for name in ("stride1", "stride2")) and max(shape["size"][:2]) == 1
    constants = find_constants(params, -1 if "sub" in call.function else 1) if straight else None
    if constants is None:
        return None
    rows = {"rows": shape["size"][2], "step1": shape["stride1"][2], "step2": shape["stride2"][2]}
    fields: dict[str, Init] = {"count": shape["size"][3], **rows, **constants, "output": params["output"]}
    return inlined(lowered, call, "tn_add_s8_dsp", fields, (), ("{in0}", "{in1}"), ())
