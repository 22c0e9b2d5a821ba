"""Text of the layers: their constants, their own functions and the calls; layout is in the templates."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from .ir import Graph
from .literals import c_array, c_initializer, check_prefix, comment_safe, is_struct
from .ops import operator_of
from .ops.base import Array, Call, Chain, Init, Lowered, Scratch
from .schedule import Schedule, Step
from .sharing import HEAVY_MACS, LIGHT_MACS, Shared, Use, share_modes, share_twins
from .streaming import slice_bytes
from .targets import Target

CTYPES = {
    **{name: f"{name}_t" for name in ("int8", "uint8", "int16", "int32")},
    "bool": "uint8_t",
    "float32": "float",
}


@dataclass(frozen=True)
class ArrayText:
    """A constant array."""

    name: str
    ctype: str
    length: int
    lines: list[str]


@dataclass(frozen=True)
class StructText:
    """Parameters of a call."""

    name: str
    ctype: str
    fields: list[tuple[str, str]]


@dataclass(frozen=True)
class FunctionText:
    """A function of a layer: a copy of an inline kernel, its own or a shared one, or both calls of a chain."""

    name: str
    parameters: str
    local: list[str]
    body: list[str]
    outline: bool = True


@dataclass(frozen=True)
class StepText:
    """A layer: its constants, its own functions, its calls."""

    index: int
    comment: str
    arrays: list[ArrayText]
    structs: list[StructText]
    calls: list[str]
    observe: list[str]
    functions: list[FunctionText]


@dataclass(frozen=True)
class TablesText:
    """Constants of several networks that share the code, chosen by the state.

    Attributes
    ----------
    types : list of (str, list of str)
        Structures: name and declarations.
    members : list of str
        Declarations of the structure that holds all constants of one network.
    rows : list of list of str
        Its initializers, network by network.
    arrays : list of ArrayText
        Constants of all networks.
    functions : list of FunctionText
        Copies of kernels that several layers run.
    """

    types: list[tuple[str, list[str]]]
    members: list[str]
    rows: list[list[str]]
    arrays: list[ArrayText]
    functions: list[FunctionText]


class Emitter:
    """Writes the files of one model.

    `swapped` are the tensors whose spatial axes are exchanged in `graph`; `first_layer` is a C expression of the number
    under which the application knows the first layer, where it is not 0.
    """

    #: Stack that the code needs beyond that of its kernels.
    extra_stack = 0

    def __init__(self, schedule: Schedule, prefix: str, target: Target, swapped: frozenset[int] = frozenset()) -> None:
        self.graph = schedule.program.graph
        self.schedule = schedule
        self.prefix = check_prefix(prefix)
        self.target = target
        self.swapped = swapped
        self.shared: dict[tuple[int, int], Shared] = {}
        self.first_layer = ""

    def share_kernels(self, size: bool) -> None:
        """Give light twins one copy of their inline kernel; with `size`, layers of a kind and all twins."""
        uses = _uses(self.graph, (step for step in self.schedule.steps if not step.again))
        if size:
            self.shared = share_modes([use for use in uses if use.macs < HEAVY_MACS], self.prefix)
        twins = [use for use in uses if size or use.macs < LIGHT_MACS]
        left = [use for use in twins if (use.step, use.number) not in self.shared]
        self.shared |= share_twins(left, self.prefix)

    def place(self, tensor: int) -> str:
        """C expression of a tensor's address."""
        place = self.schedule.places[tensor]
        if place.kind == "input":
            return f"in->input{place.at}"
        if place.kind == "output":
            return f"out->output{place.at}"
        if place.kind == "constant":
            return f"{self.prefix}_t{place.at}"
        return f"arena + {place.at}" if place.at else "arena"

    def steps(self, segment: int) -> list[StepText]:
        """Layers by whole tensors that follow a segment."""
        steps = [step for step in self.schedule.steps if step.stage is None and step.segment == segment]
        return [self.step(step, self._names(step)) for step in steps]

    def constants(self) -> list[ArrayText]:
        """Constant tensors that kernels read as ordinary inputs."""
        used: dict[int, ArrayText] = {}
        for step in self.schedule.steps:
            text = " ".join(a for part in step.lowered.parts for call in part.calls for a in call.arguments)
            for position, index in enumerate(step.node.inputs):
                if index is None or f"{{in{position}}}" not in text:
                    continue
                tensor = self.graph.tensors[index]
                if tensor.data is not None:
                    array = Array(f"t{index}", CTYPES[tensor.dtype], tensor.data)
                    used[index] = self.array(array, f"{self.prefix}_t{index}")
        return list(used.values())

    def array(self, array: Array, name: str) -> ArrayText:
        """Text of a constant."""
        return ArrayText(
            name,
            array.ctype,
            element_count(array),
            c_array(array.values),
        )

    def base(self, step: Step) -> str:
        """Start of the names of a layer's constants."""
        return f"{self.prefix}_l{step.first}"

    def window(self, step: Step) -> str:
        """C expression of the address of the window that a layer moves along the stream."""
        return f"&{self.base(step)}.rows" if step.lowered.chain is None else f"&{axis_name(self.base(step))}"

    def border(self, step: Step) -> str:
        """C expression of what row pointers of padding point at."""
        name, base = step.lowered.parts[0].border, self.base(step)
        return f"{base}_{name}" if step.lowered.chain is None and name else f"{base}_0_{name}" if name else "NULL"

    def finish(self, step: Step, places: Mapping[str, str]) -> list[str]:
        """C statements that turn the accumulator of a reduction over a stream into its output."""
        assert step.stage is not None and step.stage.finish is not None
        names = {"params": f"&{self.base(step)}", **places}
        return [call_text(call, names) for call in step.stage.finish.calls]

    def translations(self) -> list[Lowered]:
        """Everything that the code consists of."""
        return [step.lowered for step in self.schedule.steps]

    def state_bytes(self) -> int:
        """Size of the generated state."""
        return self.schedule.state_bytes(self.target)

    def tables(self) -> TablesText | None:
        """Constants that are chosen at run time; none, unless several networks share the code."""
        return None

    def _names(self, step: Step) -> dict[str, str]:
        names = {"rows": "s->rows"}
        for position, index in enumerate(step.node.inputs):
            if index is not None and index in self.schedule.places:
                names[f"in{position}"] = self.place(index)
        return names | {f"out{position}": self.place(index) for position, index in enumerate(step.node.outputs)}

    def step(self, step: Step, places: Mapping[str, str]) -> StepText:
        """A layer with its tensors at these places; constants come with its first step."""
        base, lowered = self.base(step), step.lowered
        text = StepText(step.index, self.comment(step), [], [], [], [] if step.stage else self.observe(step), [])
        if lowered.chain is not None:
            self._chain(step, lowered.chain, places, text)
        else:
            for number in range(len(lowered.calls)):
                name = base if len(lowered.calls) == 1 else f"{base}_{number}"
                call, names = self._call(step, lowered, number, number, name, base, text)
                text.calls.append(call_text(call, {**names, **places}))
            text.arrays.extend(self.array(array, f"{base}_{array.name}") for array in lowered.arrays)
        return replace(text, arrays=[], structs=[], functions=[]) if step.again else text

    def _call(
        self, step: Step, lowered: Lowered, number: int, position: int, name: str, arrays: str, text: StepText
    ) -> tuple[Call, Mapping[str, str]]:
        """The call as it is written, with its parameters and function added to `text`."""
        call = lowered.calls[position]
        names = {array.name: f"{arrays}_{array.name}" for array in lowered.arrays} | {"params": f"&{name}"}
        if call.struct:
            text.structs.append(struct_text(call, name, names))
        shared = self.shared.get((step.first, number))
        if shared is not None:
            if shared.first == step.index and all(f.name != shared.name for f in text.functions):
                text.functions.append(_shared_function(call, shared, names))
            call = replace(call, function=shared.name, arguments=("{params}", *_passed(call)))
        elif lowered.inline:
            text.functions.append(_function(call, f"{name}_step", names, lowered.scratch))
            call = replace(call, function=f"{name}_step", arguments=_passed(call))
        return call, names

    def _chain(self, step: Step, chain: Chain, places: Mapping[str, str], text: StepText) -> None:
        """Both kernels of a layer, with the function that calls them for one row of output."""
        base = self.base(step)
        text.structs.append(StructText(axis_name(base), "tn_axis", _fields(chain.rows, {})))
        called = []
        for number, part in enumerate(step.lowered.parts):
            name = f"{base}_{number}"
            called.append(self._call(step, part, number, 0, name, name, text))
            text.arrays.extend(self.array(array, f"{name}_{array.name}") for array in part.arrays)
        (first, first_names), (second, second_names) = called
        function = chain_function(f"{base}_rows", chain, first, first_names, second, second_names)
        text.functions.append(function)
        given = [key for key in ("rows", "y", "out0", "between") if _PARAMETERS[key] in function.parameters]
        held = self.schedule.between.get(step.node.outputs[0], 0)
        names = {**places, "between": f"arena + {held}" if held else "arena"}
        if step.stage is not None:
            text.calls.append(call_text(Call(function.name, tuple(f"{{{key}}}" for key in given)), names))
            return
        size, out = slice_bytes(self.graph.input(step.node, 0)), slice_bytes(self.graph.output(step.node))
        border = self.border(step)
        pointers = f"&{axis_name(base)}, {places['in0']}, {size}, (int)y"
        rows = places["rows"]
        window = (
            f"tn_window_rows({pointers}, {rows})"
            if border == "NULL"
            else f"tn_border_rows({pointers}, {border}, {rows})"
        )
        names |= {"y": "y", "out0": f"{places['out0']} + (size_t)y * {out}"}
        call = call_text(Call(function.name, tuple(f"{{{key}}}" for key in given)), names)
        text.calls.extend(
            [f"for (unsigned y = 0; y < {chain.rows['out']}u; ++y) {{", f"    {window};", f"    {call}", "}"]
        )

    def observe(self, step: Step) -> list[str]:
        """Show the whole output, slice by slice where its axes are exchanged."""
        output = self.graph.output(step.node)
        at = self.place(output.index)
        if output.index not in self.swapped:
            return [f"OBSERVE({step.index}, {at}, 0, 1, {output.bytes}, 0);"]
        size = slice_bytes(output)
        slices = range(output.shape[1])
        return [self.observe_slice(step, f"{at} + {y * size}", str(y)) for y in slices]

    def observe_slice(self, step: Step, at: str, y: str) -> str:
        """Show one slice, in parts that are contiguous in the tensor as the model has it."""
        output = self.graph.output(step.node)
        size = slice_bytes(output)
        if output.index not in self.swapped:
            return f"OBSERVE({step.index}, {at}, {y} * {size}, 1, {size}, 0);"
        features = output.bytes // (output.shape[1] * output.shape[2])
        runs, stride = output.shape[2], output.shape[1] * features
        return f"OBSERVE({step.index}, {at}, {y} * {features}, {runs}, {features}, {stride});"

    def comment(self, step: Step) -> str:
        """What a layer is."""
        node, graph = step.node, self.graph
        sources = [graph.tensors[i] for i in node.inputs if i is not None and graph.tensors[i].data is None]
        target = graph.output(node)
        shapes = " and ".join(str(list(t.shape)) for t in sources)
        attributes = ", ".join(f"{key}={value}" for key, value in node.attrs.items())
        text = f"layer {step.index}: {node.op} {shapes} -> {list(target.shape)}" + (
            f", {attributes}" if attributes else ""
        )
        return f"{text}, '{comment_safe(target.name)}'"


