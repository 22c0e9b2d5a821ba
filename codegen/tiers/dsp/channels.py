"""Requantization constants per output channel, in the forms that the kernels of this tier take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ...ops.base import Array, Init, Lowered
from ...requantize import OFFSET_UNIT, PLAIN

_Ints = npt.NDArray[np.int64]
#: TN_DSP_PLAIN of tn_dsp.h.
_NO_PROOF = -(2**62)


def channel_constants(lowered: Lowered, output: Mapping[str, Any], name: str) -> tuple[Array, dict[str, Init]]:
    """Requantization constants in 64 bits, and the fields that say which form they have.

    Where no code below the zero point can come out, the offset of negative accumulators never shows.
    """
    rows = next(array.values for array in lowered.arrays if array.name == "channels")
    bias, multiplier, offset, negative = rows.T
    proven = bool((offset != PLAIN).all())
    wide, wide_negative = offset * OFFSET_UNIT, negative * OFFSET_UNIT
    fields: dict[str, Init] = {"proven": int(proven), name: "NULL", f"signed_{name}": "NULL"}
    if proven and (output["min"] >= output["zero_point"] or bool((offset == negative).all())):
        fields[name] = "{channels}"
        return Array("channels", "tn_dsp_channel", _even(np.stack([bias, multiplier, wide], axis=1))), fields
    plain = offset == PLAIN
    wide = np.where(plain, negative, wide)
    wide_negative = np.where(plain, _NO_PROOF, wide_negative)
    fields[f"signed_{name}"] = "{channels}"
    table = np.stack([bias, multiplier, wide, wide_negative], axis=1)
    return Array("channels", "tn_dsp_signed_channel", _even(table)), fields


def _even(rows: _Ints) -> _Ints:
    """An even number of channels; the last one is repeated."""
    return np.concatenate([rows, rows[-1:]]) if len(rows) % 2 else rows
