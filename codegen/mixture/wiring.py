"""The parts of a mixture as graphs that fit each other, and the constants of what is computed between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..check import check_graph
from ..errors import CodegenError, CompositionError
from ..ir import Graph, Tensor
from ..tflite import read_graph
from .alike import difference
from .arithmetic import (
    VALUE_BITS,
    Arithmetic,
    Ints,
    Quantized,
    expert_ratios,
    exponentials,
    patient_constants,
    task_constants,
)
from .plan import Mixture


@dataclass(frozen=True)
class Wiring:
    """A mixture whose parts fit.

    Attributes
    ----------
    bottom, gate, experts, towers
        Graphs of the parts.
    features : int
        Codes that an expert gives.
    feature_major : bool
        The mixed features lie feature by feature.
    constants : Arithmetic
        Of what is computed between them.
    """

    mixture: Mixture
    bottom: Graph | None
    gate: Graph
    experts: tuple[Graph, ...]
    towers: tuple[Graph, ...]
    features: int
    feature_major: bool
    constants: Arithmetic

    @property
    def tasks(self) -> int:
        """Outputs."""
        return len(self.mixture.tasks)

    @property
    def window(self) -> Tensor:
        """Input of the whole."""
        return port(self.gate if self.bottom is None else self.bottom)

    @property
    def gate_reads_window(self) -> bool:
        """Whether the gate reads the window rather than what the bottom gives."""
        return self.mixture.gate_reads == "input"


def port(graph: Graph) -> Tensor:
    """The one input."""
    return graph.tensors[graph.inputs[0]]


def result(graph: Graph) -> Tensor:
    """The one output."""
    return graph.tensors[graph.outputs[0]]


def read_parts(mixture: Mixture) -> list[tuple[str, Graph]]:
    """Every part's name and graph, as read; CodegenError names the part that cannot be."""
    return [(name, _read(name, data)) for name, data in _named(mixture)]


def _named(mixture: Mixture) -> list[tuple[str, bytes]]:
    parts = [] if mixture.bottom is None else [("bottom", mixture.bottom)]
    parts += [("gate", mixture.gate), *((f"expert {n}", data) for n, data in enumerate(mixture.experts))]
    many = len(mixture.towers) > 1
    return [*parts, *((f"tower {n}" if many else "towers", data) for n, data in enumerate(mixture.towers))]


def _read(name: str, data: bytes) -> Graph:
    try:
        return read_graph(data)
    except CodegenError as error:
        raise type(error)(f"{name}: {error}") from error


def wire(mixture: Mixture) -> Wiring:
    """Read all parts and check that they fit.

    Raises
    ------
    CodegenError
        Names the part that cannot be read or translated, or those that do not fit.
    """
    parts = read_parts(mixture)
    for name, graph in parts:
        _check_part(name, graph)
    graphs = dict(parts)
    experts = tuple(graphs[f"expert {n}"] for n in range(len(mixture.experts)))
    towers = tuple(graph for name, graph in parts if name.startswith("tower"))
    _check_alike("expert", experts)
    _check_alike("tower", towers)
    _check_joints(mixture, graphs, experts)
    features = result(experts[0]).elements
    constants = _constants(mixture, graphs["gate"], experts, towers)
    order = _feature_major(mixture, towers, features)
    return Wiring(mixture, graphs.get("bottom"), graphs["gate"], experts, towers, features, order, constants)


def _check_part(name: str, graph: Graph) -> None:
    try:
        check_graph(graph)
    except CodegenError as error:
        raise type(error)(f"{name}: {error}") from error
    for what, indices in (("input", graph.inputs), ("output", graph.outputs)):
        if len(indices) != 1:
            raise CompositionError(f"{name} must have one {what}, got {len(indices)}")
        tensor = graph.tensors[indices[0]]
        if tensor.dtype != "int8" or tensor.quantization is None:
            raise CompositionError(f"{name}: {what} '{tensor.name}' must be quantized to int8, got {tensor.dtype}")
    other = [t for t in graph.tensors.values() if t.data is None and t.dtype != "int8"]
    if other:
        raise CompositionError(f"{name}: '{other[0].name}' must be int8 as all that is computed, got {other[0].dtype}")


def _check_alike(name: str, graphs: Sequence[Graph]) -> None:
    for number, graph in enumerate(graphs):
        found = difference(graphs[0], graph)
        if found is not None:
            raise CompositionError(f"{name} {number} must have the structure of {name} 0: {found}")


