"""ADD and SUB of tensors of one shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...ops.base import Call, Init, Lowered
from ..dsp.one_line_add import find_constants
from ..inline import inlined


def add(lowered: Lowered, call: Call, params: Mapping[str, Any]) -> Lowered | None:
    """The layer in one line of arithmetic; None where shapes broadcast or no constants are exact."""
    shape = params["shape"]
    straight = all(shape[name][3] == 1 for name in ("stride1", "stride2")) and max(shape["size"][:3]) == 1
    constants = find_constants(params, -1 if "sub" in call.function else 1, (0,)) if straight else None
    if constants is None:
        return None
    line = {name: constants[name] for name in ("factor1", "factor2", "offset", "shift")}
    fields: dict[str, Init] = {"count": shape["size"][3], **line, "output": params["output"]}
    return inlined(lowered, call, "tn_add_s8_mve", fields, (), ("{in0}", "{in1}"), ())
