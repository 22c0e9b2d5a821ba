"""ADD and SUB of int8 codes in one line of 32-bit arithmetic, exact for all 65,536 pairs of codes.

TFLite rounds three times: each input to a common scale, then the sum to the output's. Over two codes the result is
also ``(offset + factor1 * a + factor2 * b) >> shift`` for constants found here: every pair bounds the offset from both
sides, and factors are good when the bounds leave room. Where factors of 32 bits with products divided by 2^8 do, they
are taken: the kernel then needs no code by itself, only as half of a word.
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
_WIDE_BITS = 8

_Ints = npt.NDArray[np.int64]


def find_constants(params: Mapping[str, Any], sign: int) -> dict[str, int] | None:
    """Fields of a `tn_add_s8_dsp` that say what it computes; None where no choice is exact.

    `params` are those of a `tn_add_s8`; `sign` is -1 for a difference.
    """
    output = params["output"]
    operands = tuple((i["multiplier"], i["shift"], i["zero_point"]) for i in (params["in1"], params["in2"]))
    result = (params["multiplier"], params["shift"], output["zero_point"], output["min"], output["max"])
    found = _search(operands, params["headroom"], result, sign)
    return None if found is None else dict(zip(("factor1", "factor2", "offset", "shift", "wide"), found, strict=True))


@lru_cache(maxsize=64)
def _search(
    operands: tuple[tuple[int, int, int], ...],
    headroom: int,
    result: tuple[int, int, int, int, int],
    sign: int,
) -> tuple[int, int, int, int, int] | None:
    terms = [
        multiply_by_quantized_multiplier((_CODES - zero) << headroom, multiplier, shift)
        for multiplier, shift, zero in operands
    ]
    multiplier, shift, zero_point, low, high = result
    exact = requantize(terms[0][:, None] + sign * terms[1], multiplier, shift, zero_point, low, high).astype(np.int64)
    to_output = multiplier * 2.0 ** (shift - 31 + headroom)
    ratios = [m * 2.0 ** (s - 31) * to_output for m, s, _ in operands]
    ratios[1] *= sign
    for wide, bits in product((1, 0), _SHIFTS):
        divided = _WIDE_BITS * wide
        nearest = [round(ratio * 2.0 ** (bits + divided)) for ratio in ratios]
        largest = max(abs(factor) for factor in nearest) + 3
        if largest >= 2**31 or 2 * largest * 128 >> divided >= 2**31:
            continue
        for step1, step2 in product(_NEIGHBOURS, repeat=2):
            factors = (nearest[0] + step1, nearest[1] + step2)
            first, second = (factor * _CODES >> divided for factor in factors)
            offset = _offset(exact, first, second, bits, (low, high))
            if offset is not None:
                return *factors, offset, bits, wide
    return None


def _offset(exact: _Ints, first: _Ints, second: _Ints, bits: int, limits: tuple[int, int]) -> int | None:
    """Offset with which the line gives `exact`, an array by both codes, out of the products by code."""
    value = first[:, None] + second
    lower = ((exact << bits) - value)[exact > limits[0]]
    upper = (((exact + 1) << bits) - 1 - value)[exact < limits[1]]
    if not lower.size or not upper.size:
        return None
    bottom, top = int(lower.max()), int(upper.min())
    if bottom > top:
        return None
    offset = (bottom + top) // 2
    reach = int(np.abs(first).max()) + int(np.abs(second).max()) + abs(offset)
    return offset if reach < 2**31 else None
