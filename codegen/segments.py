"""Segments: the walks over the data that a program consists of, and what each keeps for the next.

What a later walk needs of an earlier one was either stored whole, or is made again from something stored before it.
The border between both is one position in the graph per walk: layers after it run again, what they and the rest need
from before it is stored. Layers that only a later walk needs run there for the first time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from .ir import Graph
from .partition import Partition
from .streaming import Stage, Timing, play, slice_bytes

#: Border of a walk that makes nothing again.
STORE_ALL = 1 << 30
#: Bytes that a ring may grow by to be a power of two deep.
_ROOM_FOR_POWER = 16


@dataclass
class Walk:
    """One walk before it is played: which layers take part, and which tensors they begin with."""

    positions: set[int] = field(default_factory=set)
    sources: set[int] = field(default_factory=set)
    again: set[int] = field(default_factory=set)
    stored: set[int] = field(default_factory=set)


def find_walks(part: Partition, borders: Mapping[int, int]) -> list[Walk]:
    """Layers and sources of every walk.

    Parameters
    ----------
    part : Partition
        The layers by the way they run.
    borders : mapping of int to int
        By number of the walk, the position behind which layers of earlier walks run again.
    """
    makers = {tensor: position for position, stage in part.stages.items() for tensor in stage.outputs}
    needed_whole = {part.root(i) for p in part.wholes for i in part.graph.nodes[p].inputs if i in part.levels}
    kept = needed_whole | {i for i in part.graph.outputs if i in part.levels}
    walks: list[Walk] = []
    for number in reversed(range(part.walks)):
        walk = Walk()
        ends = [t for s in part.stages.values() if s.finish and part.level_of(s.position) == number for t in s.outputs]
        pending = [*ends, *(t for t in sorted(kept) if part.levels[t] == number and t in makers)]
        while pending:
            position = makers[pending.pop()]
            if position in walk.positions:
                continue
            walk.positions.add(position)
            if part.level_of(position) < number:
                walk.again.add(position)
            for source in part.stages[position].sources:
                if _made_here(part, source, number, makers, kept, borders.get(number, STORE_ALL)):
                    pending.append(source)
                else:
                    walk.sources.add(source)
                    if source in part.levels and part.levels[source] < number:
                        kept.add(source)
        walks.insert(0, walk)
    for number, walk in enumerate(walks):
        walk.stored = {tensor for tensor in kept if part.levels[tensor] == number}
    _forget_first_runs(walks)
    return walks


def _made_here(
    part: Partition, tensor: int, number: int, makers: Mapping[int, int], kept: set[int], border: int
) -> bool:
    if tensor not in makers or tensor in part.groups:
        return False
    if part.levels[tensor] == number:
        return True
    return tensor not in kept and makers[tensor] > border


def _forget_first_runs(walks: Sequence[Walk]) -> None:
    """A layer that no earlier walk runs does not run again."""
    seen: set[int] = set()
    for walk in walks:
        walk.again &= seen
        seen |= walk.positions


@dataclass(frozen=True)
class Segment:
    """One walk over the data, slice by slice.

    Attributes
    ----------
    number : int
        From 0; the first takes the slices that are pushed, others run in ``finish``.
    sources : tuple of int
        Tensors that it walks over, the longest first; it sets the pace.
    length : int
        Slices of that one.
    stages : tuple of Stage
        In order.
    again : frozenset of int
        Positions of layers that ran in an earlier segment already.
    stored : frozenset of int
        Streamed tensors made here that are kept whole.
    timing : Timing
        Who fires when, and what has to be kept.
    merged : mapping of int to int
        Tensors that lie in the slot of the tensor that an element-wise layer makes of them.
    most : int
        Layers that fire in one pass at most; 0 for as many as can.
    """

    number: int
    sources: tuple[int, ...]
    length: int
    stages: tuple[Stage, ...]
    again: frozenset[int]
    stored: frozenset[int]
    timing: Timing
    merged: Mapping[int, int]
    most: int = 0

    @property
    def drains(self) -> bool:
        """Whether layers fire as often as they can in a pass, since some make two slices at a time."""
        return any(stage.paired for stage in self.stages)

    def rings(self) -> list[int]:
        """Tensors that are kept as rings of slices, those that share another's slots excluded."""
        made = [t for t in self.timing.depths if self.number == 0 or t not in self.sources]
        return [t for t in made if t not in self.stored and t not in self.merged]

    def slot(self, tensor: int) -> int:
        """The tensor whose slots this one uses."""
        while tensor in self.merged:
            tensor = self.merged[tensor]
        return tensor

    def maker(self, tensor: int) -> int:
        """Order of the first stage that writes into the tensor's slots; -1 when none does."""
        orders = [n for n, s in enumerate(self.stages) for t in s.streamed if self.slot(t) == tensor]
        return min(orders, default=-1)

    def users(self, tensor: int) -> list[int]:
        """Orders of the stages that read it."""
        return [n for n, stage in enumerate(self.stages) if tensor in stage.sources]

    def gap(self, graph: Graph, made: int, source: int) -> int:
        """Bytes by which `made` has to start before `source` for its slices to go where read ones were."""
        order = self.maker(made)
        stage = self.stages[order]
        overlays = {(stage.node.inputs[i], stage.node.outputs[o]) for i, o in stage.lowered.overlays}
        ticks = self.timing.arrivals[made]
        oldest = self.timing.alive(self.stages, source, ticks, order, last=(source, made) in overlays)
        oldest = np.minimum(oldest, graph.tensors[source].shape[1])
        written = np.arange(1, len(ticks) + 1) * slice_bytes(graph.tensors[made])
        return max(int((written - oldest * slice_bytes(graph.tensors[source])).max()), 0)

    def depth(self, graph: Graph, tensor: int) -> int:
        """Slices there is room for."""
        whole = tensor in self.stored or (self.number > 0 and tensor in self.sources)
        return graph.tensors[tensor].shape[1] if whole else self.timing.depths[tensor]


