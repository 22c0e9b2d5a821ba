"""How the window of a mixture is pushed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import OptionError
from ..ir import Tensor


@dataclass(frozen=True)
class Slices:
    """How the window is pushed: `length` slices of `channels` times `features` codes.

    Slice t begins at `slice_stride` times t of the window, its channels lie `channel_stride` apart.
    """

    axis: str
    length: int
    channels: int
    features: int
    slice_stride: int
    channel_stride: int


def slices_of(window: Tensor, schedule: str) -> Slices:
    """Along the axis that the schedule names, else the longer one."""
    shape = window.shape
    if len(shape) < 3 or shape[0] != 1:
        raise OptionError(f"schedule '{schedule}' is not possible: the window has shape {list(shape)}")
    features = int(np.prod(shape[3:])) if len(shape) > 3 else 1
    longer = "h" if shape[1] >= shape[2] else "w"
    axis = schedule[-1] if schedule in ("stream-h", "stream-w") else longer
    if axis == "h":
        return Slices("height", shape[1], shape[2], features, shape[2] * features, features)
    return Slices("width", shape[2], shape[1], features, features, shape[2] * features)
