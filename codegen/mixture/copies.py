"""Text of the copies of kernels that several networks run, and of what chooses between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..emit_steps import FunctionText, StructText, call_text
from ..ops.base import Call, Init
from .joint import LAYER, OWN, Copy

#: What a function that chooses is given for all structures of the network that runs.
_TABLES = "t"


@dataclass(eq=False)
class Wrapper:
    """A call of a layer with everything that is written for it.

    Attributes
    ----------
    member : str
        Start of its names.
    reads : str
        The layer's input that the copies know as the first, where they read one.
    several : bool
        Whether networks run different copies.
    structs, functions : list
        Its own.
    copies : list of (tuple of int, str, tuple of str, dict)
        For the networks that run it: name of the copy, what it is given, and its structures: the member of the
        network's tables, the name of the layer's constant.
    """

    member: str
    reads: str = "in0"
    several: bool = False
    structs: list[StructText] = field(default_factory=list)
    functions: list[FunctionText] = field(default_factory=list)
    copies: list[tuple[tuple[int, ...], str, tuple[str, ...], Mapping[str, str]]] = field(default_factory=list)

    @property
    def call(self) -> Call:
        """The call, with placeholders for tensors; it goes to the function that chooses where there is one."""
        if len(self.copies) == 1:
            _, name, given, places = self.copies[0]
            return self._call(name, _arguments("s->tables->", given, places, True))
        text = self.functions[-1]
        given = tuple(parameter.rpartition(" ")[2].strip("*") for parameter in text.parameters.split(", "))
        return self._call(text.name, ("s->tables" if name == _TABLES else "{" + name + "}" for name in given))

    def _call(self, name: str, arguments: Iterable[str]) -> Call:
        return Call(name, tuple("{" + self.reads + "}" if given == "{in0}" else given for given in arguments))


def copy_function(name: str, copy: Copy, known: Mapping[str, str]) -> tuple[tuple[str, ...], FunctionText]:
    """A copy of a kernel as a function of what it needs out of `known`, declarations by name; and their names."""
    call, lowered = copy.call, copy.lowered
    # One of a single element stands for none, which the compiler of the copy may only see after it has warned.
    longest = max((item.length for item in lowered.scratch), default=0)
    lengths = [longest if item.length == 1 else item.length for item in lowered.scratch]
    pairs = zip(lowered.scratch, lengths, strict=True)
    local = [f"{item.ctype} {item.name}[{length}] TN_SCRATCH;" for item, length in pairs]
    if call.struct:
        local.append(f"const {call.struct} p = {_nested(call.params, dict(copy.params))};")
    names = {"params": "&p", **copy.arrays, **{key: key for key in known}}
    names |= {item.name: item.name for item in lowered.scratch}
    text = call_text(call, names)
    read = {key for key in (OWN, LAYER) if any(f"{key}->" in line for line in (*local, text))}
    if copy.array:
        read.add(copy.array)
    given = tuple(key for key in known if key in read or "{" + key + "}" in call.arguments)
    return given, FunctionText(name, ", ".join(known[key] for key in given), local, [text])


def dispatch(name: str, tables: str, mode: str, wrapper: Wrapper, known: Mapping[str, str]) -> FunctionText:
    """The function that calls the copy for the network that runs."""
    given = tuple(key for key in known if any(key in passed for _, _, passed, _ in wrapper.copies))
    lines, calls = [], []
    for _, copy, passed, places in wrapper.copies:
        calls.append(f"{copy}({', '.join(_arguments(f'{_TABLES}->', passed, places, False))});")
    for number, call in enumerate(calls[:-1]):
        lines += [f"if ({_TABLES}->{mode} == {number}u) {{", f"    {call}", "    return;", "}"]
    return FunctionText(name, ", ".join((tables, *(known[key] for key in given))), lines, [calls[-1]])


def initializer(names: Sequence[str], values: Mapping[str, str]) -> str:
    """Initializer of a structure; members without a value are never read."""
    return "{" + ", ".join(f".{name} = {values.get(name, '0')}" for name in names) + "}"


def _arguments(tables: str, given: Sequence[str], places: Mapping[str, str], open_: bool) -> tuple[str, ...]:
    """What a copy is given: its structures, and tensors by name or, `open_`, by placeholder."""
    own = {name: f"{'' if name != OWN else '&'}{tables}{place}" for name, place in places.items()}
    if LAYER in places:
        own[LAYER] = f"&{places[LAYER]}"
    return tuple(own.get(name, "{" + name + "}" if open_ else name) for name in given)


def _nested(value: Init, expressions: Mapping[str, str], path: str = "") -> str:
    """Initializer of a structure from the expressions of its fields, by place."""
    if isinstance(value, int | str):
        return expressions[path]
    if isinstance(value, Mapping):
        prefix = f"{path}." if path else ""
        items = [f".{key} = {_nested(item, expressions, f'{prefix}{key}')}" for key, item in value.items()]
    else:
        items = [_nested(item, expressions, f"{path}[{number}]") for number, item in enumerate(value)]
    return "{" + ", ".join(items) + "}"
