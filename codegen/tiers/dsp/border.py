"""A row of padding that kernels read in place of rows outside the input."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...ops.base import Array

#: A longer row takes more room than the checks that it saves.
BORDER_BYTES = 256


def border(rows: Mapping[str, int], size: int, zero_point: int) -> tuple[Array, ...]:
    """A row of `size` codes where windows may reach over one and it is short; otherwise nothing."""
    last = (rows["out"] - 1) * rows["stride"] - rows["pad"] + (rows["kernel"] - 1) * rows["dilation"]
    inside = rows["pad"] == 0 and last < rows["in"]
    if inside or size > BORDER_BYTES:
        return ()
    return (Array("border", "int8_t", np.full(size, zero_point, np.int8)),)
