"""The MVE tier: kernels for the vector extension of Cortex-M55, inlined into one function per layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...ops.base import Call, Lowered
from .add import add
from .conv2d import conv2d
from .depthwise import depthwise

_OPERATORS = ("conv2d", "depthwise_conv2d", "add", "sub", "max_pool2d", "average_pool2d", "mean")
#: Portable kernels that it has one for.
FUNCTIONS = frozenset(f"tn_{name}_s8_{way}" for name in (*_OPERATORS, "mul") for way in ("run", "row", "add"))


def keep(lowered: Lowered, call: Call, params: Mapping[str, Any]) -> Lowered:
    """The layer as it is: the tier's kernel reads the parameters of the portable one."""
    return lowered


#: Translation of a layer by the structure of its portable parameters.
RULES: Mapping[str, Callable[[Lowered, Call, Mapping[str, Any]], Lowered | None]] = {
    "tn_conv2d_s8": conv2d,
    "tn_depthwise_conv2d_s8": depthwise,
    "tn_add_s8": add,
    "tn_pool2d_s8": keep,
    "tn_reduce_s8": keep,
    "tn_mul_s8": keep,
}