def _uses(graph: Graph, steps: Iterable[Step]) -> list[Use]:
    """Calls of inline kernels; those of a chain are numbered by its parts."""
    found = []
    for step in steps:
        chain = step.lowered.chain
        if chain is None:
            calls = [(step.lowered, call, step.node) for call in step.lowered.calls]
        else:
            parts = zip(step.lowered.parts, chain.nodes, strict=True)
            calls = [(part, call, node) for part, node in parts for call in part.calls]
        for number, (part, call, node) in enumerate(calls):
            if part.inline:
                found.append(Use(step.index, number, call, part, operator_of(node).macs(graph, node)))
    return found


def axis_name(base: str) -> str:
    """Name of the window of a layer that is a chain."""
    return f"{base}_axis"


def element_count(array: Array) -> int:
    """Elements as C counts them; a structure is one."""
    return len(array.values) if is_struct(array.values) else int(array.values.size)


def struct_text(call: Call, name: str, names: Mapping[str, str]) -> StructText:
    """Parameters of a call as a constant."""
    return StructText(name, call.struct, _fields(call.params, names))


def _fields(params: Mapping[str, Init], names: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(key, c_initializer(value, names)) for key, value in params.items()]


def call_text(call: Call, names: Mapping[str, str]) -> str:
    """C statement of a call with its placeholders filled."""
    return f"{call.function}({', '.join(argument.format(**names) for argument in call.arguments)});"


