"""A chosen schedule in words and numbers: for the manifest, for reports, for people."""

from __future__ import annotations

from .choose import Candidate
from .model import Alternative, ScheduleInfo, SegmentInfo, StoredTensor
from .schedule import Schedule, Step
from .segments import Segment

_AXES = {"stream-h": "height", "stream-w": "width"}


def describe_schedule(chosen: Candidate) -> ScheduleInfo:
    """Everything known about the chosen schedule before anything is built."""
    schedule, estimate = chosen.schedule, chosen.estimate
    first = schedule.program.segments[0]
    return ScheduleInfo(
        name=chosen.name,
        axis=_AXES.get(chosen.name),
        slices=0 if first is None else first.length,
        plan_bytes=schedule.plan.bytes,
        plan_bound=schedule.plan.lower_bound,
        spread=0 if first is None else first.most,
        macs_again=sum(step.macs for step in schedule.steps if step.again),
        segments=tuple(_segment(schedule, s) for s in schedule.program.segments if s is not None),
        instructions=estimate.instructions,
        push_mean=estimate.push_mean,
        push_max=estimate.push_max,
        finish=estimate.finish,
        flash_bytes=estimate.flash_bytes,
        alternatives=tuple(
            Alternative(c.name, c.state_bytes, c.estimate.flash_bytes, c.estimate.instructions)
            for c in (chosen, *chosen.others)
        ),
    )


def _segment(schedule: Schedule, segment: Segment) -> SegmentInfo:
    tensors = schedule.program.graph.tensors
    steps: list[Step] = [s for s in schedule.steps if s.stage is not None and s.segment == segment.number]
    again = [step for step in steps if step.again]
    return SegmentInfo(
        slices=segment.length,
        sources=tuple(tensors[t].name for t in segment.sources),
        layers=len(steps),
        stores=tuple(StoredTensor(tensors[t].name, tensors[t].bytes) for t in sorted(segment.stored)),
        again=tuple(tensors[step.node.outputs[0]].name for step in again),
        again_macs=sum(step.macs for step in again),
    )
