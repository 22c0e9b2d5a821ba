"""Text of the layers: their constants, their own functions and the calls; layout is in the templates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from .literals import c_array, c_initializer, check_prefix, comment_safe, is_struct
from .ops.base import Array, Call, Lowered, Scratch
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
    """A copy of an inline kernel, a layer's own or a shared one: its parameters, locals and the call."""

    name: str
    parameters: str
    local: list[str]
    call: str


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
    """

    types: list[tuple[str, list[str]]]
    members: list[str]
    rows: list[list[str]]
    arrays: list[ArrayText]


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
        steps = [step for step in self.schedule.steps if step.lowered.inline and not step.again]
        if size:
            self.shared = share_modes(_uses(step for step in steps if step.macs < HEAVY_MACS), self.prefix)
        twins = [step for step in steps if size or step.macs < LIGHT_MACS]
        left = [use for use in _uses(twins) if (use.step, use.number) not in self.shared]
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
            text = " ".join(argument for call in step.lowered.calls for argument in call.arguments)
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
        return f"&{self.base(step)}.rows"

    def border(self, step: Step) -> str:
        """C expression of what row pointers of padding point at."""
        return f"{self.base(step)}_{step.lowered.border}" if step.lowered.border else "NULL"

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
        base = self.base(step)
        names = {array.name: f"{base}_{array.name}" for array in step.lowered.arrays} | dict(places)
        structs: list[StructText] = []
        calls: list[str] = []
        functions: list[FunctionText] = []
        for number, call in enumerate(step.lowered.calls):
            name = base if len(step.lowered.calls) == 1 else f"{base}_{number}"
            if call.struct:
                structs.append(struct_text(call, name, names))
            shared = self.shared.get((step.first, number))
            if shared is not None:
                if shared.first == step.index:
                    functions.append(_shared_function(call, shared, names))
                call = replace(call, function=shared.name, arguments=("{params}", *_passed(call)))
            elif step.lowered.inline:
                scratch = step.lowered.scratch
                functions.append(_function(call, f"{name}_step", {**names, "params": f"&{name}"}, scratch))
                call = replace(call, function=f"{name}_step", arguments=_passed(call))
            calls.append(call_text(call, {**names, "params": f"&{name}"}))
        arrays = [self.array(array, names[array.name]) for array in step.lowered.arrays]
        observe = [] if step.stage else self.observe(step)
        if step.again:
            return StepText(step.index, self.comment(step), [], [], calls, observe, [])
        return StepText(step.index, self.comment(step), arrays, structs, calls, observe, functions)

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


def _uses(steps: Iterable[Step]) -> list[Use]:
    return [
        Use(step.index, number, call, step.lowered) for step in steps for number, call in enumerate(step.lowered.calls)
    ]


def element_count(array: Array) -> int:
    """Elements as C counts them; a structure is one."""
    return len(array.values) if is_struct(array.values) else int(array.values.size)


def struct_text(call: Call, name: str, names: Mapping[str, str]) -> StructText:
    """Parameters of a call as a constant."""
    fields = [(key, c_initializer(value, names)) for key, value in call.params.items()]
    return StructText(name, call.struct, fields)


def call_text(call: Call, names: Mapping[str, str]) -> str:
    """C statement of a call with its placeholders filled."""
    return f"{call.function}({', '.join(argument.format(**names) for argument in call.arguments)});"


#: What a layer's own function is given, by placeholder.
_PARAMETERS = {
    "rows": "const int8_t **rows",
    "y": "unsigned y",
    **{f"in{position}": f"const int8_t *in{position}" for position in range(2)},
    "out0": "int8_t *out0",
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
        call_text(call, local),
    )


def _shared_function(call: Call, shared: Shared, names: Mapping[str, str]) -> FunctionText:
    """One copy for several layers: their parameters, with what they have in common written over as constants."""
    own = _function(call, shared.name, {**names, "params": "&p"}, shared.scratch)
    constants = [f"p.{place} = {c_initializer(value, {})};" for place, value in shared.constants]
    parameters = ", ".join(filter(None, (f"const {call.struct} *params", own.parameters)))
    return replace(own, parameters=parameters, local=[*own.local, f"{call.struct} p = *params;", *constants])
