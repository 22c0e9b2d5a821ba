"""Requantization by one high multiply that rounds, one addend and one shift: `tn_dsp_rounding` of tn_dsp.h.

TFLite's first rounding, ``round(acc * m / 2^31)`` half up, is what SMMLAR computes from twice the accumulator. Its
second, a division by ``2^n`` half away from zero, is ``(v + 2^(n-1) - (v < 0)) >> n``; zero point and half go into the
addend of the multiply. Both are exact for every accumulator below 2^30, so that nothing has to be proven.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...ops.base import Init
from ...quantized_math import INT8_MAX, INT8_MIN, Multiplier
from .forms import choose_form

Ints = npt.NDArray[np.int64]

#: TN_DSPEACH, TN_DSP_BESIDE and TN_DSP_TWICE of tn_dsp.h.
EACH, BESIDE, TWICE = 0, 254, 255
#: Beyond, the addend does not fit beside the product: 128 * 2^22 + 2^30 < 2^31.
_LARGEST_SHIFT = 22
#: Accumulators are doubled, and so are differences of two.
ACCUMULATOR_LIMIT = 1 << 29


@dataclass(frozen=True)
class Rounding:
    """How a layer's accumulators become codes.

    Attributes
    ----------
    fields : dict
        Initializer of a `tn_dsp_rounding`.
    constants : ndarray of int64, (channels, 2) or (channels, 1)
        Multiplier of every channel, and its addend unless that follows from the shift beside its bias.
    shifts : ndarray of int64, (channels,) or None
        Shift of every channel; None where the layer has one for all, or takes the plain sequence.
    """

    fields: dict[str, Init]
    constants: Ints
    shifts: Ints | None


def choose_rounding(multipliers: Sequence[Multiplier], output: Mapping[str, Any]) -> Rounding:
    """The cheapest form that is exact; `output` is the initializer of a `tn_output_s8`."""
    factor = np.array([m.multiplier for m in multipliers], np.int64)
    right = -np.array([m.shift for m in multipliers], np.int64)
    if right.min() < 1 or right.max() > _LARGEST_SHIFT:
        fields: dict[str, Init] = {"shift": TWICE, "signs": 1, "whole": 0, "output": output}
        return Rounding(fields, np.stack([factor, -right], axis=1), None)
    uniform = bool((right == right[0]).all())
    # What is negative before the zero point is added becomes the smallest code of a fused ReLU, however it is rounded.
    signs = int(output["min"] < output["zero_point"])
    addend = (output["zero_point"] << right) + (1 << (right - 1))
    fields = {"shift": int(right[0]) if uniform else EACH, "signs": signs, "whole": 0, "output": output}
    return Rounding(fields, np.stack([factor, addend], axis=1), None if uniform else right)


def choose_scaled_rounding(
    multipliers: Sequence[Multiplier], bias: Ints, filters: Ints, output: Mapping[str, Any]
) -> tuple[Rounding, Ints]:
    """Rounding for filters (channels, codes) that are lanes of their own, and the factor of each channel's weights.

    Lanes have bits to spare: scaled channel by channel, all take one shift, where that is proven.
    """
    rounding = choose_rounding(multipliers, output)
    if rounding.shifts is not None and not rounding.fields["signs"]:
        extremes = np.stack([filters * code for code in (INT8_MIN, INT8_MAX)])
        low, high = bias + extremes.min(axis=0).sum(axis=1), bias + extremes.max(axis=0).sum(axis=1)
        form = choose_form(multipliers, low, high, output)
        if form.fields["kind"] == "TN_DSP_RISING":
            fields: dict[str, Init] = {"shift": form.fields["shift"], "signs": 0, "whole": 1, "output": output}
            return Rounding(fields, form.words, None), form.factors
    return rounding, np.full(len(bias), 2)
