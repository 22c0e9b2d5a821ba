"""One copy of a kernel for a layer that several networks have: what is the same becomes constants of the copy.

What differs is read from a small structure, of which there is one for each network. Kernels have modes, parameters that
decide how the code runs; networks in which a layer runs in another mode get a copy of that layer of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..literals import c_number
from ..ops.base import Array, Call, Init, Lowered
from .fields import field_type

#: Parameters that kernels only calculate with. All others decide what their code does.
_VALUES = frozenset(
    {
        *("zero_point", "in_zero_point", "zero_point1", "zero_point2", "value"),
        *("min", "max", "multiplier", "addend", "offset", "factor1", "factor2"),
    }
)
_SHIFT = "shift"


@dataclass(frozen=True)
class Use:
    """One call of a layer in one network; `names` holds the C name of every array, by its name in the call."""

    call: Call
    lowered: Lowered
    names: Mapping[str, str]


@dataclass
class Entry:
    """What a layer has of its own in each network.

    Attributes
    ----------
    types : dict of str to str
        C type of every member, in order.
    values : list of dict of str to str
        Initializers of the members, network by network.
    """

    types: dict[str, str] = field(default_factory=dict)
    values: list[dict[str, str]] = field(default_factory=list)

    def add(self, name: str, kind: str, values: Mapping[int, str]) -> str:
        """Add a member with the values of some networks; gives its name."""
        while self.types.get(name, kind) != kind:
            name += "_"
        self.types[name] = kind
        for network, value in values.items():
            self.values[network][name] = value
        return name


@dataclass(frozen=True)
class Copy:
    """A copy of the kernel for some networks: its parameters by place, as C expressions, and arguments of the call."""

    networks: tuple[int, ...]
    call: Call
    lowered: Lowered
    params: tuple[tuple[str, str], ...]
    arrays: Mapping[str, str]


@dataclass(frozen=True)
class Joint:
    """A call in all networks; `mode` is the entry's member that tells which copy runs, where there are several."""

    entry: Entry
    copies: tuple[Copy, ...]
    mode: str = ""


def join(uses: Sequence[Use]) -> Joint:
    """Join the calls of all networks."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for network, use in enumerate(uses):
        groups.setdefault(mode_of(use.call, use.lowered), []).append(network)
    entry = Entry(values=[{} for _ in uses])
    copies = [_copy(entry, {network: uses[network] for network in group}) for group in groups.values()]
    mode = ""
    if len(groups) > 1:
        which = {network: str(number) for number, group in enumerate(groups.values()) for network in group}
        mode = entry.add("mode", "uint8_t", which)
    return Joint(entry, tuple(copies), mode)


def mode_of(call: Call, lowered: Lowered) -> tuple[object, ...]:
    """Everything in which one copy of a kernel cannot differ."""
    fixed = tuple((path, value) for path, value in leaves(call.params) if not is_value(call.struct, path))
    scratch = tuple((item.ctype, item.name, item.length) for item in lowered.scratch)
    return call.function, call.arguments, call.struct, fixed, scratch, lowered.inline


def is_value(struct: str, path: str) -> bool:
    """Whether a kernel only calculates with a parameter; a shift may have to be part of an instruction in some."""
    name = path.rpartition(".")[2]
    return name in _VALUES or (name == _SHIFT and struct.endswith("_s8"))


def leaves(value: Init, path: str = "") -> list[tuple[str, int | str]]:
    """Numbers and symbols of an initializer, by place."""
    if isinstance(value, Mapping):
        prefix = f"{path}." if path else ""
        return [leaf for key, item in value.items() for leaf in leaves(item, f"{prefix}{key}")]
    if isinstance(value, int | str):
        return [(path, value)]
    return [leaf for number, item in enumerate(value) for leaf in leaves(item, f"{path}[{number}]")]


def _copy(entry: Entry, uses: Mapping[int, Use]) -> Copy:
    first = next(iter(uses.values()))
    params = {network: use.call.params for network, use in uses.items()}
    arrays = {array.name: _array(entry, array, uses) for array in first.lowered.arrays if _used(first.call, array)}
    fields = _fields(entry, first.call.struct, params, arrays) if first.call.struct else ()
    return Copy(tuple(uses), first.call, first.lowered, tuple(fields), arrays)


def _used(call: Call, array: Array) -> bool:
    place = "{" + array.name + "}"
    return place in call.arguments or any(value == place for _, value in leaves(call.params))


def _array(entry: Entry, array: Array, uses: Mapping[int, Use]) -> str:
    """C expression of an array: its name where all networks have the same, otherwise a member of the entry."""
    names = {network: use.names[array.name] for network, use in uses.items()}
    if len(set(names.values())) == 1:
        return next(iter(names.values()))
    return "k->" + entry.add(array.name, f"const {array.ctype} *", names)


def _fields(
    entry: Entry, struct: str, values: Mapping[int, Init], arrays: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Every parameter with its value: a constant, or a member of the entry where networks differ."""
    columns = {network: leaves(value) for network, value in values.items()}
    for row in zip(*columns.values(), strict=True):
        path, first = row[0]
        if isinstance(first, str):
            yield path, first.format(**arrays)
        elif all(value == first for _, value in row):
            yield path, c_number(first)
        else:
            name = path.replace(".", "_").replace("[", "_").replace("]", "")
            texts = {network: c_number(int(value)) for network, (_, value) in zip(columns, row, strict=True)}
            yield path, "k->" + entry.add(name, field_type(struct, path), texts)


def same_array(a: Array, b: Array) -> bool:
    """Whether two constants are one."""
    return a.ctype == b.ctype and np.array_equal(a.values, b.values)
