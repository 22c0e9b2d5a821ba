"""FULLY_CONNECTED on int8."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..ir import Quantization
from ..quantized_math import (
    IntArray,
    activation_range,
    conv_multipliers,
    fully_connected_multiplier,
    requantize,
    wrap_int32,
)

Int8Array = npt.NDArray[np.int8]


def fully_connected(
    x: Int8Array,
    w: Int8Array,
    bias: IntArray | None,
    *,
    activation: str,
    q_in: Quantization,
    q_w: Quantization,
    q_out: Quantization,
) -> Int8Array:
    """Multiply rows of `x` by the weights.

    Parameters
    ----------
    x : ndarray of int8
        Any shape; read as rows of as many elements as a filter has.
    w : ndarray of int8, (units, inputs)
    bias : ndarray of int32, (units,), optional
    activation : str
        Fused activation, see `activation_range`.
    q_in, q_w, q_out : Quantization
        `q_w` has one scale, or one per unit. Only with a single scale is a weight zero point honoured.

    Returns
    -------
    ndarray of int8, (rows, units)
    """
    rows = x.reshape(-1, w.shape[-1]).astype(np.float64) - q_in.zero_point
    per_channel = len(q_w.scales) > 1
    weights = w.reshape(-1, w.shape[-1]).astype(np.float64) - (0 if per_channel else q_w.zero_point)
    accumulator = (rows @ weights.T).astype(np.int64)
    if bias is not None:
        accumulator = accumulator + bias.astype(np.int64)
    if per_channel:
        multipliers = conv_multipliers(q_in.scale, q_w.scales, q_out.scale)
    else:
        multipliers = [fully_connected_multiplier(q_in.scale, q_w.scale, q_out.scale)]
    table = np.array(multipliers, dtype=np.int64)
    low, high = activation_range(activation, q_out.scale, q_out.zero_point)
    return requantize(wrap_int32(accumulator), table[:, 0], table[:, 1], q_out.zero_point, low, high)
