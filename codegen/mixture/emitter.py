"""Text of the layers of several networks of one structure: one copy of the code, and what each has of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..cost import array_bytes
from ..emit_steps import CTYPES, ArrayText, Emitter, FunctionText, StepText, StructText, TablesText, call_text
from ..literals import c_initializer
from ..ops.base import SUM_BYTES, Array, Call, Init, Lowered
from ..schedule import Draft, Schedule, Step, state_bytes
from ..targets import Target
from .joint import Copy, Entry, Use, join, same_array

#: Parameters of a kernel, which a copy keeps on the stack.
_STACK_BYTES = 160


@dataclass(frozen=True)
class _Wrapper:
    """A call with its function; `call` still has places to fill in."""

    functions: tuple[FunctionText, ...]
    call: Call


@dataclass(frozen=True)
class _Function:
    """A generated function: what it is given, by placeholder, and its text where it has yet to be written."""

    name: str
    given: tuple[str, ...]
    text: FunctionText | None


class TablesEmitter(Emitter):
    """Writes the files of networks of one structure; the state tells which of them runs.

    Parameters
    ----------
    schedule : Schedule
        Of the first network.
    drafts : sequence of Draft
        Of all networks, the first included, step by step alike.
    """

    extra_stack = _STACK_BYTES

    def __init__(
        self, schedule: Schedule, prefix: str, target: Target, swapped: frozenset[int], drafts: Sequence[Draft]
    ) -> None:
        super().__init__(schedule, prefix, target, swapped)
        self.first_layer = f"{prefix}_first_layer"
        self.steps_of = [[draft.steps[step.index] for draft in drafts] for step in schedule.steps]
        self.graphs = [draft.graph for draft in drafts]
        self._members: dict[str, str] = {}
        self._values: list[dict[str, str]] = [{} for _ in drafts]
        self._known: dict[str, str] = {}
        self._types: dict[tuple[tuple[str, str], ...], str] = {}
        self._extra: list[ArrayText] = []
        self._bodies: dict[tuple[str, ...], str] = {}
        self._wrappers: dict[tuple[int, int], _Wrapper] = {}

    # --- what the networks have in common -------------------------------------------------------------------

    def translations(self) -> list[Lowered]:
        """Everything that the code consists of."""
        return [step.lowered for steps in self.steps_of for step in steps]

    def layer_bytes(self, index: int) -> int:
        """Constants of a layer, of all networks."""
        step = self.schedule.steps[index]
        found = {
            names[array.name]: array_bytes(array)
            for names, one in zip(self._arrays(step), self._alike(step), strict=True)
            for array in one.lowered.arrays
        }
        return sum(found.values())

    def state_bytes(self) -> int:
        """Size of the generated state: it begins with the address of the network's constants."""
        schedule = self.schedule
        return state_bytes(schedule.window_rows + 1, schedule.counters, schedule.plan.bytes, self.target)

    def window(self, step: Step) -> str:
        """The window is the same in every network."""
        return super().window(step) if self._plain(step) else f"&{self.base(step)}_rows"

    def border(self, step: Step) -> str:
        """What row pointers of padding point at; it may differ as zero points do."""
        arrays = self._arrays(step)
        names = [arrays[n].get(one.lowered.border, "NULL") for n, one in enumerate(self._alike(step))]
        return self._choice(f"l{step.first}_border", "const int8_t *", names)

    def finish(self, step: Step, places: Mapping[str, str]) -> list[str]:
        """Statements that end a reduction over the stream."""
        if self._plain(step):
            return super().finish(step, places)
        return [call_text(self._wrapper(step, -1).call, places)]

    def _alike(self, step: Step) -> list[Step]:
        """The step in every network."""
        return self.steps_of[step.first]

    def _plain(self, step: Step) -> bool:
        """Whether the layer is the same in every network."""
        first, *others = (one.lowered for one in self._alike(step))
        return all(_equal(first, other) for other in others)

    def _arrays(self, step: Step) -> list[dict[str, str]]:
        """C names of the layer's arrays in every network; those that are equal are one."""
        found: list[dict[str, str]] = []
        seen: dict[str, list[tuple[Array, str]]] = {}
        for number, one in enumerate(self._alike(step)):
            names = {}
            for array in one.lowered.arrays:
                known = seen.setdefault(array.name, [])
                same = [name for other, name in known if same_array(other, array)]
                suffix = f"_{number}" if known else ""
                names[array.name] = same[0] if same else f"{self.base(step)}_{array.name}{suffix}"
                if not same:
                    known.append((array, names[array.name]))
            found.append(names)
        return found

    def _choice(self, member: str, ctype: str, names: Sequence[str]) -> str:
        """C expression of one of several addresses, by the network that runs."""
        if len(set(names)) == 1:
            return names[0]
        self._add(member, f"{ctype}{member};", names)
        return f"s->tables->{member}"

    def _add(self, member: str, declaration: str, values: Sequence[str]) -> None:
        self._members[member] = declaration
        for network, value in enumerate(values):
            self._values[network][member] = value

    # --- constants that kernels read as inputs --------------------------------------------------------------

    def constants(self) -> list[ArrayText]:
        """Constant tensors that are the same in every network; the others are in the tables."""
        used: dict[int, ArrayText] = {}
        for step in self.schedule.steps:
            for position, index in enumerate(step.node.inputs):
                if index is not None and _reads(step, position) and self._constant(step, position) is None:
                    tensor = self.graph.tensors[index]
                    if tensor.data is not None:
                        array = Array(f"t{index}", CTYPES[tensor.dtype], tensor.data)
                        used[index] = self.array(array, f"{self.prefix}_t{index}")
        return list(used.values())

    def _constant(self, step: Step, position: int) -> list[Array] | None:
        """Values of a constant input where the networks differ; None where they do not."""
        index = step.node.inputs[position]
        if index is None or self.graph.tensors[index].data is None:
            return None
        arrays = []
        for graph, one in zip(self.graphs, self._alike(step), strict=True):
            tensor = graph.input(one.node, position)
            assert tensor.data is not None
            arrays.append(Array(f"in{position}", CTYPES[tensor.dtype], tensor.data))
        return arrays if any(not same_array(arrays[0], array) for array in arrays) else None

    def _constant_places(self, step: Step) -> dict[str, str]:
        places = {}
        for position in range(len(step.node.inputs)):
            arrays = self._constant(step, position) if _reads(step, position) else None
            if arrays is None:
                continue
            member = f"l{step.first}_in{position}"
            names = [f"{self.prefix}_{member}_{number}" for number in range(len(arrays))]
            if member not in self._members:
                self._extra += [self.array(array, name) for array, name in zip(arrays, names, strict=True)]
            places[f"in{position}"] = self._choice(member, f"const {arrays[0].ctype} *", names)
        return places

    # --- layers ---------------------------------------------------------------------------------------------

    def step(self, step: Step, places: Mapping[str, str]) -> StepText:
        """A layer with its tensors at these places."""
        places = {**places, **self._constant_places(step)}
        if self._plain(step):
            return super().step(step, places)
        numbers = [*range(len(step.lowered.calls)), *([-1] if step.stage and step.stage.finish else [])]
        wrappers = {number: self._wrapper(step, number) for number in numbers}
        calls = [call_text(wrapper.call, places) for number, wrapper in wrappers.items() if number >= 0]
        observe = [] if step.stage else self.observe(step)
        if step.again:
            return StepText(step.index, self.comment(step), [], [], calls, observe, [])
        functions = [function for wrapper in wrappers.values() for function in wrapper.functions]
        return StepText(
            step.index, self.comment(step), self._array_texts(step), self._windows(step), calls, observe, functions
        )

    def _array_texts(self, step: Step) -> list[ArrayText]:
        texts: dict[str, ArrayText] = {}
        for names, one in zip(self._arrays(step), self._alike(step), strict=True):
            for array in one.lowered.arrays:
                name = names[array.name]
                texts.setdefault(name, self.array(array, name))
        return list(texts.values())

    def _windows(self, step: Step) -> list[StructText]:
        if step.stage is None or not step.lowered.window_rows:
            return []
        rows = step.lowered.calls[0].params["rows"]
        assert isinstance(rows, Mapping)
        fields = [(key, c_initializer(value, {})) for key, value in rows.items()]
        return [StructText(f"{self.base(step)}_rows", "tn_axis", fields)]

    def _wrapper(self, step: Step, number: int) -> _Wrapper:
        """A call of the layer, or with -1 the one that ends its reduction."""
        key = (step.first, number)
        if key not in self._wrappers:
            self._wrappers[key] = self._wrap(step, number)
        return self._wrappers[key]

    def _wrap(self, step: Step, number: int) -> _Wrapper:
        names = self._arrays(step)
        joint = join([Use(_call(one, number), one.lowered, names[n]) for n, one in enumerate(self._alike(step))])
        several = len(step.lowered.calls) > 1
        member = f"l{step.first}" + ("_finish" if number < 0 else f"_{number}" if several else "")
        place = self._place_entry(member, joint.entry)
        known = {**({"k": f"const {place[0]} *k"} if place else {}), **self._given(step)}
        base = f"{self.prefix}_{member}_step"
        copies = [_function(f"{base}{n}" if joint.mode else base, c, known) for n, c in enumerate(joint.copies)]
        found = [*copies, _dispatch(base, joint.mode, copies, known)] if joint.mode else self._once(copies[0])
        function = found[-1]
        own = {"k": f"&s->tables->{place[1]}"} if place else {}
        arguments = tuple(own.get(name, "{" + name + "}") for name in function.given)
        texts = tuple(one.text for one in found if one.text is not None)
        return _Wrapper(texts, Call(function.name, arguments))

    def _once(self, function: _Function) -> list[_Function]:
        """The function; without its text where one that reads the same is there already."""
        assert function.text is not None
        body = (function.text.parameters, *function.text.local, *function.text.body)
        name = self._bodies.setdefault(body, function.name)
        return [function if name == function.name else _Function(name, function.given, None)]

    def _given(self, step: Step) -> dict[str, str]:
        """Declarations of what a layer's function may be given, by placeholder."""
        stage = step.stage
        found = {"rows": "const int8_t **rows", "y": "unsigned y"}
        found |= {f"in{n}": f"const int8_t *in{n}" for n in range(len(step.node.inputs))}
        if stage is not None and stage.finish is not None:
            wide = stage.accumulator_bytes == SUM_BYTES * self.graph.output(step.node).elements
            found |= {"acc": "int32_t *acc" if wide else "int8_t *acc", "few": "int8_t *few"}
        return found | {f"out{n}": f"int8_t *out{n}" for n in range(len(step.node.outputs))}

    def _place_entry(self, member: str, entry: Entry) -> tuple[str, str] | None:
        """Type and member of the tables that holds what the layer has of its own; None where that is nothing."""
        if not entry.types:
            return None
        kinds = tuple(sorted(entry.types.items(), key=lambda item: (_size(item[1]), item[0])))
        kind = self._types.setdefault(kinds, f"{self.prefix}_own{len(self._types)}")
        texts = [_initializer([name for name, _ in kinds], values) for values in entry.values]
        content = f"{kind} {' '.join(texts)}"
        if content not in self._known:
            self._known[content] = member
            self._add(member, f"{kind} {member};", texts)
        return kind, self._known[content]

    def tables(self) -> TablesText:
        """What each network has of its own; asked for when all layers are written."""
        types = [(name, [f"{_declare(kind, field)};" for field, kind in kinds]) for kinds, name in self._types.items()]
        members = list(self._members.values()) or ["uint8_t unused;"]
        rows = [[f".{member} = {values[member]}," for member in self._members] or ["0,"] for values in self._values]
        return TablesText(types, members, rows, self._extra)