@dataclass(frozen=True)
class Program:
    """Segments in order; after each, the positions of layers that run by whole tensors before the next."""

    part: Partition
    segments: tuple[Segment | None, ...]
    wholes: tuple[tuple[int, ...], ...]

    @property
    def graph(self) -> Graph:
        """The graph that is run."""
        return self.part.graph


_Key = tuple[int, tuple[int, ...], tuple[int, ...], tuple[int, ...]]


class Builder:
    """Makes programs of one partition; a walk that was played before is not played again."""

    def __init__(self, part: Partition, spread: int = 0, paired: bool = False) -> None:
        self.part = part
        self.spread = spread
        self.paired = paired
        self._played: dict[_Key, Segment] = {}

    def program(self, borders: Mapping[int, int]) -> Program:
        """The program with these borders."""
        part = self.part
        wholes: dict[int, list[int]] = defaultdict(list)
        for position, number in part.wholes.items():
            wholes[max(number, 0)].append(position)
        segments = [self._segment(n, walk) for n, walk in enumerate(find_walks(part, borders))] if part.stages else []
        count = max(len(segments), *(number + 1 for number in wholes), 1)
        segments += [None] * (count - len(segments))
        return Program(part, tuple(segments), tuple(tuple(wholes[n]) for n in range(count)))

    def _segment(self, number: int, walk: Walk) -> Segment | None:
        graph = self.part.graph
        sources = set(graph.inputs) if number == 0 else walk.sources
        if not sources:
            return None
        ordered = tuple(sorted(sources, key=lambda t: (-graph.tensors[t].shape[1], t)))
        key = (number, tuple(sorted(walk.positions)), ordered, tuple(sorted(walk.stored)))
        if key not in self._played:
            self._played[key] = _played(self.part, key, 0 if number else self.spread, self.paired)
        return replace(self._played[key], again=frozenset(walk.again))


def _played(part: Partition, key: _Key, most: int, paired: bool) -> Segment:
    number, positions, sources, stored = key
    graph, stages = part.graph, [_two_at_a_time(part.stages[p]) if paired else part.stages[p] for p in positions]
    length = graph.tensors[sources[0]].shape[1]
    arrivals = {tensor: _arrivals(graph.tensors[tensor].shape[1], length) for tensor in sources}
    timing = play(graph, stages, arrivals, length, most)
    merged = _merged(part, stages, timing, frozenset(stored))
    timing = replace(timing, depths={**timing.depths, **_even_depths(graph, stages, timing, merged)})
    return Segment(number, sources, length, tuple(stages), frozenset(), frozenset(stored), timing, merged, most)


def _two_at_a_time(stage: Stage) -> Stage:
    return stage if stage.two is None else replace(stage, lowered=stage.two, paired=True)


def _even_depths(graph: Graph, stages: Sequence[Stage], timing: Timing, merged: Mapping[int, int]) -> dict[int, int]:
    """Depths of the rings of a segment in which slices are written two at a time: both lie beside each other.

    A few bytes more make depths powers of two, which find the place of a slice in one instruction.
    """
    paired = {t for stage in stages if stage.paired for t in stage.streamed}
    found = {}
    for tensor, depth in timing.depths.items() if paired else ():
        even = depth + depth % 2 if tensor in _slots(paired, merged) else depth
        power = 1 << (depth - 1).bit_length()
        room = (power - even) * slice_bytes(graph.tensors[tensor])
        found[tensor] = power if room <= _ROOM_FOR_POWER else even
    return found


def _slots(tensors: Collection[int], merged: Mapping[int, int]) -> set[int]:
    """The tensors in whose slots these lie."""
    found = set(tensors)
    while any(tensor in merged for tensor in found):
        found = {merged.get(tensor, tensor) for tensor in found}
    return found


def _arrivals(slices: int, ticks: int) -> npt.NDArray[np.int64]:
    """Ticks at which slices that are all there are let in: evenly, so that both ends meet."""
    return (np.arange(1, slices + 1) * ticks + slices - 1) // slices - 1


def _merged(part: Partition, stages: Sequence[Stage], timing: Timing, stored: frozenset[int]) -> dict[int, int]:
    """Inputs of element-wise layers that live for one pass only, and whose slices the output may overwrite.

    The slot of the output's next slice is free from the beginning of the pass in which it is written.
    """
    made = {tensor: stage for stage in stages for tensor in stage.streamed}
    users: dict[int, list[Stage]] = defaultdict(list)
    for stage in stages:
        for tensor in set(stage.sources) - set(stage.after):
            users[tensor].append(stage)
    merged: dict[int, int] = {}
    for stage in stages:
        for source, target in stage.lowered.overlays:
            tensor, out = part.root(stage.node.inputs[source] or 0), stage.node.outputs[target]
            if tensor not in made or tensor in timing.lasting or tensor in stored or len(users[tensor]) != 1:
                continue
            same = slice_bytes(part.graph.tensors[tensor]) == slice_bytes(part.graph.tensors[out])
            if same and not stage.finish and out not in merged.values():
                merged[tensor] = out
    return merged
