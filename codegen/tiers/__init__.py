"""Kernel tiers: what a layer becomes on cores that have more than the portable kernels need.

A tier takes the translation of a layer for the portable kernels and gives back one for its own: another kernel, with
weights and constants arranged for it. What a tier has no kernel for stays portable.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from ..ops.base import Call, Lowered
from ..targets import Target
from . import dsp, mve

_Rule = Callable[[Lowered, Call, Mapping[str, Any]], Lowered | None]
_TIERS: Mapping[str, tuple[Collection[str], Mapping[str, _Rule]]] = {
    "mve": (mve.FUNCTIONS, mve.RULES),
    "dsp": (dsp.FUNCTIONS, dsp.RULES),
}


def arrange(target: Target, lowered: Lowered) -> Lowered:
    """The translation for the first of the target's tiers that has a kernel for it."""
    if "one-line-add" in target.disabled and any(call.struct == "tn_add_s8" for call in lowered.calls):
        return lowered
    for tier in target.tiers:
        if tier in _TIERS:
            lowered = _arranged(lowered, *_TIERS[tier])
    return lowered


def _arranged(lowered: Lowered, functions: Collection[str], rules: Mapping[str, _Rule]) -> Lowered:
    """Kernel and constants of a tier for one layer; `lowered` itself where there is none."""
    if len(lowered.calls) != 1:
        return lowered
    (call,) = lowered.calls
    rule = rules.get(call.struct)
    found = rule(lowered, call, call.params) if rule and call.function in functions else None
    return lowered if found is None else found
