"""Order of execution and place of every tensor: the step between the graph and the emitter.

Execution is by whole tensors: each layer runs to its end before the next begins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .errors import UnsupportedError
from .ir import Graph, Node, Tensor
from .memory import Block, Plan, plan_memory
from .ops import OPERATORS
from .ops.base import Call, Init, Lowered


@dataclass(frozen=True)
class Step:
    """One layer that becomes code."""

    index: int
    node: Node
    lowered: Lowered
    macs: int


@dataclass(frozen=True)
class Place:
    """Where a tensor lives: ``input`` or ``output`` (by position), ``constant`` or ``arena`` (by byte offset)."""

    kind: str
    at: int


@dataclass(frozen=True)
class Schedule:
    """Steps in order, the place of every tensor they touch and the memory plan behind it."""

    steps: tuple[Step, ...]
    places: Mapping[int, Place]
    plan: Plan
    window_rows: int


def make_schedule(graph: Graph) -> Schedule:
    """Lower every layer and plan the arena.

    Raises
    ------
    UnsupportedError
        When an output of the model is computed by no layer.
    """
    _check_outputs(graph)
    lowered = {node.index: OPERATORS[node.op].lower(graph, node) for node in graph.nodes}
    roots = _alias_roots(graph, lowered)
    steps: list[Step] = []
    for node in graph.nodes:
        low = lowered[node.index]
        if low.alias:
            if roots[node.outputs[0]] != node.outputs[0]:
                continue
            low = _plain_copy(graph.output(node))
        steps.append(Step(len(steps), node, low, OPERATORS[node.op].macs(graph, node)))
    places = _fixed_places(graph, roots)
    plan = plan_memory(_blocks(graph, steps, roots, places))
    places |= {key: Place("arena", offset) for key, offset in plan.offsets.items()}
    places = {
        tensor: places[roots.get(tensor, tensor)] for tensor in graph.tensors if roots.get(tensor, tensor) in places
    }
    rows = max((step.lowered.window_rows for step in steps), default=0)
    return Schedule(tuple(steps), places, plan, rows)


def _check_outputs(graph: Graph) -> None:
    if len(set(graph.outputs)) != len(graph.outputs):
        raise UnsupportedError("the model lists one tensor as an output twice")
    for index in graph.outputs:
        if graph.producer(index) is None:
            raise UnsupportedError(f"the model's output '{graph.tensors[index].name}' is computed by no layer")


def _alias_roots(graph: Graph, lowered: Mapping[int, Lowered]) -> dict[int, int]:
    """For every tensor the one whose bytes it shares; itself where a layer has to write it."""
    roots: dict[int, int] = {}
    claimed = set(graph.outputs)
    fixed = set(graph.inputs) | {i for i, t in graph.tensors.items() if t.data is not None}
    for node in graph.nodes:
        for out in node.outputs:
            roots[out] = out
        if not lowered[node.index].alias:
            continue
        source = graph.input(node, 0).index
        root, out = roots.get(source, source), node.outputs[0]
        if out in graph.outputs and (root in fixed or root in claimed):
            continue  # the caller wants these bytes at a place of their own
        roots[out] = root
        if out in graph.outputs:
            claimed.add(root)
    return roots


def _plain_copy(tensor: Tensor) -> Lowered:
    zeros = (0, 0, 0, 0, 0)
    params: dict[str, Init] = {
        "size": (1, 1, 1, 1, tensor.bytes),
        "in_stride": (*zeros[:4], 1),
        "out_stride": (*zeros[:4], 1),
        "in_offset": 0,
        "out_offset": 0,
        "run": 1,
    }
    return Lowered(("tn_copy",), (Call("tn_copy_run", ("{params}", "{in0}", "{out0}"), "tn_copy", params),))


def _fixed_places(graph: Graph, roots: Mapping[int, int]) -> dict[int, Place]:
    places = {index: Place("constant", index) for index, t in graph.tensors.items() if t.data is not None}
    places |= {index: Place("input", position) for position, index in enumerate(graph.inputs)}
    places |= {roots.get(index, index): Place("output", position) for position, index in enumerate(graph.outputs)}
    return places


def _blocks(graph: Graph, steps: list[Step], roots: Mapping[int, int], fixed: Mapping[int, Place]) -> list[Block]:
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    over: dict[int, set[int]] = {}
    for step in steps:
        reads = [roots.get(i, i) if i is not None else None for i in step.node.inputs]
        for key in (*reads, *step.node.outputs):
            if key is not None and key not in fixed:
                first.setdefault(key, step.index)
                last[key] = step.index
        for source, target in step.lowered.overlays:
            over.setdefault(step.node.outputs[target], set()).add(reads[source])  # type: ignore[arg-type]
    return [
        Block(
            key,
            graph.tensors[key].bytes,
            first[key],
            last[key],
            frozenset(k for k in over.get(key, ()) if k in last and last[k] == first[key]),
        )
        for key in first
    ]
