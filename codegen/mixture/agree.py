"""Networks of one structure agree on how each layer rounds, so that one copy of its kernel does for all.

Kernels have forms that are as exact as each other: some take fewer instructions, but suit only the constants of some
layers; one takes the least constants and suits nearly all. With many networks constants count for more than code.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..cost import array_bytes
from ..ops.base import SMALL, Lowered
from ..schedule import Draft, Step
from .joint import mode_of, same_array

#: Networks from which on constants of tables count for more than three or four instructions a code.
_MANY = 4
#: Parameters that tell forms apart.
_FORMS = frozenset({"rounding.shift", "lone", "unroll"})


def agree(drafts: Sequence[Draft]) -> None:
    """Give every layer whose form differs between the networks, or between layers of a kind, one that all can take."""
    steps = [list(row) for row in zip(*(draft.steps for draft in drafts), strict=True)]
    for row in steps:
        _take(row, _common([step.lowered for step in row]))
    for rows in _kinds(steps):
        if len({_mode(step.lowered) for row in rows for step in row}) > 1:
            for row in rows:
                _take(row, _named([step.lowered for step in row], SMALL))
    for number, row in enumerate(steps):
        for draft, step in zip(drafts, row, strict=True):
            draft.steps[number] = step


def _take(row: list[Step], found: Sequence[Lowered] | None) -> None:
    if found is not None:
        row[:] = [replace(step, lowered=lowered) for step, lowered in zip(row, found, strict=True)]


def _common(made: Sequence[Lowered]) -> Sequence[Lowered] | None:
    """Translations in one form; None where they are in one already, or have none in common."""
    small = _named(made, SMALL)
    if small is not None and _constants(made)[1] >= _MANY and _constants(small)[0] < _constants(made)[0]:
        return small
    if len({_mode(one) for one in made}) == 1:
        return None
    forms = [dict(one.forms()) if one.forms is not None else {} for one in made]
    shared = [name for name in forms[0] if name != SMALL and all(name in other for other in forms)]
    return [other[shared[0]] for other in forms] if shared else small


def _constants(made: Sequence[Lowered]) -> tuple[int, int]:
    """Bytes of the arrays of all networks, those that are equal counted once; and how many networks have their own."""
    found: list[Lowered] = []
    for one in made:
        if not any(all(map(same_array, one.arrays, other.arrays)) for other in found):
            found.append(one)
    return sum(array_bytes(array) for one in found for array in one.arrays), len(found)


def _named(made: Sequence[Lowered], name: str) -> Sequence[Lowered] | None:
    found = [dict(one.forms()).get(name) for one in made if one.forms is not None]
    present = [one for one in found if one is not None]
    return present if len(present) == len(made) else None


def _kinds(steps: Sequence[list[Step]]) -> Iterator[list[list[Step]]]:
    """Layers that differ in their form at most, and over whole tensors in their lengths, kind by kind."""
    groups: dict[tuple[object, ...], list[list[Step]]] = {}
    for row in steps:
        first = row[0]
        if first.lowered.forms is not None and not first.again:
            (call,) = first.lowered.calls
            fixed = mode_of(call, first.lowered, loose=first.stage is None)
            groups.setdefault(_without_form(fixed), []).append(row)
    return (rows for rows in groups.values() if len(rows) > 1)


def _without_form(mode: tuple[object, ...]) -> tuple[object, ...]:
    function, arguments, struct, fixed, scratch, inline = mode
    assert isinstance(fixed, tuple)
    return function, arguments, struct, tuple(pair for pair in fixed if pair[0] not in _FORMS), scratch, inline


def _mode(lowered: Lowered) -> tuple[object, ...]:
    return tuple(mode_of(call, lowered, loose=True) for call in lowered.calls)
