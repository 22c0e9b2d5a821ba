"""Text of the layers of several networks of one structure: one copy of the code, and what each has of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..cost import array_bytes
from ..emit_steps import (
    CTYPES,
    ArrayText,
    Emitter,
    FunctionText,
    StepText,
    StructText,
    TablesText,
    call_text,
    element_count,
)
from ..literals import c_array, c_initializer, is_struct
from ..ops.base import SUM_BYTES, Array, Call, Lowered
from ..schedule import Draft, Schedule, Step, state_bytes
from ..targets import Target
from .copies import Wrapper, copy_function, dispatch, initializer
from .joint import LAYER, OWN, Copy, Entry, Site, Use, join, same_array

#: Parameters of a kernel, which a copy keeps on the stack.
_STACK_BYTES = 160
#: Kernels that read so few constants that layers in a stream share copies, too.
_SUMS = frozenset({"tn_add_s8_dsp", "tn_mul_s8_dsp"})
#: Runs of a copy up to which it is written out, which takes no more than sharing it.
_FEW_RUNS = 4


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
        self._common: list[FunctionText] = []
        self._contents: dict[str, Array] = {}
        self._inside: set[str] = set()
        self._wrappers = self._wrap_all()

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
        return [call_text(self._wrappers[step.first, -1].call, places)]

    def _alike(self, step: Step) -> list[Step]:
        """The step in every network."""
        return self.steps_of[step.first]

    def _plain(self, step: Step) -> bool:
        """Whether the layer is the same in every network, and has code of its own."""
        first, *others = (one.lowered for one in self._alike(step))
        if first.inline and (first.inline in _SUMS if step.stage else not _is_written_out(first)):
            return False
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
        wrappers = {number: self._wrappers[step.first, number] for number in _numbers(step)}
        calls = [call_text(wrapper.call, places) for number, wrapper in wrappers.items() if number >= 0]
        observe = [] if step.stage else self.observe(step)
        if step.again:
            return StepText(step.index, self.comment(step), [], [], calls, observe, [])
        structs = [*self._windows(step), *(struct for wrapper in wrappers.values() for struct in wrapper.structs)]
        functions = [function for wrapper in wrappers.values() for function in wrapper.functions]
        return StepText(step.index, self.comment(step), self._array_texts(step), structs, calls, observe, functions)

    def _array_texts(self, step: Step) -> list[ArrayText]:
        texts: dict[str, ArrayText] = {}
        for names, one in zip(self._arrays(step), self._alike(step), strict=True):
            for array in one.lowered.arrays:
                name = names[array.name]
                if name not in self._inside:
                    texts.setdefault(name, self.array(array, name))
        return list(texts.values())

    def _windows(self, step: Step) -> list[StructText]:
        if step.stage is None or not step.lowered.window_rows:
            return []
        rows = step.lowered.calls[0].params["rows"]
        assert isinstance(rows, Mapping)
        fields = [(key, c_initializer(value, {})) for key, value in rows.items()]
        return [StructText(f"{self.base(step)}_rows", "tn_axis", fields)]

    # --- copies of kernels ----------------------------------------------------------------------------------

    def _wrap_all(self) -> dict[tuple[int, int], Wrapper]:
        """Every call of the layers that differ, by step and number; -1 is the one that ends a reduction."""
        steps = [step for step in self.schedule.steps if not step.again and not self._plain(step)]
        keys = [(step, number) for step in steps for number in _numbers(step)]
        copies = join([self._site(step, number) for step, number in keys])
        found = {
            (step.first, number): Wrapper(self._member(step, number), _only_input(_call(step, number)))
            for step, number in keys
        }
        wrappers = list(found.values())
        for number, wrapper in enumerate(wrappers):
            wrapper.several = sum(number in copy.users for copy in copies) > 1
        for copy in copies:
            users = {wrappers[site]: networks for site, networks in copy.users.items()}
            first, _ = keys[next(iter(copy.users))]
            self._place_copy(copy, users, self._given(first))
        for (step, _), wrapper in zip(keys, wrappers, strict=True):
            if len(wrapper.copies) > 1:
                self._dispatch(wrapper, self._given(step))
        return found

    def _member(self, step: Step, number: int) -> str:
        return f"l{step.first}" + ("_finish" if number < 0 else f"_{number}" if len(step.lowered.calls) > 1 else "")

    def _site(self, step: Step, number: int) -> Site:
        names = self._arrays(step)
        for one, known in zip(self._alike(step), names, strict=True):
            self._contents |= {known[array.name]: array for array in one.lowered.arrays}
        uses = [Use(_call(one, number), one.lowered, names[n]) for n, one in enumerate(self._alike(step))]
        return Site([_first_input(use) for use in uses], self._given(step), step.stage is None, step.macs)

    def _place_copy(self, copy: Copy, users: Mapping[Wrapper, tuple[int, ...]], given: Mapping[str, str]) -> None:
        """Write a copy, and what every layer and network has of its own in it."""
        first = next(iter(users))
        own, layer = "" if copy.array else self._type(copy.own), self._type(copy.layer)
        number = str(len(first.copies)) if first.several else ""
        name = f"{self.prefix}_{first.member}_step{number}"
        structures = {OWN: f"const {own} *{OWN}"} if own else {}
        if copy.array:
            structures[copy.array] = f"{copy.own.types[copy.array]}{copy.array}"
        structures |= {LAYER: f"const {layer} *{LAYER}"} if layer else {}
        passed, text = copy_function(name, copy, {**structures, **given})
        for site, (wrapper, networks) in zip(copy.users, users.items(), strict=True):
            places = {}
            if copy.array:
                names = [copy.own.values[site, network][copy.array] for network in networks]
                places[copy.array] = self._place_array(f"{wrapper.member}_{copy.array}", networks, names)
            elif own:
                rows = [copy.own.values.get((site, network), {}) for network in range(len(self.graphs))]
                places[OWN] = self._place_own(wrapper, own, [initializer(list(copy.own.types), row) for row in rows])
            if layer:
                places[LAYER] = f"{self.prefix}_{wrapper.member}_sizes{len(wrapper.copies) or ''}"
                wrapper.structs.append(StructText(places[LAYER], layer, list(copy.layer.values[site].items())))
            wrapper.copies.append((networks, name, passed, places))
        (first.functions if len(users) == 1 else self._common).append(text)

    def _type(self, entry: Entry) -> str:
        """Structure with these members; empty where there are none."""
        if not entry.types:
            return ""
        kinds = tuple(sorted(entry.types.items(), key=lambda item: (_size(item[1]), item[0])))
        return self._types.setdefault(kinds, f"{self.prefix}_own{len(self._types)}")

    def _place_own(self, wrapper: Wrapper, kind: str, texts: Sequence[str]) -> str:
        """Member of the tables that holds what the layer has of its own; layers that have the same share one."""
        content = f"{kind} {' '.join(texts)}"
        if content not in self._known:
            member = f"{wrapper.member}_{len(wrapper.copies)}" if wrapper.copies else wrapper.member
            self._known[content] = member
            self._add(member, f"{kind} {member};", texts)
        return self._known[content]

    def _place_array(self, member: str, networks: Sequence[int], names: Sequence[str]) -> str:
        """Member of the tables that is an array of each network: in place where all have one as long as the others'."""
        arrays = [self._contents[name] for name in names]
        ctype, length = arrays[0].ctype, element_count(arrays[0])
        alike = len(set(names)) == len(self.graphs) and len({element_count(array) for array in arrays}) == 1
        if alike and not is_struct(arrays[0].values):
            self._add(member, f"{ctype} {member}[{length}];", ["{" + " ".join(c_array(a.values)) + "}" for a in arrays])
            self._inside.update(names)
        else:
            known = dict(zip(networks, names, strict=True))
            rows = [known.get(network, "NULL") for network in range(len(self.graphs))]
            self._add(member, f"const {ctype} *{member};", rows)
        return member

    def _dispatch(self, wrapper: Wrapper, given: Mapping[str, str]) -> None:
        """Add the function that calls the copy for the network that runs."""
        mode = f"{wrapper.member}_mode"
        which = {network: str(n) for n, (networks, *_) in enumerate(wrapper.copies) for network in networks}
        self._add(mode, f"uint8_t {mode};", [which[network] for network in range(len(self.graphs))])
        tables = f"const {self.prefix}_tables *t"
        wrapper.functions.append(dispatch(f"{self.prefix}_{wrapper.member}_step", tables, mode, wrapper, given))

    def _given(self, step: Step) -> dict[str, str]:
        """Declarations of what a layer's function may be given, by placeholder."""
        stage = step.stage
        found = {"rows": "const int8_t **rows", "y": "unsigned y", "step": "int step"}
        found |= {f"in{n}": f"const int8_t *in{n}" for n in range(len(step.node.inputs))}
        if stage is not None and stage.finish is not None:
            wide = stage.accumulator_bytes == SUM_BYTES * self.graph.output(step.node).elements
            found |= {"acc": "int32_t *acc" if wide else "int8_t *acc", "few": "int8_t *few"}
        return found | {f"out{n}": f"int8_t *out{n}" for n in range(len(step.node.outputs))}

    def tables(self) -> TablesText:
        """What each network has of its own; asked for when all layers are written."""
        types = [(name, [f"{_declare(kind, field)};" for field, kind in kinds]) for kinds, name in self._types.items()]
        names = sorted(self._members, key=lambda name: self._members[name].startswith("uint8_t"))
        members = [self._members[name] for name in names] or ["uint8_t unused;"]
        rows = [[f".{name} = {values[name]}," for name in names] or ["0,"] for values in self._values]
        return TablesText(types, members, rows, self._extra, self._common)


