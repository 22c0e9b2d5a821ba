"""A mixture of experts as one compiled model: its parts, and the code that runs them one after the other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from .. import passes
from ..choose import SCHEDULES, Limits
from ..emit_steps import CTYPES, ArrayText
from ..errors import OptionError
from ..explain import Explanation
from ..library import kernel_files, library_json, manifest, render, stack_bound
from ..literals import c_array, c_initializer, c_number, check_prefix
from ..memory import Plan, aligned
from ..model import CompiledModel, HeldWindow, LayerInfo, ScheduleInfo, TensorInfo
from ..targets import find_target
from .describe import explanation, schedule_info
from .parts import Part, Settings, compile_part
from .plan import read_mixture
from .slices import Slices, slices_of
from .wiring import VALUE_SCALE, Wiring, result, wire

#: Tensors of run number n have their own indices from n times this on, see :func:`numbering`.
RUN = 1 << 20
CHOICE, MIXED, VALUES = 0, 1, 2


@dataclass(frozen=True)
class _Whole:
    """Everything that the files are made of."""

    wiring: Wiring
    settings: Settings
    prefix: str
    parts: Mapping[str, Part]
    slices: Slices | None
    gate_pushed: bool

    @property
    def ordered(self) -> list[Part]:
        return list(self.parts.values())


def compile_mixture(
    data: bytes,
    *,
    target: str,
    prefix: str,
    schedule: str,
    limits: Limits,
    optimize: str,
    spread: int,
    app: bool,
    disable: Collection[str],
    generator: str,
) -> CompiledModel:
    """Compile the archive of a mixture; arguments, result and errors as :func:`thumbnet.codegen.compile_model`.

    By the schedule ``whole`` the window is the caller's; by any other it is pushed and kept in the state, and a gate
    that can be streamed takes it meanwhile. The experts run over it when it is complete.
    """
    core = passes.restricted(find_target(target), passes.check_switches(disable))
    if schedule not in SCHEDULES:
        raise OptionError(f"unknown schedule '{schedule}': allowed are {', '.join(SCHEDULES)}")
    check_prefix(prefix)
    wiring = wire(read_mixture(data))
    settings = Settings(core, generator, hashlib.sha256(data).hexdigest(), optimize, frozenset(disable))
    whole = _compile_parts(wiring, settings, prefix, schedule, spread, limits)
    compiled = _compiled(whole, app)
    if limits.excess(compiled.state_bytes, compiled.schedule.flash_bytes):
        raise OptionError(
            f"no schedule fits the limits: what comes nearest takes {compiled.state_bytes:,} bytes of RAM and about "
            f"{compiled.schedule.flash_bytes:,} of flash"
        )
    return compiled


def _compile_parts(
    wiring: Wiring, settings: Settings, prefix: str, schedule: str, spread: int, limits: Limits
) -> _Whole:
    parts: dict[str, Part] = {}
    networks = {"bottom": [wiring.bottom] if wiring.bottom else [], "gate": [wiring.gate]}
    networks |= {"expert": list(wiring.experts), "towers": list(wiring.towers)}
    slices = None if schedule == "whole" else slices_of(wiring.window, schedule)
    # What a part may take: the rest of the state, and the address of a network's constants, come first.
    held = sum(_sizes(wiring, slices)) + 3 * settings.target.pointer_bytes
    room = Limits(ram=None if limits.ram is None else max(limits.ram - held, 0))
    for role, graphs in networks.items():
        if graphs:
            pushed = role == "gate" and wiring.gate_reads_window and slices is not None
            name = _part_schedule(role, schedule, slices if pushed else None)
            parts[role] = compile_part(role, f"{prefix}_{role}", graphs, settings, name, spread if pushed else 0, room)
    streams = slices is not None and parts["gate"].chosen.name == f"stream-{slices.axis[0]}"
    return _Whole(wiring, settings, prefix, parts, slices, streams and wiring.gate_reads_window)


def _part_schedule(role: str, schedule: str, pushed: Slices | None) -> str:
    """How a part is walked; `pushed` is set where it may take the slices of the window as they come."""
    if not schedule.startswith("stream"):
        return schedule
    if role == "towers":
        return "whole"  # a mixture is all there
    return "stream" if pushed is None else f"stream-{pushed.axis[0]}"


# --- runs, layers and tensors -------------------------------------------------------------------------------


def numbering(wiring: Wiring) -> list[tuple[str, int]]:
    """Runs of parts in order: role, and which expert (by rank) or tower; tensor t of run n is RUN * (n + 1) + t.

    Below RUN are what is computed between the parts: the choice, the mixed features, the values.
    """
    runs = [("bottom", 0)] if wiring.bottom is not None else []
    runs += [("gate", 0), *(("expert", rank) for rank in range(wiring.mixture.k))]
    return [*runs, *(("towers", number) for number in range(len(wiring.towers)))]


def _layers(whole: _Whole) -> list[LayerInfo]:
    wiring, constants = whole.wiring, whole.wiring.constants
    layers: list[LayerInfo] = []

    def add(name: str, op: str, tensor: int, shape: tuple[int, ...], dtype: str, macs: int, weights: int) -> None:
        size = int(np.prod(shape)) * {"int32": 4}.get(dtype, 1)
        layers.append(LayerInfo(len(layers), -1, name, op, tensor, shape, dtype, size, macs, weights))

    tasks, k, features = wiring.tasks, constants.k, wiring.features
    for number, (role, rank) in enumerate(numbering(wiring)):
        if role == "expert" and rank == 0:
            add("choice of experts", "TOP_K", CHOICE, (k,), "uint8", 0, 0)
        if role == "towers" and rank == 0:
            shape = (features, tasks) if wiring.feature_major else (tasks, features)
            tables = 2 * len(constants.exponentials) + 5 * constants.experts
            add("mixture", "MIXTURE", MIXED, shape, "int8", tasks * k * features, tables)
        part = whole.parts[role]
        for info in part.layers:
            name = f"{role} {rank}: {info.name}" if role == "expert" or part.many else f"{role}: {info.name}"
            tensor = None if info.tensor is None else RUN * (number + 1) + info.tensor
            weights = 0 if rank else info.weight_bytes  # those of all networks
            layers.append(replace(info, index=len(layers), name=name, tensor=tensor, weight_bytes=weights))
    add("values", "CALIBRATE", VALUES, (1, tasks), "int32", tasks, 20 * tasks)
    return layers


# --- files --------------------------------------------------------------------------------------------------


def _compiled(whole: _Whole, app: bool) -> CompiledModel:
    wiring, settings = whole.wiring, whole.settings
    layers = tuple(_layers(whole))
    given, made = _ports(wiring)
    state = _state_bytes(whole)
    info = schedule_info(whole.parts, wiring, whole.slices, whole.gate_pushed, state, layers)
    values = _values(whole, layers, given, made, state)
    files: dict[str, str] = {}
    for part, first in _first_layers(whole, layers):
        files |= part.files(first)
    files |= {
        f"src/{whole.prefix}.h": render("mixture.h.j2", **values),
        f"src/{whole.prefix}.c": render("mixture.c.j2", **values),
        f"{whole.prefix}.json": _manifest(whole, state, given, made, layers, info),
        "library.json": library_json(),
    }
    if app:
        files["src/tn_app_model.h"] = render("app_model.h.j2", **values)
    files |= {f"src/{name}": text for name, text in kernel_files(["tn_mixture.c"], settings.target).items()}
    plan = Plan({}, state, state)
    return CompiledModel(
        whole.prefix,
        settings.target.name,
        settings.model_hash,
        (given,),
        (made,),
        layers,
        state,
        plan,
        files,
        info,
        lambda: _explain(whole, info, layers),
        None if whole.slices is None else HeldWindow(_union_bytes(whole)),
    )


def _explain(whole: _Whole, info: ScheduleInfo, layers: Sequence[LayerInfo]) -> Explanation:
    return explanation(whole.parts, whole.wiring, info, layers)


def _ports(wiring: Wiring) -> tuple[TensorInfo, TensorInfo]:
    window, tasks = wiring.window, wiring.tasks
    run = 1 + [role for role, _ in numbering(wiring)].index("gate" if wiring.bottom is None else "bottom")
    q = window.q
    given = TensorInfo(
        window.name, window.shape, window.dtype, q.scale, q.zero_point, window.bytes, 0, RUN * run + window.index
    )
    return given, TensorInfo("values", (1, tasks), "int32", VALUE_SCALE, 0, 4 * tasks, 0, VALUES)


def _first_layers(whole: _Whole, layers: Sequence[LayerInfo]) -> Iterator[tuple[Part, int]]:
    at = 0
    for role, part in whole.parts.items():
        if role == "expert":
            at += 1
        if role == "towers":
            at += 1
        yield part, at
        runs = {"expert": whole.wiring.mixture.k, "towers": len(whole.wiring.towers)}.get(role, 1)
        at += runs * len(part.chosen.schedule.steps)
    assert at == len(layers) - 1


def _sizes(wiring: Wiring, slices: Slices | None) -> list[int]:
    """Bytes of the state behind its union, member by member."""
    tasks, k = wiring.tasks, wiring.constants.k
    sizes = [2, wiring.window.bytes] if slices else []
    if wiring.bottom is not None:
        sizes.append(result(wiring.bottom).bytes)
    return [*sizes, result(wiring.gate).bytes, k * wiring.features, tasks * wiring.features, tasks, k]


def _unit(whole: _Whole) -> int:
    pointers = any(part.holds_pointers for part in whole.ordered)
    return whole.settings.target.pointer_bytes if pointers else 4


def _union_bytes(whole: _Whole) -> int:
    unit = _unit(whole)
    return -(-max(part.state_bytes for part in whole.ordered) // unit) * unit


def _state_bytes(whole: _Whole) -> int:
    unit = _unit(whole)
    return -(-(_union_bytes(whole) + sum(_sizes(whole.wiring, whole.slices))) // unit) * unit


def _values(
    whole: _Whole, layers: Sequence[LayerInfo], given: TensorInfo, made: TensorInfo, state: int
) -> dict[str, Any]:
    wiring, constants = whole.wiring, whole.wiring.constants
    prefix, bottom = whole.prefix, whole.parts.get("bottom")
    first = {part.role: number for part, number in _first_layers(whole, layers)}
    ops = {layer.op: layer.index for layer in layers if layer.node == -1}
    numbers = {
        **{"choose": ops["TOP_K"], "mix": ops["MIXTURE"], "calibrate": ops["CALIBRATE"]},
        **{"experts": first["expert"], "towers": first["towers"]},
        "per_expert": len(whole.parts["expert"].chosen.schedule.steps),
        "per_tower": len(whole.parts["towers"].chosen.schedule.steps),
    }
    return {
        "p": prefix,
        "P": prefix.upper(),
        "generator": whole.settings.generator,
        "model_hash": whole.settings.model_hash,
        "target": whole.settings.target.name,
        "inputs": (given,),
        "outputs": (made,),
        "input": given,
        "output": made,
        "input_block": aligned(given.bytes),
        "output_block": aligned(made.bytes),
        "ctypes": CTYPES,
        "layers": layers,
        "layer": numbers,
        "state_bytes": state,
        "stack_bytes": stack_bound(["tn_mixture"]) + max(part.stack_bytes for part in whole.ordered),
        "stream": whole.slices,
        "parts": whole.ordered,
        **{role: whole.parts.get(role) for role in ("bottom", "gate", "expert", "towers")},
        "bottom_bytes": 0 if bottom is None else result(bottom.graphs[0]).bytes,
        "gate_pushed": whole.gate_pushed,
        "gate_reads_features": not wiring.gate_reads_window,
        "experts": constants.experts,
        "chosen": constants.k,
        "features": wiring.features,
        "logits": result(wiring.gate).bytes,
        "tasks": [_comment(task.name, task.unit) for task in wiring.mixture.tasks],
        "arrays": _arrays(whole),
        "mixture": _fields(whole),
        "task_rows": _task_rows(whole),
    }


def _comment(name: str, unit: str) -> str:
    from ..literals import comment_safe

    return comment_safe(f"{name} [{unit}]" if unit else name)


def _arrays(whole: _Whole) -> list[ArrayText]:
    constants, prefix = whole.wiring.constants, whole.prefix
    arrays = {
        "exponentials": ("uint16_t", constants.exponentials),
        "ratios": ("int32_t", constants.ratios),
        "zero_points": ("int8_t", constants.zero_points),
        "patient_scale": ("int32_t", constants.patient_scale),
        "patient_offset": ("int32_t", constants.patient_offset),
    }
    return [
        ArrayText(f"{prefix}_{name}", ctype, len(values), c_array(values)) for name, (ctype, values) in arrays.items()
    ]


def _fields(whole: _Whole) -> list[tuple[str, str]]:
    wiring, constants, prefix = whole.wiring, whole.wiring.constants, whole.prefix
    numbers = {
        "experts": constants.experts,
        "chosen": constants.k,
        "tasks": wiring.tasks,
        "features": wiring.features,
        "distances": len(constants.exponentials),
        "own_choice": int(constants.own_choice),
        "feature_major": int(wiring.feature_major),
        "shift": constants.shift,
        "zero_point": constants.zero_point,
    }
    names = {name: f"{prefix}_{name}" for name in ("exponentials", "ratios", "zero_points")}
    return [*((key, c_number(value)) for key, value in numbers.items()), *names.items()]


def _task_rows(whole: _Whole) -> list[str]:
    constants = whole.wiring.constants
    columns = (constants.factors, constants.offsets, constants.tower_zero_points)
    return [
        c_initializer({"factor": factor, "offset": offset, "zero_point": zero}, {})
        for factor, offset, zero in zip(*(column.tolist() for column in columns), strict=True)
    ]


def _manifest(
    whole: _Whole, state: int, given: TensorInfo, made: TensorInfo, layers: Sequence[LayerInfo], info: ScheduleInfo
) -> str:
    wiring = whole.wiring
    settings, ports = whole.settings, ((given,), (made,))
    text = manifest(
        settings.generator, whole.prefix, settings.target.name, settings.model_hash, state, *ports, layers, info
    )
    parts = {part.role: {"schedule": part.chosen.name, "state_bytes": part.state_bytes} for part in whole.ordered}
    content = json.loads(text) | {
        "mixture": {
            "experts": wiring.constants.experts,
            "chosen": wiring.constants.k,
            "tasks": [asdict(task) for task in wiring.mixture.tasks],
            "parts": parts,
        }
    }
    return json.dumps(content, indent=2) + "\n"
