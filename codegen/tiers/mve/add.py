"""ADD and SUB of tensors of one shape, in one line of 32-bit arithmetic that is exact for all 65,536 pairs of codes.

As :mod:`thumbnet.codegen.tiers.dsp.one_line_add`, but with products of 32 bits only: those are the ones of a vector.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from ...ops.base import Call, Init, Lowered
from ...quantized_math import multiply_by_quantized_multiplier, requantize
from ..inline import inlined

_CODES = np.arange(-128, 128, dtype=np.int64)
_NEIGHBOURS = (0, 1, -1, 2, -2, 3, -3)
_SHIFTS = range(26, 13, -1)

_Operand = tuple[int, int, int]
_Ints = npt.NDArray[np.int64]


def add(lowered: Lowered, call: Call, params: Mapping[str, Any]) -> Lowered | None:
    """The layer in one line of arithmetic; None where shapes broadcast or no constants are exact."""
    shape, output = params["shape"], params["output"]
    straight = all(shape[name][3] == 1 for name in ("stride1", "stride2")) and max(shape["size"][:3]) == 1
    if not straight:
        return None
    first, second = ((i["multiplier"], i["shift"], i["zero_point"]) for i in (params["in1"], params["in2"]))
    result = (params["multiplier"], params["shift"], output["zero_point"])
    sign = -1 if "sub" in call.function else 1
    line = find_line(first, second, sign, params["headroom"], result, (output["min"], output["max"]))
    if line is None:
        return None
    constants = dict(zip(("factor1", "factor2", "offset", "shift"), line, strict=True))
    fields: dict[str, Init] = {"count": shape["size"][3], **constants, "output": output}
    return inlined(lowered, call, "tn_add_s8_mve", fields, (), ("{in0}", "{in1}"), ())


@lru_cache(maxsize=64)
def find_line(
    first: _Operand, second: _Operand, sign: int, headroom: int, result: _Operand, limits: tuple[int, int]
) -> tuple[int, int, int, int] | None:
    """`factor1`, `factor2`, `offset`, `shift` with ``(offset + factor1 * a + factor2 * b) >> shift``, clamped, exact.

    Operands and result are (multiplier, shift, zero point) of TFLite; `sign` is -1 for a difference. None where no
    choice is exact.
    """
    left, right = (
        multiply_by_quantized_multiplier((_CODES - zero) << headroom, multiplier, shift)
        for multiplier, shift, zero in (first, second)
    )
    exact = requantize(left[:, None] + sign * right, *result, *limits).astype(np.int64)
    ratios = [m * result[0] * 2.0 ** (s + result[1] - 62 + headroom) for m, s, _ in (first, second)]
    ratios[1] *= sign
    for bits in _SHIFTS:
        nearest = [round(ratio * 2.0**bits) for ratio in ratios]
        if sum(abs(factor) + 3 for factor in nearest) * 128 >= 2**30:
            continue
        for step1, step2 in product(_NEIGHBOURS, repeat=2):
            factor1, factor2 = nearest[0] + step1, nearest[1] + step2
            offset = _offset(exact, factor1 * _CODES[:, None] + factor2 * _CODES, bits, limits)
            if offset is not None:
                return factor1, factor2, offset, bits
    return None


def _offset(exact: _Ints, value: _Ints, bits: int, limits: tuple[int, int]) -> int | None:
    """Offset with which ``value >> bits`` gives `exact`, arrays by both codes."""
    lower = ((exact << bits) - value)[exact > limits[0]]
    upper = (((exact + 1) << bits) - 1 - value)[exact < limits[1]]
    if not lower.size or not upper.size or lower.max() > upper.min():
        return None
    offset = (int(lower.max()) + int(upper.min())) // 2
    return offset if int(np.abs(value).max()) + abs(offset) < 2**31 else None
