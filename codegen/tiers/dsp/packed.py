"""Constants in two words a channel: multiplier, and bias with the shift in its low byte; `tn_dsp_round_packed`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...quantized_math import Multiplier
from .forms import Form
from .rounding import BESIDE, TWICE, Ints, Rounding, choose_rounding

#: Kind of a form.
PACKED = "TN_DSP_PACKED"
#: Of a bias that shares its word with a shift.
_LIMIT = 1 << 23


def packed_rounding(multipliers: Sequence[Multiplier], bias: Ints, output: Mapping[str, Any]) -> Rounding | None:
    """Rounding of records that hold a channel's shift beside its bias; None where shifts or biases are too large."""
    rounding = choose_rounding(multipliers, output)
    if rounding.fields["shift"] == TWICE or np.abs(bias).max() >= _LIMIT:
        return None
    right = -np.array([m.shift for m in multipliers], np.int64)
    return Rounding({**rounding.fields, "shift": BESIDE}, rounding.constants[:, :1], right)


def packed_form(multipliers: Sequence[Multiplier], bias: Ints, output: Mapping[str, Any]) -> Form | None:
    """The form with the least constants; None where shifts or biases (channels,) are too large for it."""
    rounding = packed_rounding(multipliers, 2 * bias, output)
    if rounding is None or rounding.shifts is None:
        return None
    words = np.stack([packed_words(2 * bias, rounding.shifts), rounding.constants[:, 0]], axis=1)
    return Form({"kind": PACKED, "shift": 0, "output": output}, np.full(len(bias), 2), words)


def packed_words(bias: Ints, right: Ints) -> Ints:
    """Biases of 24 bits and shifts to the right, as `tn_dsp_round_packed` takes them."""
    words: Ints = (bias << 8) + right - 1
    return words