#: Inputs and outputs of a layer whose kernel is inline.
MOST_PORTS = 16
#: What a layer's own function is given, by placeholder.
_PARAMETERS = {
    "rows": "const int8_t **rows",
    "y": "unsigned y",
    "step": "int step",
    **{f"in{position}": f"const int8_t *in{position}" for position in range(MOST_PORTS)},
    **{f"out{position}": f"int8_t *out{position}" for position in range(MOST_PORTS)},
    "between": "int8_t *between",
    "acc": "int32_t *acc",
    "few": "int8_t *few",
}


def _passed(call: Call) -> tuple[str, ...]:
    """Arguments of a call that are not constants or local arrays of the layer."""
    return tuple(argument for argument in call.arguments if argument.strip("{}") in _PARAMETERS)


def _function(call: Call, name: str, names: Mapping[str, str], scratch: Sequence[Scratch]) -> FunctionText:
    given = [argument.strip("{}") for argument in _passed(call)]
    local = {**names, **{key: key for key in given}, **{item.name: item.name for item in scratch}}
    return FunctionText(
        name,
        ", ".join(_PARAMETERS[key] for key in given),
        [f"{item.ctype} {item.name}[{item.length}] TN_SCRATCH;" for item in scratch],
        [call_text(call, local)],
        outline=not moves_few(call),
    )


