"""Pick and prove the cheapest exact requantization of an accumulator.

TFLite rounds twice: once in the high multiply, once in the shift. Over all accumulators the result, clamped to the
fused activation, is a monotone staircase with at most 255 steps. One 64-bit multiply-add reproduces a staircase

    out = (acc * M + B) >> 32

when every step k falls at the same accumulator T[k], the smallest whose result reaches k:

    T[k] * M + B >= k * 2^32   and   (T[k] - 1) * M + B < k * 2^32

so B must lie in an interval per step, and the proof is that the intervals intersect. Rounding half away from zero
moves the steps of negative accumulators by one unit of the first rounding, hence two offsets, chosen by the sign of
the accumulator. Channels without a proof keep the plain sequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from .quantized_math import Multiplier, requantize

#: Offsets are stored divided by this, so that they fit 32 bits (see ``tn_channel`` in tn_common.h).
OFFSET_UNIT = 512
#: Stored in place of an offset where a channel has no proof.
PLAIN = -(2**31)

_Int = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Scaling:
    """Constants of one channel: `multiplier` and the offsets of accumulators from zero up and below zero.

    Without a proof `offset` is :data:`PLAIN`, `multiplier` is TFLite's and `offset_negative` holds its shift.
    """

    multiplier: int
    offset: int
    offset_negative: int

    @property
    def proven(self) -> bool:
        """Whether one multiply-add is exact."""
        return self.offset != PLAIN


def choose_scaling(
    multipliers: Sequence[Multiplier],
    low: _Int,
    high: _Int,
    zero_point: int,
    limits: tuple[int, int],
    *,
    prove: bool = True,
) -> list[Scaling]:
    """Constants of every channel.

    Parameters
    ----------
    multipliers : sequence of Multiplier
        TFLite's scaling per channel.
    low, high : ndarray of int64, (channels,)
        Smallest and largest accumulator that any input can give, bias included.
    zero_point : int
        Of the output.
    limits : (int, int)
        Smallest and largest output code, from the fused activation.
    prove : bool
        False keeps the plain sequence for every channel.
    """
    if not prove:
        return [Scaling(multiplier.multiplier, PLAIN, multiplier.shift) for multiplier in multipliers]
    return list(_proven(tuple(multipliers), tuple(low.tolist()), tuple(high.tolist()), zero_point, limits))


@lru_cache(maxsize=1024)
def _proven(
    multipliers: tuple[Multiplier, ...],
    low: tuple[int, ...],
    high: tuple[int, ...],
    zero_point: int,
    limits: tuple[int, int],
) -> tuple[Scaling, ...]:
    """Constants with their proofs; kept, since the search for a schedule asks for the same layers many times."""
    steps = np.arange(limits[0] + 1, limits[1] + 1)
    thresholds = thresholds_of(multipliers, steps, np.array(low, np.int64), np.array(high, np.int64), zero_point)
    return tuple(
        _prove(multiplier, steps, row, lo, hi) or Scaling(multiplier.multiplier, PLAIN, multiplier.shift)
        for multiplier, row, lo, hi in zip(multipliers, thresholds, low, high, strict=True)
    )


def thresholds_of(multipliers: Sequence[Multiplier], steps: _Int, low: _Int, high: _Int, zero_point: int) -> _Int:
    """Smallest accumulator in [low, high + 1] whose result reaches each step, by bisection; (channels, steps)."""
    factor = np.array([m.multiplier for m in multipliers], np.int64)[:, None]
    shift = np.array([m.shift for m in multipliers], np.int64)[:, None]
    shape = (len(multipliers), len(steps))
    below = np.broadcast_to(low[:, None] - 1, shape)
    reaches = np.broadcast_to(high[:, None] + 1, shape)
    while np.any(reaches - below > 1):
        middle = (below + reaches) // 2
        hit = requantize(middle, factor, shift, zero_point) >= steps
        reaches = np.where(hit, middle, reaches)
        below = np.where(hit, below, middle)
    return reaches


def _prove(multiplier: Multiplier, steps: _Int, thresholds: _Int, low: int, high: int) -> Scaling | None:
    # real * 2^32 = multiplier * 2^(shift + 1) must fit a positive int32.
    exponent = multiplier.shift + 1
    nearest = multiplier.multiplier * 2.0**exponent
    if not 1 <= nearest < 2**31 - 2:
        return None
    for factor in sorted({int(nearest), int(nearest) + 1, max(int(nearest) - 1, 1)}, key=lambda f: abs(f - nearest)):
        offset = _offset(factor, steps, thresholds, 0, high)
        negative = _offset(factor, steps, thresholds, low, -1)
        if offset is not None and negative is not None:
            return Scaling(factor, offset, negative)
    return None


def _offset(factor: int, steps: _Int, thresholds: _Int, first: int, last: int) -> int | None:
    """Offset, in units, that is exact for all accumulators from `first` to `last`."""
    # A step bounds B from below if some accumulator here reaches it, from above if some accumulator does not.
    reached = np.maximum(thresholds, first)
    missed = np.minimum(thresholds - 1, last)
    lower = ((steps << 32) - reached * factor)[reached <= last]
    upper = ((steps << 32) - missed * factor - 1)[missed >= first]
    if not lower.size and not upper.size:
        return 0
    bottom = int(lower.max()) if lower.size else int(upper.min()) - OFFSET_UNIT
    top = int(upper.min()) if upper.size else bottom + OFFSET_UNIT
    unit = -(-bottom // OFFSET_UNIT)
    return unit if unit * OFFSET_UNIT <= top and abs(unit) < 2**31 else None
