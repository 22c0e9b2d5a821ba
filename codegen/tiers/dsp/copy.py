"""Blocks that move: loops and runs with constant sizes in place of a call that reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ...ops.base import Call, Lowered

#: Calls of a layer, each of which becomes a function.
_MOST = 8


def copy(lowered: Lowered, call: Call, params: Mapping[str, Any]) -> Lowered | None:
    """Every call of the layer with its sizes folded in; None where one of them is something else, or there are many."""
    if any(one.function != "tn_copy_run" for one in lowered.calls) or len(lowered.calls) > _MOST:
        return None
    calls = tuple(replace(one, function="tn_copy_dsp_run", struct="tn_copy_dsp") for one in lowered.calls)
    return replace(lowered, kernels=(), inline="tn_copy_dsp", calls=calls)
