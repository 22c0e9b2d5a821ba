"""ADD and SUB of int8 codes in one line of 32-bit arithmetic, exact for all 65,536 pairs of codes.

TFLite rounds three times: each input to a common scale, then the sum to the output's. Over two codes the result is
also ``(offset + factor1 * a + factor2 * b) >> shift`` for constants found here: every pair bounds the offset from both
sides, and factors are good when the bounds leave room.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from ...quantized_math import multiply_by_quantized_multiplier, requantize

_CODES = np.arange(-128, 128, dtype=np.int64)
_NEIGHBOURS = (0, 1, -1, 2, -2, 3, -3)
_SHIFTS = range(26, 13, -1)

_Ints = npt.NDArray[np.int64]


def find_constants(params: Mapping[str, Any], sign: int) -> dict[str, int] | None:
    """Fields `factor1`, `factor2`, `offset`, `shift` of a `tn_add_s8_dsp`; None where no choice is exact.

    `params` are those of a `tn_add_s8`; `sign` is -1 for a difference.
    """
    output = params["output"]
    operands = tuple((i["multiplier"], i["shift"], i["zero_point"]) for i in (params["in1"], params["in2"]))
    result = (params["multiplier"], params["shift"], output["zero_point"], output["min"], output["max"])
    found = _search(operands, params["headroom"], result, sign)
    return None if found is None else dict(zip(("factor1", "factor2", "offset", "shift"), found, strict=True))


@lru_cache(maxsize=64)
def _search(
    operands: tuple[tuple[int, int, int], ...],
    headroom: int,
    result: tuple[int, int, int, int, int],
    sign: int,
) -> tuple[int, int, int, int] | None:
    terms = [
        multiply_by_quantized_multiplier((_CODES - zero) << headroom, multiplier, shift)
        for multiplier, shift, zero in operands
    ]
    multiplier, shift, zero_point, low, high = result
    exact = requantize(terms[0][:, None] + sign * terms[1], multiplier, shift, zero_point, low, high).astype(np.int64)
    to_output = multiplier * 2.0 ** (shift - 31 + headroom)
    ratios = [m * 2.0 ** (s - 31) * to_output for m, s, _ in operands]
    ratios[1] *= sign
    for bits in _SHIFTS:
        nearest = [round(ratio * 2.0**bits) for ratio in ratios]
        if sum(abs(factor) + 3 for factor in nearest) * 128 >= 2**30:
            continue
        for step1, step2 in product(_NEIGHBOURS, repeat=2):
            offset = _offset(exact, nearest[0] + step1, nearest[1] + step2, bits, low, high)
            if offset is not None:
                return nearest[0] + step1, nearest[1] + step2, offset, bits
    return None


def _offset(exact: _Ints, factor1: int, factor2: int, bits: int, low: int, high: int) -> int | None:
    """Offset with which the line gives `exact`, an array by both codes, clamped from `low` to `high`."""
    value = factor1 * _CODES[:, None] + factor2 * _CODES
    lower = ((exact << bits) - value)[exact > low]
    upper = (((exact + 1) << bits) - 1 - value)[exact < high]
    if not lower.size or not upper.size:
        return None
    bottom, top = int(lower.max()), int(upper.min())
    if bottom > top:
        return None
    offset = (bottom + top) // 2
    reach = max(abs(int(value.min())), abs(int(value.max()))) + abs(offset)
    return offset if reach < 2**31 else None