#: Bytes that a copy moves without a function of its own being worth it.
_FEW_MOVED = 64


def moves_few(call: Call) -> bool:
    """Whether a call copies a few bytes: the C compiler may then write it where it is called."""
    size, run = call.params.get("size"), call.params.get("run")
    return call.struct == "tn_copy_dsp" and isinstance(size, tuple) and math.prod(size) * int(str(run)) <= _FEW_MOVED


def chain_function(
    name: str, chain: Chain, first: Call, first_names: Mapping[str, str], second: Call, second_names: Mapping[str, str]
) -> FunctionText:
    """The function of a chain for one row of output, which keeps the rows in between on its stack or is given room."""
    local = [f"int8_t between[{chain.bytes}] TN_SCRATCH;"] if chain.on_stack else []
    local.append(f"const int8_t *made[{chain.made}];")
    last = call_text(second, {**second_names, "rows": "made", "y": "y", "out0": "out0"})
    if chain.made == 1:
        make = call_text(first, {**first_names, "rows": "rows", "y": "y", "out0": "between"})
        body = ["made[0] = between;", make, last]
    else:
        at = f"between + r * {chain.row_bytes}u"
        names = {**first_names, "rows": f"rows + r * {chain.distance}u", "y": f"{chain.made}u * y + r", "out0": at}
        make = call_text(first, names)
        ends = chain.length % chain.made != 0
        guard = [f"    if ({chain.made}u * y + r < {chain.length}u) {{", f"        {make}", "    }"]
        body = [f"for (unsigned r = 0; r < {chain.made}u; ++r) {{", f"    made[r] = {at};"]
        body += [*(guard if ends else [f"    {make}"]), "}", last]
    counts = any(re.search(r"\by\b", line) for line in body)
    parameters = ("rows", *(("y",) if counts else ()), "out0", *(() if chain.on_stack else ("between",)))
    return FunctionText(name, ", ".join(_PARAMETERS[key] for key in parameters), local, body)


def _shared_function(call: Call, shared: Shared, names: Mapping[str, str]) -> FunctionText:
    """One copy for several layers: their parameters, with what they have in common written over as constants."""
    own = _function(call, shared.name, {**names, "params": "&p"}, shared.scratch)
    constants = [f"p.{place} = {c_initializer(value, {})};" for place, value in shared.constants]
    # Never so: it tells the C compiler what needs no code.
    present = [line for place in shared.present for line in (f"if (p.{place} == NULL) {{", "    return;", "}")]
    parameters = ", ".join(filter(None, (f"const {call.struct} *params", own.parameters)))
    local = [*own.local, f"{call.struct} p = *params;", *constants, *present]
    return replace(own, parameters=parameters, local=local)
