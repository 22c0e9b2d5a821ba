"""Turn a schedule into C: decisions here, layout in the templates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .ir import Graph, Tensor
from .library import kernel_files, kernel_header, library_json, manifest, render, stack_bound
from .literals import c_array, c_initializer, check_prefix, comment_safe, is_struct
from .memory import aligned
from .model import LayerInfo, TensorInfo
from .ops.base import Array, Call, Lowered
from .schedule import Schedule, Step
from .streaming import Stream, slice_bytes
from .targets import Target

CTYPES = {
    **{name: f"{name}_t" for name in ("int8", "uint8", "int16", "int32")},
    "bool": "uint8_t",
    "float32": "float",
}
#: Bytes of one element of each array type.
_ITEM_BYTES = {
    **{"int8_t": 1, "int32_t": 4, "uint32_t": 4},
    **{"tn_channel": 16, "tn_dsp_channel": 16, "tn_dsp_signed_channel": 24},
}

# --- pieces of the generated file ---------------------------------------------------------------------------


@dataclass(frozen=True)
class _ArrayText:
    name: str
    ctype: str
    length: int
    lines: list[str]


@dataclass(frozen=True)
class _StructText:
    name: str
    ctype: str
    fields: list[tuple[str, str]]


@dataclass(frozen=True)
class _FunctionText:
    """A layer's own copy of an inline kernel: its parameters, local arrays and the call."""

    name: str
    parameters: str
    scratch: list[str]
    call: str


@dataclass(frozen=True)
class _StepText:
    index: int
    comment: str
    arrays: list[_ArrayText]
    structs: list[_StructText]
    calls: list[str]
    observe: list[str]
    functions: list[_FunctionText]