def _equal(a: Lowered, b: Lowered) -> bool:
    if len(a.arrays) != len(b.arrays) or any(
        x.name != y.name or not same_array(x, y) for x, y in zip(a.arrays, b.arrays, strict=True)
    ):
        return False
    return a.calls == b.calls and a.inline == b.inline and a.scratch == b.scratch


def _reads(step: Step, position: int) -> bool:
    return any(f"{{in{position}}}" in argument for call in step.lowered.calls for argument in call.arguments)


def _call(step: Step, number: int) -> Call:
    if number >= 0:
        return step.lowered.calls[number]
    assert step.stage is not None and step.stage.finish is not None
    (call,) = step.stage.finish.calls
    first = step.lowered.calls[0]  # both read the same parameters
    return replace(call, struct=first.struct, params=first.params)


def _declare(ctype: str, name: str) -> str:
    return f"{ctype}{name}" if ctype.endswith("*") else f"{ctype} {name}"


_SIZES = {"int8_t": 3, "uint8_t": 3, "int16_t": 2, "uint16_t": 2}


def _size(ctype: str) -> int:
    """Rank by which members are laid out: large ones first, so that nothing lies between them."""
    return 0 if ctype.endswith("*") else _SIZES.get(ctype, 1)


def _initializer(names: Sequence[str], values: Mapping[str, str]) -> str:
    return "{" + ", ".join(f".{name} = {values.get(name, '0')}" for name in names) + "}"


def _function(name: str, copy: Copy, known: Mapping[str, str]) -> _Function:
    """A copy of a kernel as a function of what it needs out of `known`, declarations by name."""
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
    own = any("k->" in line for line in (*local, text))
    given = tuple(key for key in known if (own if key == "k" else "{" + key + "}" in call.arguments))
    return _Function(name, given, FunctionText(name, ", ".join(known[key] for key in given), local, [text]))


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


def _dispatch(name: str, mode: str, copies: Sequence[_Function], known: Mapping[str, str]) -> _Function:
    """The function that calls the copy for the network that runs."""
    given = tuple(key for key in known if key == "k" or any(key in copy.given for copy in copies))
    lines = []
    for number, copy in enumerate(copies[:-1]):
        lines += [f"if (k->{mode} == {number}u) {{", f"    {copy.name}({', '.join(copy.given)});", "    return;", "}"]
    call = f"{copies[-1].name}({', '.join(copies[-1].given)});"
    return _Function(name, given, FunctionText(name, ", ".join(known[key] for key in given), lines, [call]))
