"""Kernel tiers: what a layer becomes on cores that have more than the portable kernels need.

A tier takes the translation of a layer for the portable kernels and gives back one for its own: another kernel, with
weights and constants arranged for it. What a tier has no kernel for stays portable. Kernels that read the same
parameters as the portable ones need no translation: they lie in ``firmware/kernels/TIER``, in files of the same name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
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
    if lowered.chain is not None:
        first, second = (arrange(target, part) for part in lowered.parts)
        return replace(lowered, chain=replace(lowered.chain, first=first, second=second))
    if "one-line-add" in target.disabled and any(call.struct == "tn_add_s8" for call in lowered.calls):
        return lowered
    for tier in target.tiers:
        found = _arranged(lowered, *_TIERS[tier]) if tier in _TIERS else None
        if found is not None:
            return found
    return lowered


def arrange_two(target: Target, lowered: Lowered) -> Lowered | None:
    """The translation of a layer in a stream by which it makes two output slices at a time; None where it has none."""
    if lowered.chain is not None or len(lowered.calls) != 1 or target.tiers[0] != "dsp":
        return None
    (call,) = lowered.calls
    return dsp.two_slices(lowered, call, call.params) if call.struct == "tn_conv2d_s8" else None


def _arranged(lowered: Lowered, functions: Collection[str], rules: Mapping[str, _Rule]) -> Lowered | None:
    """Kernel and constants of a tier for one layer; None where there is none."""
    if len(lowered.calls) != 1 and not all(call.struct == "tn_copy" for call in lowered.calls):
        return None
    call = lowered.calls[0] if lowered.calls else Call("", ())
    rule = rules.get(call.struct)
    return rule(lowered, call, call.params) if rule and call.function in functions else None