def _equal(a: Lowered, b: Lowered) -> bool:
    if len(a.arrays) != len(b.arrays) or any(
        x.name != y.name or not same_array(x, y) for x, y in zip(a.arrays, b.arrays, strict=True)
    ):
        return False
    return a.calls == b.calls and a.inline == b.inline and a.scratch == b.scratch


def _is_written_out(lowered: Lowered) -> bool:
    sizes = [call.params.get("size") for call in lowered.calls if call.struct in ("tn_copy", "tn_copy_dsp")]
    return any(isinstance(size, Sequence) and int(str(size[-1])) <= _FEW_RUNS for size in sizes)


def _reads(step: Step, position: int) -> bool:
    return any(f"{{in{position}}}" in argument for call in step.lowered.calls for argument in call.arguments)


def _only_input(call: Call) -> str:
    """The input that a call reads, where it is one and has parameters; calls that read another are of one kind."""
    inputs = [argument.strip("{}") for argument in call.arguments if argument.startswith("{in")]
    return inputs[0] if len(inputs) == 1 else "in0"


def _first_input(use: Use) -> Use:
    """The call as if it read the first input."""
    read = "{" + _only_input(use.call) + "}"
    arguments = tuple("{in0}" if argument == read else argument for argument in use.call.arguments)
    return replace(use, call=replace(use.call, arguments=arguments))


def _numbers(step: Step) -> list[int]:
    """Calls of a layer by number; -1 is the one that ends its reduction over a stream."""
    return [*range(len(step.lowered.calls)), *([-1] if step.stage and step.stage.finish else [])]


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
