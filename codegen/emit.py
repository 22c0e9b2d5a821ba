"""Turn a schedule into files: text of the layers and segments, kernels, manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .cost import array_bytes
from .emit_steps import CTYPES, Emitter
from .emit_stream import stream_text
from .ir import Graph, Tensor
from .library import kernel_files, kernel_header, library_json, manifest, render, stack_bound
from .memory import aligned
from .model import LayerInfo, ScheduleInfo, TensorInfo
from .ops.base import Scratch
from .schedule import Schedule, Step


def emit_files(
    emitter: Emitter,
    *,
    generator: str,
    model_hash: str,
    inputs: Sequence[TensorInfo],
    outputs: Sequence[TensorInfo],
    layers: Sequence[LayerInfo],
    schedule_info: ScheduleInfo,
    app: bool,
) -> dict[str, str]:
    """Every file of the generated library, by path relative to its folder."""
    prefix = emitter.prefix
    schedule = emitter.schedule
    state_bytes = emitter.state_bytes()
    parts = [part for lowered in emitter.translations() for part in lowered.parts]
    stems = {kernel for part in parts for kernel in part.kernels}
    inline = {part.inline for part in parts if part.inline}
    headers = sorted(
        {kernel_header(stem) for stem in stems}
        | {f"{stem}.h" for stem in inline}
        | ({"tn_stream.h"} if schedule.streams else set())
    )
    stream = stream_text(emitter) if schedule.streams else None
    steps = [] if stream else emitter.steps(0)
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
        "steps": steps,
        "stream": stream,
        "tables": emitter.tables(),
        "first_layer": emitter.first_layer,
        "counters": schedule.counters,
        "constants": emitter.constants(),
        "headers": headers,
        "window_rows": schedule.window_rows,
        "arena_words": max(schedule.plan.bytes, 4) // 4,
        "state_bytes": state_bytes,
        "stack_bytes": emitter_stack(emitter),
        "uses_arena": bool(schedule.between) or any(p.kind == "arena" for p in schedule.places.values()),
        "uses_state": schedule.window_rows > 0 or schedule.plan.bytes > 0,
    }
    files = {
        f"src/{prefix}.h": render("model.h.j2", **values),
        f"src/{prefix}.c": render("model.c.j2", **values),
        f"{prefix}.json": manifest(
            generator, prefix, emitter.target.name, model_hash, state_bytes, inputs, outputs, layers, schedule_info
        ),
        "library.json": library_json(),
    }
    if app:
        files["src/tn_app_model.h"] = render("app_model.h.j2", **values)
    return files | {
        f"src/{name}": text
        for name, text in kernel_files([*(f"{stem}.c" for stem in stems), *headers], emitter.target).items()
    }


def emitter_stack(emitter: Emitter) -> int:
    """Stack in bytes that one call of the generated code needs at most."""
    stems = {kernel for lowered in emitter.translations() for part in lowered.parts for kernel in part.kernels}
    scratch, between = _inline_scratch(emitter), _between(emitter.schedule)
    return stack_bound(stems, scratch, emitter.target.tiers, between) + emitter.extra_stack


def _inline_scratch(emitter: Emitter) -> list[tuple[str, int]]:
    """Inline kernels with the bytes of their local arrays, each rounded up to its alignment."""
    sizes = {"int8_t": 1, "int16_t": 2, "int32_t": 4, "uint32_t": 4, "const int8_t *": emitter.target.pointer_bytes}

    def local(scratch: Sequence[Scratch]) -> int:
        return sum(-(-item.length * sizes[item.ctype] // 8) * 8 for item in scratch)

    parts = {step.index: step.lowered.parts for step in emitter.schedule.steps}
    every = [part for lowered in emitter.translations() for part in lowered.parts]
    own = [(part.inline, local(part.scratch)) for part in every if part.inline]
    shared = emitter.shared.items()
    # Several calls of one layer are of one kernel; those of a chain have a part each.
    return own + [
        (parts[n][min(number, len(parts[n]) - 1)].inline, local(copy.scratch) + copy.stack_bytes)
        for (n, number), copy in shared
    ]


def _between(schedule: Schedule) -> list[int]:
    """Bytes of the rows that chains keep for a moment, with pointers to them."""
    chains = [step.lowered.chain for step in schedule.steps if step.lowered.chain is not None]
    return [(aligned(chain.bytes) if chain.on_stack else 0) + 8 * chain.made for chain in chains]


def layer_infos(model: Graph, graph: Graph, schedule: Schedule) -> tuple[LayerInfo, ...]:
    """Describe every step.

    Shapes are those of `graph`, before axes were exchanged; tensors that `model`, the graph of the file, lacks are the
    compiler's own.
    """
    tensors = {**schedule.program.graph.tensors, **graph.tensors}
    return tuple(_layer_info(model, tensors, step) for step in schedule.steps)


def _layer_info(model: Graph, tensors: Mapping[int, Tensor], step: Step) -> LayerInfo:
    index = step.node.outputs[0]
    output = tensors[index]
    arrays = [] if step.again else [array for part in step.lowered.parts for array in part.arrays]
    return LayerInfo(
        index=step.index,
        node=step.node.index,
        name=output.name,
        op=step.node.op,
        tensor=index if index in model.tensors else None,
        shape=output.shape,
        dtype=output.dtype,
        bytes=output.bytes,
        macs=step.macs,
        weight_bytes=sum(array_bytes(array) for array in arrays),
        again=step.again,
        kept=output.kept,
    )
