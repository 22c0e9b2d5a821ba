"""How accumulators of 16-bit weights become codes: the forms of tn_dsp_four.h, their constants and their proof.

TFLite rounds `acc * m / 2^31` half up and then shifts by `n`, half away from zero. With `n` fractional bits in one
unit, the code is the whole part of

    acc * m / 2^(31 + n) + 1/2 + 2^-(n + 1) + zero point    for acc > 0
    acc * m / 2^(31 + n) + 1/2 - 2^-(n + 1) + zero point    otherwise

so that one linear function with one step at zero is exact. Weights as 16-bit lanes have bits to spare: scaled by a
power of two per channel, every channel has the same shift and keeps all bits of `m`. Only channels whose scale is
more than that many times smaller than the largest lose bits; every form is checked at all steps of all channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...ops.base import Init
from ...quantized_math import Multiplier
from ...requantize import thresholds_of

_Ints = npt.NDArray[np.int64]
_WORD = 32
_SPARE_BITS = 7  # of a lane beside a weight, its sign and a negation
#: Shift of layers that can choose: those that are equal otherwise then share a copy of their kernel.
_USUAL_SHIFT = 10
#: Others, for layers that shall agree on one, by how often they are possible.
SHIFTS = tuple(sorted(range(4, 25), key=lambda shift: (abs(shift - _USUAL_SHIFT), -shift)))


@dataclass(frozen=True)
class Form:
    """Constants of a layer.

    Attributes
    ----------
    fields : mapping
        Of a `tn_dsp_form`.
    factors : ndarray of int64, (channels,)
        What weights and biases are multiplied with.
    words : ndarray of int64, (channels, words)
        Constants of each channel behind its weights.
    """

    fields: Mapping[str, Init]
    factors: _Ints
    words: _Ints


def choose_form(multipliers: Sequence[Multiplier], low: _Ints, high: _Ints, output: Mapping[str, Any]) -> Form:
    """The cheapest form that is exact for accumulators from `low` to `high`, both (channels,)."""
    for scales in _scales(multipliers, int(_rises(output))):
        form = _form(scales, multipliers, low, high, output)
        if form is not None:
            return form
    plain = np.array(multipliers, np.int64).reshape(-1, 2)
    fields: dict[str, Init] = {"kind": "TN_DSP_PLAINLY", "shift": 0, "output": output}
    return Form(fields, np.ones(len(multipliers), np.int64), plain)


def form_with_shift(
    shift: int, multipliers: Sequence[Multiplier], low: _Ints, high: _Ints, output: Mapping[str, Any]
) -> Form | None:
    """The form with this shift, so that layers alike have one; None where it is not exact. As :func:`choose_form`."""
    found = _scales(multipliers, int(_rises(output)), (shift,))
    return _form(found[0], multipliers, low, high, output) if found else None


def _rises(output: Mapping[str, Any]) -> bool:
    """Whether no code comes from a negative accumulator."""
    return bool(output["min"] >= output["zero_point"])


@dataclass(frozen=True)
class _Choice:
    kind: str
    shift: int
    factors: _Ints
    words: _Ints


@dataclass(frozen=True)
class _Scales:
    """TFLite's multipliers and shifts to the right, both (channels,), and the one shift of the layer."""

    factor: _Ints
    right: _Ints
    shift: int


def _scales(multipliers: Sequence[Multiplier], more: int, shifts: Sequence[int] = ()) -> list[_Scales]:
    """What to try: `shifts`, or the usual one and the smallest with all bits; none that lanes are too small for.

    `more` bits stand behind the code's beyond those of the channel with the largest shift.
    """
    factor = np.array([m.multiplier for m in multipliers], np.int64)
    right = -np.array([m.shift for m in multipliers], np.int64)
    live = right[factor > 0]
    if not live.size or live.min() < 1:
        return []
    most = int(live.min()) + _SPARE_BITS - 1 + more
    least = min(int(live.max()) + more, most)
    if shifts:
        return [_Scales(factor, right, shift) for shift in shifts if shift <= most]
    return [_Scales(factor, right, shift) for shift in dict.fromkeys((max(least, min(_USUAL_SHIFT, most)), least))]


