"""The DSP tier: kernels for two 16-bit lanes (Cortex-M4, M7 and M33), inlined into one function per layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...ops.base import Call, Lowered
from .add import add
from .conv2d import conv2d, two_slices
from .copy import copy
from .depthwise import depthwise
from .pooling import mean, pool2d
from .products import mul, squared_difference

__all__ = ["FUNCTIONS", "RULES", "two_slices"]

_OPERATORS = ("conv2d", "depthwise_conv2d", "add", "sub", "max_pool2d", "average_pool2d", "mean")
_OTHERS = (
    *("tn_mul_s8_run", "tn_squared_difference_s8_run", "tn_copy_run"),
    *("tn_mean_s8_add", "tn_mean_s8_add_few"),
)
#: Portable kernels that it has one for.
FUNCTIONS = frozenset(f"tn_{name}_s8_{way}" for name in _OPERATORS for way in ("run", "row")) | frozenset(_OTHERS)


def _sums(lowered: Lowered, call: Call, params: Mapping[str, Any]) -> Lowered | None:
    """ADD, SUB and SQUARED_DIFFERENCE have parameters of one kind."""
    return (squared_difference if "squared" in call.function else add)(lowered, call, params)


#: Translation of a layer by the structure of its portable parameters.
RULES: Mapping[str, Callable[[Lowered, Call, Mapping[str, Any]], Lowered | None]] = {
    "tn_conv2d_s8": conv2d,
    "tn_depthwise_conv2d_s8": depthwise,
    "tn_add_s8": _sums,
    "tn_copy": copy,
    "tn_mul_s8": mul,
    "tn_pool2d_s8": pool2d,
    "tn_reduce_s8": mean,
}
