"""QUANTIZE (float32 or int8 to int8) and DEQUANTIZE (int8 to float32)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..ir import Quantization
from ..quantized_math import INT8_MAX, INT8_MIN, requantize, rescale_multiplier


def quantize(x: npt.NDArray[Any], *, q_in: Quantization | None, q_out: Quantization) -> npt.NDArray[np.int8]:
    """Quantize float32 samples, or requantize int8 codes.

    Float samples are divided by the scale in float32 and rounded half away from zero. The quotient must fit
    in int32; NaN has no code.
    """
    if q_in is not None and x.dtype == np.int8:
        multiplier, shift = rescale_multiplier(q_in.scale, q_out.scale)
        return requantize(x.astype(np.int64) - q_in.zero_point, multiplier, shift, q_out.zero_point)
    quotient = (x.astype(np.float32) / np.float32(q_out.scale)).astype(np.float64)
    # Half away from zero: in double precision, adding a half to a float32 is exact where it matters.
    rounded = np.copysign(np.floor(np.abs(quotient) + 0.5), quotient)
    result: npt.NDArray[np.int8] = np.clip(rounded + q_out.zero_point, INT8_MIN, INT8_MAX).astype(np.int8)
    return result


def dequantize(x: npt.NDArray[np.int8], *, q_in: Quantization) -> npt.NDArray[np.float32]:
    """Real values of codes: the product is taken in double precision and rounded once to float32."""
    shifted = x.astype(np.int32) - q_in.zero_point
    result: npt.NDArray[np.float32] = (np.float64(np.float32(q_in.scale)) * shifted).astype(np.float32)
    return result