def _form(
    scales: _Scales, multipliers: Sequence[Multiplier], low: _Ints, high: _Ints, output: Mapping[str, Any]
) -> Form | None:
    limits = (output["zero_point"], output["min"], output["max"])
    found = (_rising if _rises(output) else _signed)(scales, multipliers, low, high, limits)
    if found is None:
        return None
    return Form({"kind": found.kind, "shift": found.shift, "output": output}, found.factors, found.words)


def _rising(
    scales: _Scales, multipliers: Sequence[Multiplier], low: _Ints, high: _Ints, limits: tuple[int, int, int]
) -> _Choice | None:
    factor, right, shift = scales.factor, scales.right, scales.shift
    bits = np.maximum(shift - right + 1, 1)
    slope = _shifted(factor, shift - right + 1 - bits)
    offset = (limits[0] << shift) + (1 << shift - 1) + _shifted(np.ones_like(right), shift - right - 1)

    def codes(acc: _Ints) -> _Ints:
        sums: _Ints = ((acc << bits[:, None]) * slope[:, None] >> _WORD) + offset[:, None]
        return sums

    choice = _Choice("TN_DSP_RISING", shift, 1 << bits, np.stack([slope, offset], axis=1))
    return choice if _exact(codes, choice, multipliers, low, high, limits) else None


def _signed(
    scales: _Scales, multipliers: Sequence[Multiplier], low: _Ints, high: _Ints, limits: tuple[int, int, int]
) -> _Choice | None:
    factor, right, shift = scales.factor, scales.right, scales.shift
    bits = np.maximum(shift - right + 1, 1)
    step = _shifted(np.ones_like(right), shift - right)
    slope = -_shifted(factor, shift - right + 1 - bits) - step
    middle = (limits[0] << shift) + (1 << shift - 1)
    # Below zero; the step lifts what is above. A channel without a step has both halves of it in the middle.
    offset = (middle << _WORD) - np.where(step > 0, step << _WORD - 1, 0)
    if slope.min() < -(2**31):
        return None

    def codes(acc: _Ints) -> _Ints:
        scaled = -(acc << bits[:, None])
        lifted: _Ints = offset[:, None] + scaled * slope[:, None] + (scaled & 0xFFFFFFFF) * step[:, None]
        return lifted >> _WORD

    words = np.stack([offset & 0xFFFFFFFF, offset >> _WORD, slope, step], axis=1)
    choice = _Choice("TN_DSP_SIGNED", shift, -(1 << bits), words)
    return choice if _exact(codes, choice, multipliers, low, high, limits) else None


def _shifted(values: _Ints, bits: _Ints) -> _Ints:
    """Values times a power of two, rounded down."""
    result: _Ints = np.where(bits >= 0, values << np.maximum(bits, 0), values >> np.minimum(np.maximum(-bits, 0), 62))
    return result


def _exact(
    sums: Any, choice: _Choice, multipliers: Sequence[Multiplier], low: _Ints, high: _Ints, limits: tuple[int, int, int]
) -> bool:
    """Whether codes are TFLite's for every accumulator: they rise, and take every step where TFLite takes it."""
    if not 1 <= choice.shift <= 31:
        return False
    zero_point, smallest, largest = limits
    reach = np.maximum(np.abs(low), np.abs(high)) * np.abs(choice.factors)
    if reach.max() >= 2**31 - 1:
        return False
    ends = sums(np.stack([low, high], axis=1))
    if np.abs(ends).max() >= 2**31:
        return False
    steps = np.arange(smallest + 1, largest + 1)
    first = thresholds_of(multipliers, steps, low, high, zero_point)
    reached, missed = np.minimum(first, high[:, None]), np.maximum(first - 1, low[:, None])
    rises = ((sums(reached) >> choice.shift) >= steps) | (first > high[:, None])
    waits = ((sums(missed) >> choice.shift) < steps) | (first - 1 < low[:, None])
    return bool(rises.all() and waits.all())
