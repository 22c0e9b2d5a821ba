"""Streaming execution: layers fire slice by slice along the first axis behind the batch while their input arrives.

A layer that only looks at a few neighbouring slices needs no more of its input than those. Every layer fires as soon
as the slices under its next window are there; between layers stand rings of slices. Which slices are alive when is
known before anything runs, so that the exact depth of each ring comes from playing the stream through once at compile
time. SAME padding is a window that begins before the first slice or ends after the last.

Time is counted in ticks: one pass through the layers in order per arriving slice, then as many as it takes to run
dry. A layer fires once per pass at most, which is enough because no layer gives more slices than it takes. Where some
layers make two slices at a time, every layer fires as often as it can in a pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from .ir import Graph, Node, Tensor
from .ops.base import Lowered, Window

_Ticks = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Stage:
    """One layer inside a stream.

    Attributes
    ----------
    position : int
        Of the layer in the graph.
    sources : tuple of int
        Streamed tensors it reads.
    outputs : tuple of int
        Tensors it writes, one slice of each at a time; for a reduction the one whole tensor it ends with.
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
    after : tuple of int
        Those of `sources` that it does not read: it waits for their slices.
    two : Lowered or None
        Calls for two output slices, or for the one that is left over, where there is a kernel for that.
    paired : bool
        Whether `lowered` is that.
    """

    position: int
    node: Node
    sources: tuple[int, ...]
    outputs: tuple[int, ...]
    window: Window
    slices: int
    lowered: Lowered
    finish: Lowered | None = None
    accumulator_bytes: int = 0
    after: tuple[int, ...] = ()
    two: Lowered | None = None
    paired: bool = False

    @property
    def fires(self) -> int:
        """How often it runs."""
        return -(-self.slices // 2) if self.paired else self.slices

    @property
    def streamed(self) -> tuple[int, ...]:
        """Outputs that leave slice by slice."""
        return () if self.finish else self.outputs


def slice_bytes(tensor: Tensor) -> int:
    """Bytes of one slice along the first axis behind the batch."""
    return tensor.bytes // tensor.shape[1]


def is_stream(tensor: Tensor) -> bool:
    """Whether a tensor can be taken apart into slices: int8 codes, batch 1, at least three dimensions."""
    return tensor.dtype == "int8" and len(tensor.shape) >= 3 and tensor.shape[0] == 1


def sliced(graph: Graph, node: Node, streamed: frozenset[int]) -> Graph:
    """The graph as one slice sees it: streamed inputs and the outputs have length 1 along the streaming axis."""
    tensors = dict(graph.tensors)
    for index in {i for i in (*node.inputs, *node.outputs) if i is not None}:
        tensor = graph.tensors[index]
        if (index in streamed or index in node.outputs) and len(tensor.shape) >= 3:
            tensors[index] = replace(tensor, shape=(1, 1, *tensor.shape[2:]))
    return replace(graph, tensors=tensors)


@dataclass(frozen=True)
class Timing:
    """What playing a stream shows.

    Attributes
    ----------
    fires : tuple of array of int
        Tick of every firing, by stage.
    arrivals : mapping of int to array of int
        Tick at which each slice of a tensor is there.
    depths : mapping of int to int
        Slices of a tensor that are alive at most, the one being written included.
    lasting : frozenset of int
        Tensors of which a slice outlives the pass that wrote it; the others may share memory.
    """

    fires: tuple[_Ticks, ...]
    arrivals: Mapping[int, _Ticks]
    depths: Mapping[int, int]
    lasting: frozenset[int]

    def alive(self, stages: Sequence[Stage], tensor: int, ticks: _Ticks, order: int, last: bool) -> _Ticks:
        """First slice of `tensor` that a stage still needs when stage `order` fires at `ticks`.

        Stages before `order` have fired in that tick; the stage itself only where `last` is set.
        """
        oldest = np.full(len(ticks), np.iinfo(np.int64).max)
        for number, stage in enumerate(stages):
            if tensor not in stage.sources:
                continue
            done = number < order or (number == order and last)
            fired = np.searchsorted(self.fires[number], ticks, "right" if done else "left")
            first = np.maximum(fired * stage.window.stride - stage.window.pad, 0)
            oldest = np.minimum(oldest, np.where(fired < stage.slices, first, np.iinfo(np.int64).max))
        return oldest


def play(graph: Graph, stages: Sequence[Stage], arrivals: Mapping[int, _Ticks], length: int, most: int = 0) -> Timing:
    """Play a stream, firing exactly as the generated code does.

    Parameters
    ----------
    stages : sequence of Stage
        In order.
    arrivals : mapping of int to array
        Tick at which each slice of the sources arrives.
    length : int
        Ticks until the last slice has arrived; after that every layer is tried at every tick.
    most : int
        Layers that fire in one tick at most, the first in order that can; 0 for all of them.
    """
    fired = _fire_few(graph, stages, arrivals, most) if most else _fire(graph, stages, arrivals, length)
    timing = Timing(*fired, {}, frozenset())
    depths: dict[int, int] = {}
    lasting = set()
    makers = {tensor: number for number, stage in enumerate(stages) for tensor in stage.streamed}
    for tensor, ticks in timing.arrivals.items():
        newest = np.arange(len(ticks))
        oldest = timing.alive(stages, tensor, ticks, makers.get(tensor, -1), last=False)
        # The slice that is being written needs a place even when nobody reads it.
        depths[tensor] = int((newest - np.minimum(oldest, newest)).max()) + 1
        if (timing.alive(stages, tensor, ticks, len(stages), last=True) <= newest).any():
            lasting.add(tensor)
    return replace(timing, depths=depths, lasting=frozenset(lasting))


def _fire(
    graph: Graph, stages: Sequence[Stage], arrivals: Mapping[int, _Ticks], length: int
) -> tuple[tuple[_Ticks, ...], dict[int, _Ticks]]:
    arrived = dict(arrivals)
    drains = any(stage.paired for stage in stages)
    fires = []
    for stage in stages:
        lengths = [graph.tensors[t].shape[1] for t in stage.sources]
        last = np.arange(stage.slices) * stage.window.stride + stage.window.last(0)
        if stage.paired:  # the first of two waits for the second
            last[::2] += stage.window.stride
        needed = [arrived[t][np.clip(last, 0, size - 1)] for t, size in zip(stage.sources, lengths, strict=True)]
        ready = np.maximum.reduce(needed)
        news = [np.arange(length) if t in arrivals else arrived[t] for t in stage.sources]
        ticks = ready if drains or (np.diff(ready) > 0).all() else _queued(ready, news, length)
        fires.append(ticks)
        arrived |= dict.fromkeys(stage.streamed, ticks)
    return tuple(fires), arrived


def _fire_few(
    graph: Graph, stages: Sequence[Stage], arrivals: Mapping[int, _Ticks], most: int
) -> tuple[tuple[_Ticks, ...], dict[int, _Ticks]]:
    """Every layer is tried at every tick, until `most` have fired."""
    arrived: dict[int, list[int]] = {tensor: ticks.tolist() for tensor, ticks in arrivals.items()}
    fires: list[list[int]] = [[] for _ in stages]
    arrived |= {tensor: fires[number] for number, stage in enumerate(stages) for tensor in stage.streamed}
    lengths = {tensor: graph.tensors[tensor].shape[1] - 1 for tensor in arrived}
    open_ = [number for number, stage in enumerate(stages) if stage.slices]
    tick = 0
    while open_:
        left = most
        for number in open_:
            stage, y = stages[number], len(fires[number])
            last = stage.window.last(y)
            # A slice that another layer makes in this tick is there for the layers after it.
            if all(_there(arrived[t], max(min(last, lengths[t]), 0), tick) for t in stage.sources):
                fires[number].append(tick)
                left -= 1
                if not left:
                    break
        open_ = [number for number in open_ if len(fires[number]) < stages[number].slices]
        tick += 1
    return tuple(np.array(f) for f in fires), {tensor: np.array(ticks) for tensor, ticks in arrived.items()}


def _there(ticks: Sequence[int], slice_: int, tick: int) -> bool:
    return slice_ < len(ticks) and ticks[slice_] <= tick


def _queued(ready: _Ticks, arrivals: Sequence[_Ticks], length: int) -> _Ticks:
    """Firings where several windows become ready at once: one per tick at which a source has news."""
    news = np.unique(np.concatenate(arrivals))
    ticks = ready.copy()
    before = -1
    for y, tick in enumerate(ready.tolist()):
        if tick <= before:
            tick = before + 1
            if tick < length:
                later = int(np.searchsorted(news, tick))
                tick = min(int(news[later]), length) if later < len(news) else length
        ticks[y] = before = tick
    return ticks
