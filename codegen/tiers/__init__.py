"""Kernel tiers: what a layer becomes on cores that have more than the portable kernels need.

A tier takes the translation of a layer for the portable kernels and gives back one for its own: another kernel, with
weights and constants arranged for it. What a tier has no kernel for stays portable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..ops.base import Lowered
from ..targets import Target
from . import dsp, mve

_TIERS: Mapping[str, Callable[[Lowered], Lowered]] = {"mve": mve.arrange, "dsp": dsp.arrange}


def arrange(target: Target, lowered: Lowered) -> Lowered:
    """The translation for the first of the target's tiers that has a kernel for it."""
    if "one-line-add" in target.disabled and any(call.struct == "tn_add_s8" for call in lowered.calls):
        return lowered
    for tier in target.tiers:
        if tier in _TIERS:
            lowered = _TIERS[tier](lowered)
    return lowered
