"""Layers that share one copy of an inline kernel: less code for some more instructions.

Every layer has its own copy with its parameters folded in. Light twins, layers that differ in the addresses of
their constants only, share one, which costs next to nothing. Leaning to size, several layers that call one kernel
function in one mode share a copy, too. It reads what differs between them from the layer's parameters; what is the
same in all of them, the mode with it, stays a constant of the copy. The mode is what a layer's own parameters hold of
symbols and flags: the kind of pooling, the form of rounding. A copy for few layers is larger than theirs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from .ops.base import Call, Init, Lowered, Scratch

#: What a shared copy keeps on the stack beyond a layer's own: the parameters, with the constants laid over them.
STACK_BYTES = 160
#: A layer of so many multiply-accumulates keeps its own copy: a kilobyte would cost millions of instructions.
HEAVY_MACS = 1_000_000
#: Leaning to speed, layers of fewer share with their twins: the register more costs 2 to 4 % of a layer.
LIGHT_MACS = 100_000
#: Layers that share a copy, at least: of kernels for one row, and of those over all rows, whose copies are larger.
_LEAST_ROWS, _LEAST_RUNS = 3, 4
#: What a copy for twins keeps on the stack beyond a layer's own.
_TWIN_STACK_BYTES = 16
#: Structures of sizes, in which layers of one mode may differ.
_SIZES = ("rows", "cols", "output")
#: Sizes that kernels ask whether they are multiples of four. Where they all are, the copy says so to the compiler.
_CHANNELS = frozenset({"channels", "in_channels", "out_channels"})
_ROUND_DOWN = "0xfffc"
#: Addresses that kernels ask whether they are there. Where every layer has one, the copy says so to the compiler.
_ASKED = frozenset({"border"})
#: Steps that an inner loop takes at once: any divisor is as good, but for the instructions of the loop.
_UNROLLED = "unroll"


@dataclass(frozen=True)
class Use:
    """One call of an inline kernel: by which step, as which of its calls, with how many multiply-accumulates."""

    step: int
    number: int
    call: Call
    lowered: Lowered
    macs: int


@dataclass(frozen=True)
class Shared:
    """One copy of a kernel.

    Attributes
    ----------
    name : str
        Of the generated function.
    constants : tuple of (str, Init)
        Parameters that are the same in every layer, by their place in the structure, as ``rows.kernel``.
    present : tuple of str
        Addresses among the parameters that kernels ask about and that every layer has.
    scratch : tuple of Scratch
        Local arrays, each as long as the longest that a layer needs.
    first : int
        Step that brings it along.
    stack_bytes : int
        What it keeps on the stack beyond a layer's own.
    """

    name: str
    constants: tuple[tuple[str, Init], ...]
    present: tuple[str, ...]
    scratch: tuple[Scratch, ...]
    first: int
    stack_bytes: int


def share_modes(uses: Sequence[Use], prefix: str) -> dict[tuple[int, int], Shared]:
    """Copies by step and number of the call; a kernel in a mode of its own keeps its own copy and is not among them."""
    found: dict[tuple[int, int], Shared] = {}
    for members in _groups(uses, _mode):
        rows = members[0].call.function.endswith(("_row", "_two"))
        if len(members) >= (_LEAST_ROWS if rows else _LEAST_RUNS):
            found |= _copy(members, prefix, STACK_BYTES)
    return found


def share_twins(uses: Sequence[Use], prefix: str) -> dict[tuple[int, int], Shared]:
    """The same for layers that differ in nothing but the addresses of their constants."""
    found: dict[tuple[int, int], Shared] = {}
    for members in _groups(uses, _looks):
        if len(members) > 1:
            found |= _copy(members, prefix, _TWIN_STACK_BYTES)
    return found


def _groups(uses: Sequence[Use], key: Callable[[Use], tuple[object, ...]]) -> Iterable[list[Use]]:
    groups: dict[tuple[object, ...], list[Use]] = {}
    for use in uses:
        groups.setdefault(key(use), []).append(use)
    return groups.values()


def _copy(members: Sequence[Use], prefix: str, stack_bytes: int) -> dict[tuple[int, int], Shared]:
    first = members[0]
    number = f"_{first.number}" if first.number else ""
    name = f"{prefix}_{first.call.function.removeprefix('tn_')}_{first.step}{number}"
    present = tuple(sorted(key for key in _ASKED if all(_is_array(use.call.params.get(key)) for use in members)))
    copy = Shared(name, _constants(members), present, _scratch(members), first.step, stack_bytes)
    return {(use.step, use.number): copy for use in members}


def _looks(use: Use) -> tuple[object, ...]:
    """Everything that a copy can fold in."""
    arrays = tuple(key for key, value in use.call.params.items() if _is_array(value))
    fields = tuple(_flat(use.call.params))
    return (use.call.function, use.call.arguments, arrays, fields, use.lowered.scratch)


def _mode(use: Use) -> tuple[object, ...]:
    call = use.call
    fields = list(_flat(call.params))
    mode = tuple((place, value) for place, value in fields if _decides(place, value))
    fours = frozenset(place for place, value in fields if _by_four(value))
    scratch = tuple((item.ctype, item.name) for item in use.lowered.scratch)
    return (call.function, call.arguments, mode, fours & _CHANNELS, scratch)


def _decides(place: str, value: Init) -> bool:
    """Whether a parameter belongs to the mode: symbols, flags, and shifts, which may have to be immediates.

    An address that a layer has no use for is none of them: others in the mode may have one.
    """
    if value == "NULL":
        return False
    group, nested, rest = place.partition(".")
    if isinstance(value, str) or not nested:
        return isinstance(value, str) or value in (0, 1)
    return group not in _SIZES and "." not in rest


def _constants(members: Sequence[Use]) -> tuple[tuple[str, Init], ...]:
    fields = [dict(_flat(use.call.params)) for use in members]
    first, others = fields[0], fields[1:]
    same = {key: value for key, value in first.items() if all(other.get(key) == value for other in others)}
    if _UNROLLED in first:
        same[_UNROLLED] = math.gcd(*(int(str(one[_UNROLLED])) for one in fields))
    fours = [key for key in _CHANNELS & first.keys() - same.keys() if all(_by_four(other[key]) for other in fields)]
    return (*same.items(), *((key, f"params->{key} & {_ROUND_DOWN}") for key in sorted(fours)))


def _flat(params: Mapping[str, Init], path: str = "") -> Iterator[tuple[str, Init]]:
    """Every number and symbol, by its place in the structure; addresses of arrays differ anyhow."""
    for key, value in params.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{path}{key}.")
        elif isinstance(value, int) or (isinstance(value, str) and not _is_array(value)):
            yield f"{path}{key}", value


def _is_array(value: Init | None) -> bool:
    """Whether a parameter is the address of a constant, a placeholder until names are known."""
    return isinstance(value, str) and "{" in value


def _by_four(value: Init) -> bool:
    return isinstance(value, int) and value % 4 == 0


def _scratch(members: Sequence[Use]) -> tuple[Scratch, ...]:
    columns = zip(*(use.lowered.scratch for use in members), strict=True)
    found = [max(column, key=lambda item: item.length) for column in columns]
    # One of a single element stands for none: no layer uses it, but the compiler of the copy may not see that.
    longest = max((item.length for item in found), default=0)
    return tuple(replace(item, length=longest) if item.length == 1 else item for item in found)
