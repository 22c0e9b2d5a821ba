"""Constants of output channels, four lanes at a time, as `tn_mve_scale` reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ...ops.base import Array, Init, Lowered

LANES = 4
_POSITIVE, _SHIFTED, _ANY = "TN_MVE_POSITIVE", "TN_MVE_SHIFTED", "TN_MVE_ANY"


def fours(channels: int) -> int:
    """Vectors that hold this many channels."""
    return -(-channels // LANES)


def pad_last(values: npt.NDArray[Any], length: int) -> npt.NDArray[Any]:
    """The array with zeros behind its last axis, up to `length` elements."""
    return np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, length - values.shape[-1])])


def eights(channels: int) -> npt.NDArray[np.int64]:
    """Channels of each vector of eight: the last eight overlap those before; -1 where there are fewer altogether."""
    starts = [min(start, max(channels - 8, 0)) for start in range(0, channels, 8)]
    found = np.array(starts)[:, None] + np.arange(8)
    return np.where(found < channels, found, -1)


def in_eights(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The array (..., channels) as (..., eights, 8), with zeros where there is no channel."""
    lanes = eights(values.shape[-1])
    return np.where(lanes < 0, 0, values[..., lanes])


def channel_constants(
    lowered: Lowered, output: Mapping[str, Any], paired: bool = False
) -> tuple[Array, dict[str, Init]]:
    """The array `channels` and the initializer of a `tn_mve_scaling`.

    Fours of channels in their order; `paired`, each of :func:`eights` is its even lanes, then its odd ones.

    The two roundings of TFLite are instructions here, so that no cheaper form needs a proof. Rounding half away from
    zero differs from rounding half up only below zero, where a second rounding takes place.
    """
    bias = next(array.values for array in lowered.arrays if array.name == "channels")[:, 0]
    multiplier = np.array([m.multiplier for m in lowered.multipliers], np.int64)
    shift = np.array([m.shift for m in lowered.multipliers], np.int64)
    rows = np.stack([bias, multiplier, np.minimum(shift, 0), np.maximum(shift, 0)])
    if not paired:
        padded = pad_last(rows, fours(len(bias)) * LANES)
    else:
        padded = in_eights(rows).reshape(4, -1, LANES, 2).swapaxes(-1, -2).reshape(4, -1)
    table = padded.reshape(4, -1, LANES).transpose(1, 0, 2)
    signs = _POSITIVE if output["min"] >= output["zero_point"] else _SHIFTED if shift.max() < 0 else _ANY
    fields: dict[str, Init] = {"left": int(shift.max() > 0), "signs": signs, "output": dict(output)}
    return Array("channels", "int32_t", np.ascontiguousarray(table).reshape(-1)), fields
