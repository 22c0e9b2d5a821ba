"""Order of execution and place of every tensor: the step between the graph and the emitter.

A network runs by whole tensors, each layer to its end before the next begins, or its head runs as a stream
(:mod:`thumbnet.codegen.streaming`) and only the tail by whole tensors. Time, for the memory plan, is counted in steps:
one per layer, those of the stream first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .errors import UnsupportedError
from .ir import Graph, Node, Tensor
from .memory import Block, Plan, plan_memory
from .ops import operator_of
from .ops.base import Call, Init, Lowered
from .streaming import Stage, Stream, find_stream, slice_bytes
from .targets import Target
from .tiers import arrange


@dataclass(frozen=True)
class Step:
    """One layer that becomes code; `stage` is set for layers inside the stream."""

    index: int
    node: Node
    lowered: Lowered
    macs: int
    stage: Stage | None = None


@dataclass(frozen=True)
class Place:
    """Where a tensor lives: ``input`` or ``output`` (by position), ``constant`` or ``arena`` (by byte offset)."""

    kind: str
    at: int


@dataclass(frozen=True)
class Schedule:
    """Steps in order, the place of every tensor they touch and the memory plan behind it.

    Attributes
    ----------
    accumulators : mapping of int to int
        Arena offset of the accumulator of a reduction over the stream, by the tensor it becomes.
    window_rows : int
        Row pointers that whole-tensor layers need as scratch.
    """

    steps: tuple[Step, ...]
    places: Mapping[int, Place]
    plan: Plan
    window_rows: int
    stream: Stream | None = None
    accumulators: Mapping[int, int] | None = None


def make_schedule(graph: Graph, target: Target, *, streamed: bool) -> Schedule | None:
    """Lower every layer to kernels of the target and plan the arena.

    Returns
    -------
    Schedule or None
        None when `streamed` is asked for and the first layer needs its whole input.

    Raises
    ------
    UnsupportedError
        When an output of the model is computed by no layer.
    """
    _check_outputs(graph)
    stream = find_stream(graph) if streamed else None
    if streamed and stream is None:
        return None
    stages = () if stream is None else stream.stages
    tail = graph.nodes if stream is None else stream.tail
    steps = [
        Step(s.index, s.node, arrange(target, s.lowered), operator_of(s.node).macs(graph, s.node), s) for s in stages
    ]
    lowered = {node.index: operator_of(node).lower(graph, node) for node in tail}
    # The stream writes its slices before the caller says where the outputs go.
    roots = _alias_roots(graph, tail, lowered, frozenset(stream.depths if stream else ()))
    for node in tail:
        low = lowered[node.index]
        if low.alias:
            if roots[node.outputs[0]] != node.outputs[0]:
                continue
            low = _plain_copy(graph.output(node))
        steps.append(Step(len(steps), node, arrange(target, low), operator_of(node).macs(graph, node)))
    return _placed(graph, steps, roots, stream)


def _placed(graph: Graph, steps: list[Step], roots: Mapping[int, int], stream: Stream | None) -> Schedule:
    places = _fixed_places(graph, roots)
    if stream is not None:
        del places[stream.input]  # its slices are kept in a ring
    blocks = _Blocks(graph, roots, places)
    if stream is not None:
        blocks.add_stream(stream)
    blocks.add_whole(step for step in steps if step.stage is None)
    plan = plan_memory(blocks.all())
    offsets = dict(plan.offsets)
    accumulators = {
        s.output: offsets.pop(_accumulator(s.output)) for s in (stream.stages if stream else ()) if s.finish
    }
    places |= {key: Place("arena", offset) for key, offset in offsets.items()}
    resolved = {t: places[roots.get(t, t)] for t in graph.tensors if roots.get(t, t) in places}
    rows = max((step.lowered.window_rows for step in steps if step.stage is None), default=0)
    return Schedule(tuple(steps), resolved, plan, rows, stream, accumulators)


def _check_outputs(graph: Graph) -> None:
    if len(set(graph.outputs)) != len(graph.outputs):
        raise UnsupportedError("the model lists one tensor as an output twice")
    for index in graph.outputs:
        if graph.producer(index) is None:
            raise UnsupportedError(f"the model's output '{graph.tensors[index].name}' is computed by no layer")


def _alias_roots(
    graph: Graph, nodes: Iterable[Node], lowered: Mapping[int, Lowered], streamed: frozenset[int]
) -> dict[int, int]:
    """For every tensor the one whose bytes it shares; itself where a layer has to write it."""
    roots: dict[int, int] = {}
    claimed = set(graph.outputs)
    fixed = streamed | set(graph.inputs) | {i for i, t in graph.tensors.items() if t.data is not None}
    for node in nodes:
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


def _accumulator(tensor: int) -> int:
    """Key of a block that is no tensor; tensors have keys from 0 up."""
    return -1 - tensor


class _Blocks:
    """Collects what must be placed, with its lifetime in steps."""

    def __init__(self, graph: Graph, roots: Mapping[int, int], fixed: Mapping[int, Place]) -> None:
        self.graph = graph
        self.roots = roots
        self.fixed = fixed
        self.bytes: dict[int, int] = {}
        self.first: dict[int, int] = {}
        self.last: dict[int, int] = {}
        self.over: dict[int, set[int]] = {}
        self.now = 0

    def all(self) -> list[Block]:
        """Every block; an output may only lie over inputs that end with its own first step."""
        return [
            Block(key, size, self.first[key], self.last[key], self._overlaid(key)) for key, size in self.bytes.items()
        ]

    def _overlaid(self, key: int) -> frozenset[int]:
        return frozenset(k for k in self.over.get(key, ()) if k in self.last and self.last[k] == self.first[key])

    def _touch(self, key: int, size: int, *times: int) -> None:
        if key not in self.fixed:
            self.bytes.setdefault(key, size)
            self.first[key] = min(self.first.get(key, times[0]), *times)
            self.last[key] = max(self.last.get(key, times[0]), *times)

    def add_stream(self, stream: Stream) -> None:
        """Rings, then the reductions' accumulators and results."""
        end = len(stream.stages)
        for tensor, depth in stream.depths.items():
            size = slice_bytes(self.graph.tensors[tensor]) * depth
            if tensor in stream.lasting:
                self._touch(tensor, size, 0, end)
                continue
            users = [stage.index for stage in stream.stages if tensor in stage.sources]
            writers = [stage.index for stage in stream.stages if stage.output == tensor and not stage.finish]
            self._touch(tensor, size, *writers, *users) if users or writers else None
        self.now = end
        for stage in stream.stages:
            if stage.finish is not None:
                self.now += 1
                self._touch(_accumulator(stage.output), stage.accumulator_bytes, 0, self.now)
                self._touch(self._root(stage.output), self.graph.tensors[stage.output].bytes, self.now)
        self.now += 1

    def add_whole(self, steps: Iterable[Step]) -> None:
        """Tensors of layers that run one after another."""
        for time, step in enumerate(steps, self.now):
            reads = [self._root(i) if i is not None else None for i in step.node.inputs]
            for key in (*reads, *step.node.outputs):
                if key is not None:
                    self._touch(key, self.graph.tensors[key].bytes, time)
            for source, target in step.lowered.overlays:
                key = reads[source]
                if key is not None:
                    self.over.setdefault(step.node.outputs[target], set()).add(key)

    def _root(self, tensor: int) -> int:
        return self.roots.get(tensor, tensor)