def _check_joints(mixture: Mixture, graphs: dict[str, Graph], experts: Sequence[Graph]) -> None:
    source = graphs.get("bottom")
    inner = ("bottom", result(source)) if source is not None else ("gate", port(graphs["gate"]))
    for number, expert in enumerate(experts):
        _check_same(f"expert {number}", port(expert), *inner)
    if source is not None:
        gate = ("bottom", port(source)) if mixture.gate_reads == "input" else ("bottom", result(source))
        _check_same("gate", port(graphs["gate"]), *gate)


def _check_same(name: str, tensor: Tensor, other: str, wanted: Tensor) -> None:
    """Both hold the same codes: as many, of one scale and zero point; gate and experts share the window's shape."""
    if (tensor.elements, tensor.q.scale, tensor.q.zero_point) == (wanted.elements, wanted.q.scale, wanted.q.zero_point):
        return
    raise CompositionError(
        f"{name} must read what {other} has, {list(wanted.shape)} of scale {wanted.q.scale:.9g} and zero point "
        f"{wanted.q.zero_point}, got {list(tensor.shape)} of scale {tensor.q.scale:.9g} and zero point "
        f"{tensor.q.zero_point}"
    )


def _constants(mixture: Mixture, gate: Graph, experts: Sequence[Graph], towers: Sequence[Graph]) -> Arithmetic:
    tasks, count = len(mixture.tasks), len(experts)
    logits = result(gate)
    if logits.elements not in (tasks * count, (1 + tasks) * count):
        raise CompositionError(
            f"gate must give {tasks * count} logits ({tasks} tasks x {count} experts), or {(1 + tasks) * count} with "
            f"those for the choice in front, got {logits.elements}"
        )
    mixed = _quantized(port(towers[0]))
    ratios, shift = expert_ratios([_quantized(result(expert)) for expert in experts], mixed)
    outputs = [_quantized(result(towers[min(n, len(towers) - 1)])) for n in range(tasks)]
    factors, offsets = task_constants(
        [task.name for task in mixture.tasks],
        [task.scale for task in mixture.tasks],
        [task.offset for task in mixture.tasks],
        outputs,
    )
    return Arithmetic(
        k=mixture.k,
        experts=count,
        tasks=tasks,
        own_choice=logits.elements != tasks * count,
        exponentials=exponentials(logits.q.scale),
        ratios=ratios,
        zero_points=_ints([result(expert).q.zero_point for expert in experts]),
        shift=shift,
        zero_point=mixed.zero_point,
        factors=factors,
        offsets=offsets,
        tower_zero_points=_ints([tower.zero_point for tower in outputs]),
        patient_scale=patient_constants(mixture.patient_scale or [1.0] * tasks, "scale"),
        patient_offset=patient_constants(mixture.patient_offset or [0.0] * tasks, "offset"),
    )


def _quantized(tensor: Tensor) -> Quantized:
    return Quantized(tensor.q.scale, tensor.q.zero_point)


def _ints(values: Sequence[int]) -> Ints:
    return np.array(values, np.int64)


def _feature_major(mixture: Mixture, towers: Sequence[Graph], features: int) -> bool:
    """Order of the mixed features; CompositionError where the towers read another number, or scales of their own."""
    tasks = len(mixture.tasks)
    wanted = features if len(towers) > 1 else tasks * features
    for number, tower in enumerate(towers):
        source = port(tower)
        name = f"tower {number}" if len(towers) > 1 else "towers"
        if source.elements != wanted:
            raise CompositionError(
                f"{name} must read {wanted} mixed features, got {source.elements} of shape {list(source.shape)}"
            )
        if result(tower).elements * len(towers) != tasks:
            raise CompositionError(f"{name} must give {tasks // len(towers)} codes, got {result(tower).elements}")
        if _quantized(source) != _quantized(port(towers[0])):
            raise CompositionError(f"{name} must read the scale and zero point that tower 0 reads")
    if mixture.mixed or len(towers) > 1:
        return mixture.mixed == "feature-major" and len(towers) == 1
    shape = [size for size in port(towers[0]).shape if size != 1]
    return shape == [features, tasks] and features != tasks


#: Scale of the values.
VALUE_SCALE = 2.0**-VALUE_BITS
