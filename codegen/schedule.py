"""Order of execution and place of every tensor: the step between the graph and the emitter.

A program (:mod:`thumbnet.codegen.segments`) says which layers run slice by slice in which walk over the data, and which
run by whole tensors after it. Time, for the memory plan, is counted in steps: one per layer of each segment, one per
reduction that ends with it, one per whole layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .errors import UnsupportedError
from .ir import Graph, Node, Tensor
from .memory import Block, Key, Plan, lower_bound, plan_memory
from .ops import operator_of
from .ops.base import Call, Init, Lowered
from .segments import Program, Segment
from .streaming import Stage, slice_bytes
from .targets import Target
from .tiers import arrange


@dataclass(frozen=True)
class Step:
    """One layer that becomes code.

    Attributes
    ----------
    index : int
        Position in the schedule.
    first : int
        Index of the step that brings the layer's constants: an earlier one where the layer runs again.
    segment : int
        Number of the segment that it is part of, or that it follows.
    stage : Stage or None
        Set for layers inside a stream.
    """

    index: int
    node: Node
    lowered: Lowered
    macs: int
    first: int
    segment: int
    stage: Stage | None = None

    @property
    def again(self) -> bool:
        """Whether the layer ran in an earlier segment already."""
        return self.first != self.index


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
    places : mapping of int to Place
        Whole tensors.
    rings : mapping of (int, int) to int
        Arena offset of a ring of slices, by segment and tensor.
    accumulators : mapping of int to int
        Arena offset of the accumulator of a reduction over a stream, by the tensor it becomes.
    between : mapping of int to int
        Arena offset of the rows between the two kernels of a chain that the stack has no room for, by output tensor.
    window_rows : int
        Row pointers that whole-tensor layers need as scratch.
    """

    program: Program
    steps: tuple[Step, ...]
    places: Mapping[int, Place]
    rings: Mapping[tuple[int, int], int]
    accumulators: Mapping[int, int]
    between: Mapping[int, int]
    plan: Plan
    window_rows: int

    @property
    def streams(self) -> bool:
        """Whether slices are pushed."""
        return self.program.segments[0] is not None

    @property
    def counters(self) -> int:
        """16-bit slice counters: that of the pushed slices and one per stage; later segments use them again."""
        stages = [len(segment.stages) for segment in self.program.segments if segment is not None]
        return 1 + max(stages) if self.streams else 0

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference, layers that run again counted again."""
        return sum(step.macs for step in self.steps)

    def state_bytes(self, target: Target) -> int:
        """Size of the generated state structure: row pointers, slice counters, then the arena."""
        return state_bytes(self.window_rows, self.counters, self.plan.bytes, target)


def state_bytes(window_rows: int, counters: int, arena: int, target: Target) -> int:
    """Size of a state structure with its members in this order."""
    rows = window_rows * target.pointer_bytes
    unit = target.pointer_bytes if rows else 4
    return -(-(rows + -(-2 * counters // 4) * 4 + max(arena, 4)) // unit) * unit


def make_schedule(program: Program, target: Target) -> Schedule:
    """List the steps of a program and plan the arena.

    Raises
    ------
    UnsupportedError
        When an output of the model is computed by no layer.
    """
    draft = Draft(program, target)
    plan = plan_memory(draft.blocks())
    offsets = dict(plan.offsets)
    rings = {key: offsets.pop(key) for key in plan.offsets if isinstance(key, tuple)}
    accumulators = {t: offsets.pop(_accumulator(t)) for t in draft.reduced}
    held = {step.node.outputs[0] for step in draft.steps if _held_bytes(step.lowered)}
    between = {t: offsets.pop(_accumulator(t)) for t in sorted(held)}
    places = draft.fixed | {key: Place("arena", at) for key, at in offsets.items() if isinstance(key, int)}
    resolved = {t: places[draft.root(t)] for t in program.graph.tensors if draft.root(t) in places}
    return Schedule(program, tuple(draft.steps), resolved, rings, accumulators, between, plan, draft.window_rows)


def check_outputs(graph: Graph) -> None:
    """Every output of the model is computed by a layer; UnsupportedError otherwise."""
    if len(set(graph.outputs)) != len(graph.outputs):
        raise UnsupportedError("the model lists one tensor as an output twice")
    for index in graph.outputs:
        if graph.producer(index) is None:
            raise UnsupportedError(f"the model's output '{graph.tensors[index].name}' is computed by no layer")


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


def _accumulator(tensor: int) -> int:
    """Key of a block beside a tensor, its accumulator or what a layer needs to make it; tensors have keys from 0 up."""
    return -1 - tensor


def _held_bytes(lowered: Lowered) -> int:
    """Bytes of the arena that a layer needs while it runs."""
    return 0 if lowered.chain is None or lowered.chain.on_stack else lowered.chain.bytes


class Draft:
    """A schedule without offsets: steps, shared bytes, places that are given, and what is left to place."""

    def __init__(self, program: Program, target: Target) -> None:
        self.program = program
        self.graph = program.graph
        self.part = program.part
        self.target = target
        self.roots = self._alias_roots()
        self.steps = self._steps()
        self.fixed = self._fixed_places()
        self.reduced = [s.outputs[0] for segment in program.segments if segment for s in segment.stages if s.finish]
        rows = [step.lowered.window_rows for step in self.steps if step.stage is None]
        self.window_rows = max(rows, default=0)

    def root(self, tensor: int) -> int:
        """The tensor whose bytes these are."""
        streamed = self.part.root(tensor)
        return self.roots.get(streamed, streamed)

    def _alias_roots(self) -> dict[int, int]:
        """For every output of a whole layer the tensor whose bytes it shares; itself where a layer has to write it."""
        graph = self.graph
        roots: dict[int, int] = {}
        claimed = set(graph.outputs)
        # The first segment writes its slices before the caller says where the outputs go.
        late = {t for s in self.program.segments[1:] if s is not None for t in s.stored}
        fixed = (set(self.part.levels) - late) | set(graph.inputs)
        fixed |= {i for i, t in graph.tensors.items() if t.data is not None}
        for position in (p for group in self.program.wholes for p in group):
            node = graph.nodes[position]
            roots |= {out: out for out in node.outputs}
            if not self.part.lowered[position].alias:
                continue
            source = self.part.root(graph.input(node, 0).index)
            root, out = roots.get(source, source), node.outputs[0]
            if out in graph.outputs and (root in fixed or root in claimed):
                continue  # the caller wants these bytes at a place of their own
            roots[out] = root
            if out in graph.outputs:
                claimed.add(root)
        return roots

    def _steps(self) -> list[Step]:
        steps: list[Step] = []
        firsts: dict[int, int] = {}
        for number, (segment, wholes) in enumerate(zip(self.program.segments, self.program.wholes, strict=True)):
            for stage in segment.stages if segment else ():
                first = firsts.setdefault(stage.position, len(steps))
                macs = operator_of(stage.node).macs(self.graph, stage.node)
                steps.append(Step(len(steps), stage.node, stage.lowered, macs, first, number, stage))
            steps += self._whole_steps(number, wholes, len(steps))
        return steps

    def _whole_steps(self, number: int, wholes: tuple[int, ...], index: int) -> list[Step]:
        steps: list[Step] = []
        for position in wholes:
            node, lowered = self.graph.nodes[position], self.part.lowered[position]
            if lowered.alias:
                if self.roots[node.outputs[0]] != node.outputs[0]:
                    continue
                lowered = arrange(self.target, _plain_copy(self.graph.output(node)))
            at = index + len(steps)
            steps.append(Step(at, node, lowered, operator_of(node).macs(self.graph, node), at, number))
        return steps

    def _fixed_places(self) -> dict[int, Place]:
        graph = self.graph
        places = {index: Place("constant", index) for index, t in graph.tensors.items() if t.data is not None}
        if self.program.segments[0] is None:  # otherwise its slices are kept as long as they are needed
            places |= {index: Place("input", position) for position, index in enumerate(graph.inputs)}
        return places | {self.root(index): Place("output", position) for position, index in enumerate(graph.outputs)}

    def least_state(self) -> int:
        """State bytes below which no memory plan can go."""
        counters = 1 + max((len(s.stages) for s in self.program.segments if s is not None), default=-1)
        return state_bytes(self.window_rows, counters, lower_bound(self.blocks()), self.target)

    # --- what has to be placed ------------------------------------------------------------------------------

    def blocks(self) -> list[Block]:
        """Everything that needs room, with its lifetime in steps."""
        lives = _Lives(self)
        for number, segment in enumerate(self.program.segments):
            if segment is not None:
                lives.add_segment(segment)
            lives.add_whole([s for s in self.steps if s.segment == number and s.stage is None])
        return lives.all()


class _Lives:
    """Collects blocks while time runs."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.graph = draft.graph
        self.bytes: dict[Key, int] = {}
        self.first: dict[Key, int] = {}
        self.last: dict[Key, int] = {}
        self.over: dict[Key, dict[Key, tuple[int, int, int]]] = {}
        self.now = 0

    def all(self) -> list[Block]:
        """Every block."""
        return [Block(k, size, self.first[k], self.last[k], self._overlaid(k)) for k, size in self.bytes.items()]

    def _overlaid(self, key: Key) -> dict[Key, int]:
        """Blocks that end with the very step or segment that begins this one."""
        return {
            other: gap
            for other, (gap, start, end) in self.over.get(key, {}).items()
            if self.last.get(other) == end and self.first[key] == start
        }

    def _touch(self, key: Key, size: int, *times: int) -> None:
        if key not in self.draft.fixed:
            self.bytes[key] = max(self.bytes.get(key, 0), size)
            self.first[key] = min(self.first.get(key, times[0]), *times)
            self.last[key] = max(self.last.get(key, times[0]), *times)

    def _touch_tensor(self, tensor: int, *times: int) -> None:
        root = self.draft.root(tensor)
        self._touch(root, self.graph.tensors[root].bytes, *times)

    def add_segment(self, segment: Segment) -> None:
        """Rings, tensors that are read or kept whole, then the reductions' accumulators and results."""
        start = self.now
        end = start + max(len(segment.stages), 1) - 1
        for tensor in segment.rings():
            size = slice_bytes(self.graph.tensors[tensor]) * segment.timing.depths[tensor]
            lasts = tensor in segment.timing.lasting
            orders = [max(segment.maker(tensor), 0), *segment.users(tensor)]
            times = (start, end) if lasts else [start + order for order in orders]
            self._touch((segment.number, tensor), size, *times)
        for order, stage in enumerate(segment.stages):
            self._hold(stage.outputs[0], stage.lowered, start + order)
        sources = segment.sources if segment.number else ()
        whole = {self.draft.part.root(i) for s in segment.stages for i in s.node.inputs if i is not None}
        for tensor in {*sources, *segment.stored, *(whole & self.draft.part.groups.keys())}:
            self._touch_tensor(tensor, start, end)
        for made in segment.stored:
            for source in sources:
                if segment.maker(made) >= 0:
                    self._may_cover(made, source, segment.gap(self.graph, made, source), start, end)
        self.now = end
        for stage in segment.stages:
            if stage.finish is not None:
                self.now += 1
                self._touch(_accumulator(stage.outputs[0]), stage.accumulator_bytes, start, self.now)
                self._touch_tensor(stage.outputs[0], self.now)
        self.now += 1

    def add_whole(self, steps: list[Step]) -> None:
        """Tensors of layers that run one after another."""
        for step in steps:
            inputs = [i for i in step.node.inputs if i is not None]
            for tensor in (*inputs, *step.node.outputs):
                self._touch_tensor(tensor, self.now)
            self._hold(step.node.outputs[0], step.lowered, self.now)
            for source, target in step.lowered.overlays:
                covered = step.node.inputs[source]
                if covered is not None:
                    self._may_cover(step.node.outputs[target], covered, 0, self.now, self.now)
            self.now += 1

    def _hold(self, tensor: int, lowered: Lowered, time: int) -> None:
        """Rows between the kernels of a chain."""
        if _held_bytes(lowered):
            self._touch(_accumulator(tensor), _held_bytes(lowered), time)

    def _may_cover(self, made: int, source: int, gap: int, start: int, end: int) -> None:
        """The bytes of `made` may lie over those of `source`, if they begin at step `start` and those end at `end`."""
        over, under = self.draft.root(made), self.draft.root(source)
        if over != under:
            self.over.setdefault(over, {})[under] = (gap, start, end)
