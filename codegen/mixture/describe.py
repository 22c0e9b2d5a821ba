"""What was chosen for a mixture, in words and numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..explain import Explanation, ScheduleReport
from ..model import Alternative, LayerInfo, ScheduleInfo

if TYPE_CHECKING:
    from .parts import Part
    from .slices import Slices
    from .wiring import Wiring


def runs_of(role: str, wiring: Wiring) -> int:
    """How often a part runs for a window."""
    return {"expert": wiring.mixture.k, "towers": len(wiring.towers)}.get(role, 1)


def schedule_info(
    parts: Mapping[str, Part],
    wiring: Wiring,
    slices: Slices | None,
    gate_pushed: bool,
    state: int,
    layers: Sequence[LayerInfo],
) -> ScheduleInfo:
    """How the whole is walked; the segments are those of the parts, in order."""
    infos = {role: part.info for role, part in parts.items()}
    work = {role: info.instructions * runs_of(role, wiring) for role, info in infos.items()}
    gate = infos["gate"]
    pushes = gate.push_mean * gate.slices if gate_pushed else 0
    name = "whole" if slices is None else f"stream-{slices.axis[0]}"
    total = sum(work.values())
    flash = sum(info.flash_bytes for info in infos.values())
    others = sum(layer.weight_bytes for layer in layers) - sum(
        layer.weight_bytes for part in parts.values() for layer in _plain_layers(part)
    )
    return ScheduleInfo(
        name=name,
        axis=None if slices is None else slices.axis,
        slices=0 if slices is None else slices.length,
        plan_bytes=state,
        plan_bound=state,
        spread=gate.spread if gate_pushed else 0,
        macs_again=sum(info.macs_again * runs_of(role, wiring) for role, info in infos.items()),
        segments=tuple(
            replace(segment, sources=tuple(f"{role}: {source}" for source in segment.sources))
            for role, info in infos.items()
            for segment in info.segments
        ),
        instructions=total,
        push_mean=gate.push_mean if gate_pushed else 0,
        push_max=gate.push_max if gate_pushed else 0,
        finish=total - pushes if slices is not None else 0,
        flash_bytes=flash + others,
        alternatives=(Alternative(name, state, flash + others, total),),
    )


def _plain_layers(part: Part) -> Sequence[LayerInfo]:
    from ..emit import layer_infos

    return layer_infos(part.graphs[0], part.after, part.chosen.schedule)


def explanation(
    parts: Mapping[str, Part], wiring: Wiring, info: ScheduleInfo, layers: Sequence[LayerInfo]
) -> Explanation:
    """What was decided, part by part; names of layers begin with their part."""
    found = {role: part.explain() for role, part in parts.items()}
    steps = [replace(step, name=f"{role}: {step.name}") for role, part in found.items() for step in part.steps]
    passes = [
        replace(report, changes=tuple(replace(change, name=f"{role}: {change.name}") for change in report.changes))
        for role, part in found.items()
        for report in part.passes
        if report.changes
    ]
    schedules = [
        replace(report, name=f"{role}: {report.name}") for role, part in found.items() for report in part.schedules
    ]
    one = info.alternatives[0]
    whole = ScheduleReport(
        "in all: " + one.name, one.state_bytes, one.instructions, one.flash_bytes, info.push_max, info.finish, True
    )
    return Explanation(
        passes=tuple(passes),
        steps=tuple(replace(step, index=number) for number, step in enumerate(steps)),
        schedules=(whole, *schedules),
        arena_bytes=info.plan_bytes,
        arena_bound=info.plan_bound,
        off=tuple(sorted({name for part in found.values() for name in part.off})),
        notes=tuple(_notes(parts, wiring, info, layers)),
    )


def _notes(parts: Mapping[str, Part], wiring: Wiring, info: ScheduleInfo, layers: Sequence[LayerInfo]) -> list[str]:
    constants = wiring.constants
    expert = parts["expert"]
    active = sum(layer.macs for layer in layers)
    dense = active + (constants.experts - constants.k) * sum(layer.macs for layer in expert.layers)
    estimate = info.instructions + (constants.experts - constants.k) * expert.info.instructions
    held = f"of {wiring.window.bytes:,} bytes is kept in the state, as the experts begin when it is complete"
    kept = held if info.slices else "is the caller's"
    gate = "while the window arrives" if info.push_mean else "when the window is complete"
    return [
        f"{constants.k} of {constants.experts} experts run for a window: {active:,} of {dense:,} MACs, and an "
        f"estimated {info.instructions / max(estimate, 1):.2f} of the instructions of all experts",
        f"the window {kept}; the gate runs {gate} ({parts['gate'].chosen.name}), the experts by {expert.chosen.name}, "
        f"the towers by {parts['towers'].chosen.name}",
        "the states of "
        + ", ".join(f"{role} ({part.state_bytes:,} bytes)" for role, part in parts.items())
        + " share one memory",
    ]
