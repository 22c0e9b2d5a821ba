"""Text of the segments: when each layer may fire, and where in their rings the slices under its window lie."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .emit_steps import Emitter, StepText
from .ops.base import SUM_BYTES
from .schedule import Step
from .segments import Segment
from .streaming import Stage, slice_bytes

#: Streamed tensors whose news fit one word; beyond, every layer is tried at every pass.
_MASK_BITS = 31
#: Slices that a layer takes at a time from which on it is worth asking whether it can before a pass.
_SELDOM = 2


@dataclass(frozen=True)
class StageText:
    """One layer of a segment: when it may fire and what it does for output slice `y`.

    Attributes
    ----------
    news : str
        C expression that holds where any of its sources has new slices.
    ready : str
        C expression that holds where it may fire, given news.
    done : str
        C expression of the slices that are there when it has fired.
    """

    step: StepText
    counter: int
    news: str
    ready: str
    done: str
    setup: list[str]
    provides: int
    later: int
    finish: list[str]
    observe: list[str]


@dataclass(frozen=True)
class SegmentText:
    """One walk: its pass over the stages, how slices come in, and the whole layers after it.

    `guard` says when a pass is worth it after a pushed slice; empty for always. `drains`: every layer fires as often as
    it can.
    """

    number: int
    length: int
    parameters: str
    arguments: str
    drained: str
    arrived: list[str]
    stages: list[StageText]
    window_rows: int
    fresh_input: int
    fresh_all: int
    most: int
    drains: bool
    guard: str
    uses_arena: bool


@dataclass(frozen=True)
class StreamText:
    """The stream as the template shows it: the layout of a pushed slice, and all segments.

    `wholes` are the layers by whole tensors that follow each segment.
    """

    segments: list[SegmentText | None]
    wholes: list[list[StepText]]
    length: int
    ring: str
    channels: int
    features: int
    slice_stride: int
    channel_stride: int


def stream_text(emitter: Emitter) -> StreamText:
    """Text of every segment."""
    segments = emitter.schedule.program.segments
    first = segments[0]
    assert first is not None
    (pushed,) = first.sources
    source = emitter.graph.tensors[pushed]
    features = source.shape[-1]
    channels = source.elements // (first.length * features)
    exchanged = pushed in emitter.swapped
    return StreamText(
        segments=[None if s is None else _SegmentWriter(emitter, s).text() for s in segments],
        wholes=[emitter.steps(number) for number in range(len(segments))],
        length=first.length,
        ring=_SegmentWriter(emitter, first).ring(pushed, "t"),
        channels=channels,
        features=features,
        slice_stride=features if exchanged else features * channels,
        channel_stride=features * first.length if exchanged else features,
    )


class _SegmentWriter:
    def __init__(self, emitter: Emitter, segment: Segment) -> None:
        self.emitter = emitter
        self.graph = emitter.graph
        self.segment = segment
        tensors = list(segment.timing.depths)
        self.masks = {t: 1 << number if len(tensors) <= _MASK_BITS else 1 for number, t in enumerate(tensors)}
        self.makers = {tensor: n for n, stage in enumerate(segment.stages) for tensor in stage.streamed}

    def text(self) -> SegmentText:
        segment = self.segment
        steps = [s for s in self.emitter.schedule.steps if s.stage is not None and s.segment == segment.number]
        stages = [self._stage(order, step) for order, step in enumerate(steps)]
        # A slice of the first segment arrives in its counter, those of others as an argument.
        given = [("uint32_t fresh", "fresh"), *([("unsigned arrived", "arrived")] if segment.number else [])]
        writes_output = any("out->" in line for stage in stages for line in (*stage.step.calls, *stage.setup))
        if writes_output or any("out->" in line for s in stages for line in s.observe):
            given.append((f"{self.emitter.prefix}_outputs *out", "out"))
        return SegmentText(
            number=segment.number,
            length=segment.length,
            parameters=", ".join(parameter for parameter, _ in given),
            arguments="".join(f", {argument}" for _, argument in given[1:]),
            drained="".join(f", {segment.length}" if a == "arrived" else f", {a}" for _, a in given[1:]),
            arrived=self._arrivals() if stages else [],
            stages=stages,
            window_rows=max((stage.lowered.window_rows for stage in segment.stages), default=0),
            fresh_input=self._mask(self.masks if segment.most else segment.sources),
            fresh_all=self._mask(self.masks),
            most=segment.most,
            drains=segment.drains,
            guard=self._guard(steps),
            uses_arena=any("arena" in line for s in stages for line in (*s.step.calls, *s.setup, *s.observe)),
        )

    def _arrivals(self) -> list[str]:
        """Declarations of how many slices of the shorter sources have been let in."""
        lengths = [self.graph.tensors[t].shape[1] for t in self.segment.sources]
        return [
            f"const unsigned arrived{n} = (unsigned)((uint32_t)arrived * {length}u / {self.segment.length}u);"
            for n, length in enumerate(lengths)
            if length != self.segment.length
        ]

    def _arrived(self, tensor: int) -> str:
        """C expression of how many slices of a tensor there are."""
        if tensor in self.makers:
            return f"s->done[{self.makers[tensor] + 1}]"
        if self.segment.number == 0:
            return "s->done[0]"
        length = self.graph.tensors[tensor].shape[1]
        return "arrived" if length == self.segment.length else f"arrived{self.segment.sources.index(tensor)}"

    def _mask(self, tensors: Iterable[int]) -> int:
        found = 0
        for tensor in tensors:
            found |= self.masks[tensor]
        return found

    def _start(self, tensor: int) -> str:
        offset = self.emitter.schedule.rings.get((self.segment.number, tensor))
        if offset is None:
            return self.emitter.place(tensor)
        return f"arena + {offset}" if offset else "arena"

    def ring(self, tensor: int, y: str) -> str:
        """C expression of the place of slice `y`."""
        slot = self.segment.slot(self.emitter.schedule.program.part.root(tensor))
        start, size = self._start(slot), slice_bytes(self.graph.tensors[slot])
        depth = self.segment.depth(self.graph, slot)
        if depth == 1:
            return start
        number = y if depth >= self.graph.tensors[slot].shape[1] else f"{y} % {depth}u"
        return f"{start} + (size_t)({number}) * {size}"

    def _stage(self, order: int, step: Step) -> StageText:
        stage = step.stage
        assert stage is not None
        windowed = stage.lowered.window_rows > 0
        ready = self._ready(order, step)
        after = [tensor for other in self.segment.stages[order + 1 :] for tensor in other.sources]
        places = self._places(step)
        finish: list[str] = []
        observe: list[str] = []
        if stage.finish is not None:
            out = self.emitter.place(stage.outputs[0])
            names = {"acc": places["acc"], "out0": out}
            finish = [*self.emitter.finish(step, names), *self.emitter.observe(step)]
        else:
            observe = self._observe(step, stage, places)
        return StageText(
            step=self.emitter.step(step, places),
            counter=order + 1,
            news=f"(fresh & {self._mask(stage.sources):#x}u) != 0",
            ready=" && ".join(ready),
            done=f"y + {self._slices_made(stage)}",
            setup=[self._rows(step, stage)] if windowed else [],
            provides=self._mask(stage.streamed),
            later=self._mask(after),
            finish=finish,
            observe=observe,
        )

    def _ready(self, order: int, step: Step) -> list[str]:
        """C expressions that all hold when a stage may fire."""
        stage = step.stage
        assert stage is not None
        fired = f"s->done[{order + 1}]"
        counts = dict.fromkeys(self._arrived(t) for t in stage.sources)
        if stage.lowered.window_rows > 0:
            return [f"tn_stream_ready({self.emitter.window(step)}, {fired}, {count}) != 0" for count in counts]
        strided = f" * {stage.window.stride}u" if stage.window.stride > 1 else ""
        return [f"{fired}{strided} < {count}" for count in counts]

    def _slices_made(self, stage: Stage) -> str:
        """C expression of how many slices a paired stage makes from slice `y` on."""
        if not stage.paired:
            return "1u"
        return "2u" if stage.slices % 2 == 0 else f"(y + 1u < {stage.slices}u ? 2u : 1u)"

    def _observe(self, step: Step, stage: Stage, places: Mapping[str, str]) -> list[str]:
        """Show the slice that was made, or both."""
        lines = [self.emitter.observe_slice(step, places["out0"], "y")]
        if stage.paired:
            size = slice_bytes(self.graph.tensors[stage.outputs[0]])
            second = self.emitter.observe_slice(step, f"{places['out0']} + {size}", "(y + 1u)")
            guard = [] if stage.slices % 2 == 0 else [f"if (y + 1u < {stage.slices}u) {{"]
            lines += [*guard, f"    {second}" if guard else second, *("}" for _ in guard)]
        return lines

    def _guard(self, steps: Sequence[Step]) -> str:
        """When a pushed slice can make any layer fire; empty where most do, or nobody knows."""
        segment = self.segment
        if segment.number or segment.most or len(self.masks) > _MASK_BITS:
            return ""
        readers = [
            (order, step)
            for order, step in enumerate(steps)
            if step.stage is not None and set(segment.sources) & set(step.stage.sources)
        ]
        if any(step.stage is None or step.stage.window.stride < _SELDOM for _, step in readers):
            return ""
        return " || ".join(" && ".join(self._ready(order, step)) for order, step in readers)

    def _rows(self, step: Step, stage: Stage) -> str:
        slot = self.segment.slot(stage.sources[0])
        depth, size = self.segment.depth(self.graph, slot), slice_bytes(self.graph.tensors[slot])
        window, border = self.emitter.window(step), self.emitter.border(step)
        return f"tn_stream_rows({window}, y, {self._start(slot)}, {depth}u, {size}, {border}, rows);"

    def _places(self, step: Step) -> Mapping[str, str]:
        stage, part = step.stage, self.emitter.schedule.program.part
        assert stage is not None
        places = {"rows": "rows", "y": "y"}
        for position, index in enumerate(step.node.inputs):
            if index is not None:
                streamed = part.root(index) in self.segment.timing.depths
                at = "y" if stage.window.stride == 1 else f"y * {stage.window.stride}u"
                places[f"in{position}"] = self.ring(index, at) if streamed else self.emitter.place(index)
        if stage.paired:
            size = slice_bytes(self.graph.tensors[stage.outputs[0]])
            places["step"] = f"{size}" if stage.slices % 2 == 0 else f"y + 1u < {stage.slices}u ? {size} : 0"
        if stage.finish is None:
            return places | {f"out{n}": self.ring(t, "y") for n, t in enumerate(stage.outputs)}
        offset = self.emitter.schedule.accumulators[stage.outputs[0]]
        wide = stage.accumulator_bytes == SUM_BYTES * self.graph.output(step.node).elements
        few = f"arena + {offset}"
        return places | {"acc": f"s->arena + {offset // 4}" if wide else few, "few": few}