class Emitter:
    """Writes the files of one model.

    `swapped` are the tensors whose spatial axes are exchanged in `graph`.
    """

    def __init__(
        self, graph: Graph, schedule: Schedule, prefix: str, target: Target, swapped: frozenset[int] = frozenset()
    ) -> None:
        self.graph = graph
        self.schedule = schedule
        self.prefix = check_prefix(prefix)
        self.target = target
        self.swapped = swapped

    @property
    def state_bytes(self) -> int:
        """Size of the generated state structure: row pointers, slice counters, then the arena."""
        rows = self.schedule.window_rows * self.target.pointer_bytes
        counters = -(-2 * self.counters // 4) * 4
        arena = max(self.schedule.plan.bytes, 4)
        unit = self.target.pointer_bytes if rows else 4
        return -(-(rows + counters + arena) // unit) * unit

    @property
    def counters(self) -> int:
        """16-bit slice counters: the input's and one per stage."""
        return 0 if self.schedule.stream is None else 1 + len(self.schedule.stream.stages)

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

    def steps(self) -> list[_StepText]:
        """Every step as text."""
        return [self._step(step, self._names(step)) for step in self.schedule.steps if step.stage is None]

    def constants(self) -> list[_ArrayText]:
        """Constant tensors that kernels read as ordinary inputs."""
        used: dict[int, _ArrayText] = {}
        for step in self.schedule.steps:
            text = " ".join(argument for call in step.lowered.calls for argument in call.arguments)
            for position, index in enumerate(step.node.inputs):
                if index is None or f"{{in{position}}}" not in text:
                    continue
                tensor = self.graph.tensors[index]
                if tensor.data is not None:
                    array = Array(f"t{index}", CTYPES[tensor.dtype], tensor.data)
                    used[index] = self._array(array, f"{self.prefix}_t{index}")
        return list(used.values())

    def _array(self, array: Array, name: str) -> _ArrayText:
        return _ArrayText(
            name,
            array.ctype,
            _elements(array),
            c_array(array.values),
        )

    def base(self, step: Step) -> str:
        """Start of the names of a layer's constants."""
        return f"{self.prefix}_l{step.index}"

    def _names(self, step: Step) -> dict[str, str]:
        names = {"rows": "s->rows"}
        for position, index in enumerate(step.node.inputs):
            if index is not None and index in self.schedule.places:
                names[f"in{position}"] = self.place(index)
        return names | {f"out{position}": self.place(index) for position, index in enumerate(step.node.outputs)}

    def _step(self, step: Step, places: Mapping[str, str]) -> _StepText:
        base = self.base(step)
        names = {array.name: f"{base}_{array.name}" for array in step.lowered.arrays} | dict(places)
        structs: list[_StructText] = []
        calls: list[str] = []
        functions: list[_FunctionText] = []
        for number, call in enumerate(step.lowered.calls):
            name = base if len(step.lowered.calls) == 1 else f"{base}_{number}"
            if call.struct:
                structs.append(_struct(call, name, names))
            if step.lowered.inline:
                functions.append(_function(call, f"{name}_step", {**names, "params": f"&{name}"}, step.lowered))
                call = replace(call, function=f"{name}_step", arguments=_passed(call))
            calls.append(_call(call, {**names, "params": f"&{name}"}))
        arrays = [self._array(array, names[array.name]) for array in step.lowered.arrays]
        observe = [] if step.stage else self._observe(step)
        return _StepText(step.index, self._comment(step), arrays, structs, calls, observe, functions)

    def _observe(self, step: Step) -> list[str]:
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

    def _comment(self, step: Step) -> str:
        node, graph = step.node, self.graph
        sources = [graph.tensors[i] for i in node.inputs if i is not None and graph.tensors[i].data is None]
        target = graph.output(node)
        shapes = " and ".join(str(list(t.shape)) for t in sources)
        attributes = ", ".join(f"{key}={value}" for key, value in node.attrs.items())
        text = f"layer {step.index}: {node.op} {shapes} -> {list(target.shape)}" + (
            f", {attributes}" if attributes else ""
        )
        return f"{text}, '{comment_safe(target.name)}'"


def _elements(array: Array) -> int:
    return len(array.values) if is_struct(array.values) else int(array.values.size)


def _struct(call: Call, name: str, names: Mapping[str, str]) -> _StructText:
    fields = [(key, c_initializer(value, names)) for key, value in call.params.items()]
    return _StructText(name, call.struct, fields)


def _call(call: Call, names: Mapping[str, str]) -> str:
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


def _function(call: Call, name: str, names: Mapping[str, str], lowered: Lowered) -> _FunctionText:
    given = [argument.strip("{}") for argument in _passed(call)]
    local = {**names, **{key: key for key in given}, **{item.name: item.name for item in lowered.scratch}}
    return _FunctionText(
        name,
        ", ".join(_PARAMETERS[key] for key in given),
        [f"{item.ctype} {item.name}[{item.length}] TN_SCRATCH;" for item in lowered.scratch],
        _call(call, local),
    )


# --- the stream ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _StageText:
    """One layer of the stream: when it may fire and what it does for output slice `y`."""

    step: _StepText
    counter: int
    condition: str
    setup: list[str]
    provides: int
    later: int
    finish: list[str]
    observe: str


@dataclass(frozen=True)
class _StreamText:
    """The stream as the template shows it: the input ring, stages, and the layout of a pushed slice."""

    stages: list[_StageText]
    length: int
    ring: str
    channels: int
    features: int
    slice_stride: int
    channel_stride: int
    window_rows: int
    fresh_input: int
    fresh_all: int


def stream_text(emitter: Emitter, stream: Stream) -> _StreamText:
    """Text of every stage."""
    tensors = list(stream.depths)
    masks = {tensor: 1 << number if len(tensors) <= _MASK_BITS else 1 for number, tensor in enumerate(tensors)}
    stages = [_stage_text(emitter, stream, step, masks) for step in emitter.schedule.steps if step.stage]
    source = emitter.graph.tensors[stream.input]
    features = source.shape[3]
    exchanged = stream.input in emitter.swapped
    return _StreamText(
        stages=stages,
        length=stream.length,
        ring=_ring(emitter, stream, stream.input, "t"),
        channels=source.shape[2],
        features=features,
        slice_stride=features if exchanged else features * source.shape[2],
        channel_stride=features * stream.length if exchanged else features,
        window_rows=max((stage.lowered.window_rows for stage in stream.stages), default=0),
        fresh_input=masks[stream.input],
        fresh_all=sum(set(masks.values())),
    )


#: Streamed tensors whose news fit one word; beyond, every layer is tried at every push.
_MASK_BITS = 31


def _ring(emitter: Emitter, stream: Stream, tensor: int, y: str) -> str:
    """C expression of the place of slice `y`."""
    start, size = emitter.place(tensor), slice_bytes(emitter.graph.tensors[tensor])
    depth = stream.depths[tensor]
    if depth == 1:
        return start
    slot = y if depth >= emitter.graph.tensors[tensor].shape[1] else f"{y} % {depth}u"
    return f"{start} + (size_t)({slot}) * {size}"


def _stage_text(emitter: Emitter, stream: Stream, step: Step, masks: Mapping[int, int]) -> _StageText:
    stage = step.stage
    assert stage is not None
    counters = {s.output: s.index + 1 for s in stream.stages} | {stream.input: 0}
    params = emitter.base(step)
    windowed = stage.lowered.window_rows > 0
    arrived = [f"s->done[{counters[t]}]" for t in stage.sources]
    ready = [
        f"tn_stream_ready(&{params}.rows, s->done[{step.index + 1}], {count})"
        if windowed
        else f"s->done[{step.index + 1}] < {count}"
        for count in arrived
    ]
    news = 0
    for tensor in stage.sources:
        news |= masks[tensor]
    later = 0
    for other in stream.stages[step.index + 1 :]:
        for tensor in other.sources:
            later |= masks[tensor]
    places = {}
    for position, index in enumerate(step.node.inputs):
        if index is not None and index in stream.depths:
            places[f"in{position}"] = _ring(emitter, stream, index, "y")
        elif index is not None:
            places[f"in{position}"] = emitter.place(index)
    places |= {"rows": "rows", "y": "y", "acc": _accumulator(emitter, step)}
    setup = []
    if windowed:
        (source,) = stage.sources
        size = slice_bytes(emitter.graph.tensors[source])
        depth = stream.depths[source]
        setup.append(f"tn_stream_rows(&{params}.rows, y, {emitter.place(source)}, {depth}u, {size}, rows);")
    finish: list[str] = []
    observe = ""
    if stage.finish is not None:
        names = {"params": f"&{params}", "acc": places["acc"], "out0": emitter.place(stage.output)}
        finish = [*(_call(call, names) for call in stage.finish.calls), *emitter._observe(step)]
    else:
        places["out0"] = _ring(emitter, stream, stage.output, "y")
        observe = emitter.observe_slice(step, places["out0"], "y")
    return _StageText(
        step=emitter._step(step, places),
        counter=step.index + 1,
        condition=" && ".join([f"(fresh & {news:#x}u) != 0", *ready]),
        setup=setup,
        provides=0 if stage.finish else masks[stage.output],
        later=later,
        finish=finish,
        observe=observe,
    )


def _accumulator(emitter: Emitter, step: Step) -> str:
    offsets = emitter.schedule.accumulators or {}
    if step.stage is None or step.stage.finish is None:
        return ""
    offset = offsets[step.stage.output]
    wide = step.stage.accumulator_bytes > emitter.graph.output(step.node).elements
    return f"s->arena + {offset // 4}" if wide else f"arena + {offset}"


# --- files --------------------------------------------------------------------------------------------------


def emit_files(
    emitter: Emitter,
    *,
    generator: str,
    model_hash: str,
    inputs: Sequence[TensorInfo],
    outputs: Sequence[TensorInfo],
    layers: Sequence[LayerInfo],
    app: bool,
) -> dict[str, str]:
    """Every file of the generated library, by path relative to its folder."""
    prefix = emitter.prefix
    schedule = emitter.schedule
    stems = {kernel for step in schedule.steps for kernel in step.lowered.kernels}
    inline = {step.lowered.inline for step in schedule.steps if step.lowered.inline}
    headers = sorted(
        {kernel_header(stem) for stem in stems}
        | {f"{stem}.h" for stem in inline}
        | ({"tn_stream.h"} if schedule.stream else set())
    )
    values: dict[str, Any] = {
        "p": prefix,
        "P": prefix.upper(),
        "generator": generator,
        "model_hash": model_hash,
        "target": emitter.target.name,
        "inputs": inputs,
        "outputs": outputs,
        "input_block": sum(aligned(t.bytes) for t in inputs),
        "output_block": sum(aligned(t.bytes) for t in outputs),
        "ctypes": CTYPES,
        "layers": layers,
        "steps": emitter.steps(),
        "stream": None if schedule.stream is None else stream_text(emitter, schedule.stream),
        "counters": emitter.counters,
        "constants": emitter.constants(),
        "headers": headers,
        "window_rows": schedule.window_rows,
        "arena_words": max(schedule.plan.bytes, 4) // 4,
        "state_bytes": emitter.state_bytes,
        "stack_bytes": stack_bound(stems, _inline_scratch(schedule, emitter.target)),
        "uses_arena": any(p.kind == "arena" for p in schedule.places.values()),
        "uses_state": schedule.window_rows > 0 or schedule.plan.bytes > 0,
    }
    files = {
        f"src/{prefix}.h": render("model.h.j2", **values),
        f"src/{prefix}.c": render("model.c.j2", **values),
        f"{prefix}.json": manifest(
            generator, prefix, emitter.target.name, model_hash, emitter.state_bytes, inputs, outputs, layers
        ),
        "library.json": library_json(),
    }
    if app:
        files["src/tn_app_model.h"] = render("app_model.h.j2", **values)
    return files | {
        f"src/{name}": text
        for name, text in kernel_files([*(f"{stem}.c" for stem in stems), *headers], emitter.target).items()
    }


def _inline_scratch(schedule: Schedule, target: Target) -> list[tuple[str, int]]:
    """Inline kernels with the bytes of their local arrays, each rounded up to its alignment."""
    sizes = {"int8_t": 1, "int16_t": 2, "uint32_t": 4, "const int8_t *": target.pointer_bytes}
    return [
        (low.inline, sum(-(-item.length * sizes[item.ctype] // 8) * 8 for item in low.scratch))
        for low in (step.lowered for step in schedule.steps)
        if low.inline
    ]


def layer_infos(graph: Graph, schedule: Schedule) -> tuple[LayerInfo, ...]:
    """Describe every step, with shapes as the model file has them: `graph` is the graph before axes were exchanged."""
    return tuple(_layer_info(graph, step) for step in schedule.steps)


def _layer_info(graph: Graph, step: Step) -> LayerInfo:
    output = graph.tensors.get(step.node.outputs[0])
    if output is None:  # a layer of the compiler's own, that turns axes back
        output = Tensor(-1, "axes turned back", (), "int8")
    return LayerInfo(
        index=step.index,
        node=step.node.index,
        name=output.name,
        op=step.node.op,
        tensor=output.index if output.index >= 0 else None,
        shape=output.shape,
        dtype=output.dtype,
        bytes=output.bytes,
        macs=step.macs,
        weight_bytes=sum(_elements(a) * _ITEM_BYTES[a.ctype] for a in step.lowered.arrays),
    )
