"""Constants of output channels, four lanes at a time, as `tn_mve_scale` reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ...ops.base import Array, Init, Lowered

LANES = 4
_POSITIVE, _SHIFTED, _ANY = "TN_MVE_POSITIVE", "TN_MVE_SHIFTED", "TN_MVE_ANY"


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


def parted(lanes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Channels of eights (eights, 8) as fours, the even ones of each before the odd ones."""
    return lanes.reshape(-1, LANES, 2).swapaxes(1, 2).reshape(-1, LANES)


def overlapping(channels: int) -> npt.NDArray[np.int64]:
    """Channels of each four, out of :func:`eights`; -1 where there is none."""
    return parted(eights(channels))


def side_by_side(channels: int) -> npt.NDArray[np.int64]:
    """Channels of each four, out of eights that share none, and a four in order for the last four or fewer."""
    padded = np.arange(-(-channels // LANES) * LANES)
    padded[channels:] = -1
    whole = padded if len(padded) % 8 == 0 else padded[:-LANES]
    return np.concatenate([parted(whole), padded[len(whole) :].reshape(-1, LANES)])


def channel_constants(
    lowered: Lowered, output: Mapping[str, Any], lanes: npt.NDArray[np.int64]
) -> tuple[Array, dict[str, Init]]:
    """The array `channels` and the initializer of a `tn_mve_scaling`, for channels `lanes` (fours, 4).

    The two roundings of TFLite are instructions here, so that no cheaper form needs a proof. Rounding half away from
    zero differs from rounding half up only below zero, where a second rounding takes place.
    """
    bias = next(array.values for array in lowered.arrays if array.name == "channels")[:, 0]
    multiplier = np.array([m.multiplier for m in lowered.multipliers], np.int64)
    shift = np.array([m.shift for m in lowered.multipliers], np.int64)
    rows = np.stack([bias, multiplier, np.minimum(shift, 0), np.maximum(shift, 0)])
    table = np.where(lanes < 0, 0, rows[:, lanes]).transpose(1, 0, 2)
    signs = _POSITIVE if output["min"] >= output["zero_point"] else _SHIFTED if shift.max() < 0 else _ANY
    fields: dict[str, Init] = {"left": int(shift.max() > 0), "signs": signs, "output": dict(output)}
    return Array("channels", "int32_t", np.ascontiguousarray(table).reshape(-1)), fields
