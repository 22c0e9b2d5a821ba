"""One copy of a kernel for a layer that several networks have, and for layers of a kind: what is the same is constant.

What differs from network to network is read from a structure, of which there is one for each network; what differs
between layers of a kind, which are equal in their loops and have other lengths, from another of which there is one for
each layer. Kernels have modes, parameters that decide how the code runs; there is a copy for each mode.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..literals import c_number
from ..ops.base import Array, Call, Init, Lowered
from ..sharing import HEAVY_MACS
from .fields import field_type

#: Parameters that kernels only calculate with. All others decide what their code does.
_VALUES = frozenset(
    {
        *("zero_point", "in_zero_point", "zero_point1", "zero_point2", "value"),
        *("min", "max", "multiplier", "addend", "offset", "factor1", "factor2"),
    }
)
_SHIFT = "shift"
#: Lengths that whole-tensor kernels count to: a register instead of a constant.
_LENGTHS = frozenset(
    {
        *("rows.in", "rows.out", "cols.in", "cols.out", "out_cols", "conv_rows", "count"),
        *(f"{name}[{axis}]" for name in ("shape.size", "reduced_size", "size") for axis in range(3)),
        *("reduced_stride[2]", "size[3]", "size[4]", "in_stride[4]", "out_stride[4]", "in_offset", "out_offset"),
    }
)
#: Lengths that kernels ask whether they are even.
_EVEN = frozenset({"out_channels"})
#: Structures that copies read, as the functions are given them: of the network that runs, of the layer.
OWN, LAYER = "k", "g"

_Key = tuple[int, int]


@dataclass(frozen=True)
class Use:
    """One call of a layer in one network; `names` holds the C name of every array, by its name in the call."""

    call: Call
    lowered: Lowered
    names: Mapping[str, str]


@dataclass(frozen=True)
class Site:
    """One call of a layer.

    Attributes
    ----------
    uses : sequence of Use
        The call in every network.
    given : mapping of str to str
        Declarations of what the function of the call may be given, by placeholder.
    whole : bool
        Whether it runs over whole tensors; by rows, reading lengths would cost more than it saves.
    macs : int
        Multiply-accumulates; a heavy layer keeps its lengths as constants.
    """

    uses: Sequence[Use]
    given: Mapping[str, str]
    whole: bool
    macs: int


@dataclass
class Entry:
    """Members of a structure and their initializers, by what they belong to.

    Attributes
    ----------
    types : dict of str to str
        C type of every member, in order.
    values : dict
        Initializers of the members, by site and network or by site.
    """

    types: dict[str, str] = field(default_factory=dict)
    values: dict[_Key | int, dict[str, str]] = field(default_factory=dict)

    def add(self, name: str, kind: str, values: Iterable[tuple[_Key | int, str]]) -> str:
        """Add a member; gives its name."""
        while name in self.types:
            name += "_"
        self.types[name] = kind
        for key, value in values:
            self.values.setdefault(key, {})[name] = value
        return name


@dataclass(frozen=True)
class Copy:
    """A copy of the kernel: its parameters by place, as C expressions, and arguments of the call.

    Attributes
    ----------
    users : mapping of int to tuple of int
        Networks that run it, by site.
    own, layer : Entry
        What it reads of the network, by (site, network), and of the layer, by site.
    array : str
        The network's member where that is the address of an array and nothing else: the copy is given that.
    """

    users: Mapping[int, tuple[int, ...]]
    call: Call
    lowered: Lowered
    params: tuple[tuple[str, str], ...]
    arrays: Mapping[str, str]
    own: Entry
    layer: Entry
    array: str = ""


def join(sites: Sequence[Site]) -> list[Copy]:
    """The copies that all sites take; a site whose mode differs between networks takes several."""
    groups: dict[tuple[object, ...], dict[_Key, Use]] = {}
    for number, site in enumerate(sites):
        loose = site.whole and site.macs < HEAVY_MACS
        for network, use in enumerate(site.uses):
            given = tuple(text for name, text in site.given.items() if "{" + name + "}" in use.call.arguments)
            key = (mode_of(use.call, use.lowered, loose), given, loose)
            groups.setdefault(key, {})[number, network] = use
    return [_copy(group) for group in groups.values()]


def mode_of(call: Call, lowered: Lowered, loose: bool = False) -> tuple[object, ...]:
    """Everything in which one copy of a kernel cannot differ; lengths are no part of it where it is `loose`."""
    fixed = tuple(
        (path, "even" if loose and _is_even(path, value) else value)
        for path, value in leaves(call.params)
        if not is_value(call.struct, path) and not (loose and path in _LENGTHS)
    )
    scratch = tuple((item.ctype, item.name, item.length) for item in lowered.scratch)
    return call.function, call.arguments, call.struct, fixed, scratch, lowered.inline


def is_value(struct: str, path: str) -> bool:
    """Whether a kernel only calculates with a parameter; a shift may have to be part of an instruction in some."""
    name = path.rpartition(".")[2]
    return name in _VALUES or (name == _SHIFT and (struct.endswith("_s8") or struct == "tn_mean_s8_dsp"))


def _is_even(path: str, value: int | str) -> bool:
    return path in _EVEN and isinstance(value, int) and value % 2 == 0


def leaves(value: Init, path: str = "") -> list[tuple[str, int | str]]:
    """Numbers and symbols of an initializer, by place."""
    if isinstance(value, Mapping):
        prefix = f"{path}." if path else ""
        return [leaf for key, item in value.items() for leaf in leaves(item, f"{prefix}{key}")]
    if isinstance(value, int | str):
        return [(path, value)]
    return [leaf for number, item in enumerate(value) for leaf in leaves(item, f"{path}[{number}]")]


def _copy(uses: Mapping[_Key, Use]) -> Copy:
    first = next(iter(uses.values()))
    own, layer = Entry(), Entry()
    arrays = {
        array.name: _expression(
            own, layer, array.name, f"const {array.ctype} *", {key: use.names[array.name] for key, use in uses.items()}
        )
        for array in first.lowered.arrays
        if _used(first.call, array)
    }
    params = {key: use.call.params for key, use in uses.items()}
    fields = _fields(own, layer, first.call.struct, params, arrays) if first.call.struct else ()
    users: dict[int, tuple[int, ...]] = {}
    for site, network in uses:
        users[site] = (*users.get(site, ()), network)
    made = Copy(users, first.call, first.lowered, tuple(fields), arrays, own, layer)
    return _given_array(made) if [kind[-1] for kind in own.types.values()] == ["*"] else made


def _given_array(copy: Copy) -> Copy:
    (name,) = copy.own.types
    member = f"{OWN}->{name}"
    params = tuple((path, name if text == member else text) for path, text in copy.params)
    arrays = {key: name if text == member else text for key, text in copy.arrays.items()}
    return replace(copy, params=params, arrays=arrays, array=name)


def _used(call: Call, array: Array) -> bool:
    place = "{" + array.name + "}"
    return place in call.arguments or any(value == place for _, value in leaves(call.params))


def _expression(own: Entry, layer: Entry, name: str, kind: str, texts: Mapping[_Key, str]) -> str:
    """C expression of a value: itself where all have the same, otherwise a member of one of the structures."""
    by_site: dict[int, set[str]] = {}
    for (site, _), text in texts.items():
        by_site.setdefault(site, set()).add(text)
    if any(len(found) > 1 for found in by_site.values()):
        return f"{OWN}->{own.add(name, kind, texts.items())}"
    if len({text for found in by_site.values() for text in found}) > 1:
        return f"{LAYER}->{layer.add(name, kind, ((site, min(found)) for site, found in by_site.items()))}"
    return next(iter(texts.values()))


def _fields(
    own: Entry, layer: Entry, struct: str, values: Mapping[_Key, Init], arrays: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Every parameter with its value: a constant, or a member of what is read."""
    columns = {key: leaves(value) for key, value in values.items()}
    for row in zip(*columns.values(), strict=True):
        path, first = row[0]
        if isinstance(first, str):
            yield path, first.format(**arrays)
        else:
            name = path.replace(".", "_").replace("[", "_").replace("]", "")
            texts = {key: c_number(int(value)) for key, (_, value) in zip(columns, row, strict=True)}
            found = _expression(own, layer, name, field_type(struct, path), texts)
            # A copy for several is one for even lengths, and says so to the compiler.
            yield path, found if path not in _EVEN or "->" not in found else f"(uint16_t)({found} & 0xfffeu)"


def same_array(a: Array, b: Array) -> bool:
    """Whether two constants are one."""
    return a.ctype == b.ctype and np.array_equal(a.values, b.values)
