"""Streaming execution: a network runs while its input arrives, slice by slice along the first spatial axis.

A layer that only looks at a few neighbouring slices needs no more of its input than those. Every layer fires as soon
as the slices under its next window are there; between layers stand rings of slices. Which slices are alive when is
known before anything runs, so the exact depth of each ring comes from playing the stream through once at compile
time. SAME padding is a window that begins before the first slice or ends after the last.

What depends on the whole stream (a global pooling) accumulates; everything after it is the tail, which runs layer by
layer when the stream has ended.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from .ir import Graph, Node, Tensor
from .ops import operator_of
from .ops.base import Lowered, Window


@dataclass(frozen=True)
class Stage:
    """One layer inside the stream.

    Attributes
    ----------
    sources : tuple of int
        Streamed tensors it reads, in the order of the lowered call's inputs.
    window : Window
        The same for every source.
    slices : int
        Output slices; input slices for a reduction.
    lowered : Lowered
        Calls for one output slice; for a reduction the call that adds one input slice.
    finish : Lowered or None
        For a reduction: the call that turns the accumulator into the output.
    accumulator_bytes : int
        For a reduction.
    """

    index: int
    node: Node
    sources: tuple[int, ...]
    window: Window
    slices: int
    lowered: Lowered
    finish: Lowered | None = None
    accumulator_bytes: int = 0

    @property
    def output(self) -> int:
        """Tensor that the stage writes."""
        return self.node.outputs[0]


@dataclass(frozen=True)
class Stream:
    """The streamed head of a network.

    Attributes
    ----------
    input : int
        Tensor whose slices are pushed.
    length : int
        Slices of it.
    stages : tuple of Stage
        In order of first firing.
    depths : mapping of int to int
        Ring depth in slices per streamed tensor; its full length where the tail reads it.
    lasting : frozenset of int
        Streamed tensors of which a slice outlives the pass that wrote it; the others may share memory.
    tail : tuple of Node
        Layers that run when the stream has ended.
    """

    input: int
    length: int
    stages: tuple[Stage, ...]
    depths: Mapping[int, int]
    lasting: frozenset[int]
    tail: tuple[Node, ...]


def slice_bytes(tensor: Tensor) -> int:
    """Bytes of one slice along the first spatial axis."""
    return tensor.bytes // tensor.shape[1]


def sliced(graph: Graph, node: Node, streamed: set[int]) -> Graph:
    """The graph as one slice sees it: streamed inputs and the outputs have length 1 along the streaming axis."""
    tensors = dict(graph.tensors)
    for index in {i for i in (*node.inputs, *node.outputs) if i is not None}:
        tensor = graph.tensors[index]
        if (index in streamed or index in node.outputs) and len(tensor.shape) == 4:
            tensors[index] = replace(tensor, shape=(1, 1, *tensor.shape[2:]))
    return replace(graph, tensors=tensors)


def find_stream(graph: Graph) -> Stream | None:
    """The longest head of the network that can be streamed; None where not even the first layer can."""
    shapes = [graph.tensors[i].shape for i in graph.inputs]
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][0] != 1:
        return None
    source = graph.inputs[0]
    streamed = {source}
    reduced: set[int] = set()
    stages: list[Stage] = []
    tail: list[Node] = []
    for node in graph.nodes:
        stage = _stage(graph, node, len(stages), streamed)
        if stage is None:
            tail.append(node)
            continue
        stages.append(stage)
        (reduced if stage.finish else streamed).add(stage.output)
    if not stages:
        return None
    length = graph.tensors[source].shape[1]
    depths, lasting = _play(graph, stages, source, length)
    for index in {i for node in tail for i in node.inputs if i in streamed}:
        depths[index] = graph.tensors[index].shape[1]
        lasting.add(index)
    return Stream(source, length, tuple(stages), depths, frozenset(lasting), tuple(tail))


def _stage(graph: Graph, node: Node, index: int, streamed: set[int]) -> Stage | None:
    rule = operator_of(node).stream
    sources = tuple(i for i in node.inputs if i is not None and graph.tensors[i].data is None)
    if rule is None or not sources or not set(sources) <= streamed or len(node.outputs) != 1:
        return None
    if len({graph.tensors[i].shape[1] for i in sources}) != 1:
        return None
    found = rule(graph, node, lambda n: sliced(graph, n, streamed))
    if found is None:
        return None
    if found.finish is None and node.outputs[0] in graph.outputs:
        return None  # the caller wants it whole
    slices = graph.tensors[sources[0]].shape[1] if found.finish else graph.output(node).shape[1]
    return Stage(index, node, sources, found.window, slices, found.lowered, found.finish, found.accumulator_bytes)


def _consumers(stages: Sequence[Stage]) -> dict[int, tuple[int, ...]]:
    found: dict[int, list[int]] = defaultdict(list)
    for stage in stages:
        for tensor in dict.fromkeys(stage.sources):
            found[tensor].append(stage.index)
    return {tensor: tuple(indices) for tensor, indices in found.items()}


class _Play:
    """Plays the stream once, firing as the generated code does, and notes how many slices are alive at most.

    One pass goes through the stages in order and lets each fire once at most. A push makes one pass, which is enough
    because no layer gives more slices than it takes; the last push repeats it until the stream has run dry.
    """

    def __init__(self, graph: Graph, stages: Sequence[Stage], source: int) -> None:
        self.stages = stages
        self.users = _consumers(stages)
        self.length = {t: graph.tensors[t].shape[1] for s in stages for t in s.sources}
        self.produced: dict[int, int] = defaultdict(int)
        self.fired = [0] * len(stages)
        self.depths: dict[int, int] = defaultdict(int)
        self.lasting: set[int] = set()
        self.source = source

    def push(self) -> None:
        """One slice of the input arrives."""
        self._arrive(self.source)
        self._pass({self.source})
        if self.produced[self.source] == self.length[self.source]:
            while self._pass(set(self.length)):
                pass

    def _pass(self, fresh: set[int]) -> bool:
        progress = False
        for stage in self.stages:
            if fresh.isdisjoint(stage.sources) or not self._ready(stage):
                continue
            self.fired[stage.index] += 1
            progress = True
            if stage.finish is None:
                self._arrive(stage.output)
                fresh.add(stage.output)
        self.lasting |= {t for t in self.length if self._oldest(t) < self.produced[t]}
        return progress

    def _arrive(self, tensor: int) -> None:
        self.produced[tensor] += 1
        newest = self.produced[tensor] - 1
        # The slice that is being written needs a place even when nobody reads it.
        self.depths[tensor] = max(self.depths[tensor], newest - min(self._oldest(tensor), newest) + 1)

    def _oldest(self, tensor: int) -> int:
        """First slice that somebody still needs."""
        users = self.users.get(tensor, ())
        return min((self._oldest_needed(user, tensor) for user in users), default=self.produced[tensor])

    def _oldest_needed(self, user: int, tensor: int) -> int:
        stage = self.stages[user]
        if self.fired[user] == stage.slices:
            return self.produced[tensor]
        return max(stage.window.first(self.fired[user]), 0)

    def _ready(self, stage: Stage) -> bool:
        y = self.fired[stage.index]
        return y < stage.slices and all(
            self.produced[t] > min(stage.window.last(y), self.length[t] - 1) for t in stage.sources
        )


def _play(graph: Graph, stages: Sequence[Stage], source: int, length: int) -> tuple[dict[int, int], set[int]]:
    """Ring depth of every streamed tensor, and those of which a slice outlives the pass that wrote it."""
    play = _Play(graph, stages, source)
    for _ in range(length):
        play.push()
    assert all(play.fired[s.index] == s.slices for s in stages), "the stream ended before a layer did"
    return dict(play.depths), play.lasting
