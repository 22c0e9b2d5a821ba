"""Inline kernels: one function per layer, with the layer's constants folded in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..ops.base import Array, Call, Init, Lowered, Scratch


def inlined(
    lowered: Lowered,
    call: Call,
    kernel: str,
    fields: Mapping[str, Init],
    arrays: tuple[Array, ...],
    inputs: tuple[str, ...],
    scratch: tuple[Scratch, ...],
) -> Lowered:
    """The layer as one call of the inline kernel `kernel`, with its own parameters, arrays and local arrays."""
    suffix = call.function.rpartition("_")[2]
    names = tuple("{" + item.name + "}" for item in scratch)
    new = Call(f"{kernel}_{suffix}", ("{params}", *inputs, "{out0}", *names), kernel, fields)
    return replace(lowered, kernels=(), inline=kernel, calls=(new,), arrays=arrays, scratch=scratch)
