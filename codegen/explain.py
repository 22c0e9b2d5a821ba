"""What the compiler did to a model and why, with counts: the data behind ``thumbnet generate --explain``."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from . import passes
from .choose import OPTIONAL, Candidate
from .cost import array_bytes, kernel_of
from .ir import Graph, Node
from .ops import operator_of
from .ops.base import Lowered
from .passes import SWITCHES
from .passes.swap_axes import swap_axes
from .ranges import channels
from .requantize import PLAIN
from .schedule import Step
from .targets import Target

#: Kernels that look their results up.
_STAYS = "stays as it is: memory times instructions would be no less"
_TABLES = frozenset({"tn_lookup_s8", "tn_softmax_s8"})


@dataclass(frozen=True)
class Change:
    """What a pass did to one layer."""

    node: int
    name: str
    op: str
    text: str


@dataclass(frozen=True)
class PassReport:
    """What one pass did.

    Attributes
    ----------
    name : str
        Its switch.
    purpose : str
        What it is for, one clause.
    enabled : bool
        False where it was switched off.
    layers, macs : tuple of int
        Before and after it.
    removed_channels : int
        Channels that the layers write less, the flattened ones included.
    changes : tuple of Change
        Layer by layer.
    """

    name: str
    purpose: str
    enabled: bool
    layers: tuple[int, int]
    macs: tuple[int, int]
    removed_channels: int = 0
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True)
class StepReport:
    """How one layer runs.

    Attributes
    ----------
    tier : str
        ``portable`` or the tier whose inline kernel it is; ``none`` where no code is needed.
    kernel : str
        Stem of the kernel.
    proven, plain : int or None
        Channels that requantize by one proven multiply-add, and those that keep TFLite's two roundings; None for
        layers and kernels that do not choose.
    table_bytes : int
        Lookup tables.
    """

    index: int
    name: str
    op: str
    tier: str
    kernel: str
    macs: int
    weight_bytes: int
    proven: int | None
    plain: int | None
    table_bytes: int


@dataclass(frozen=True)
class ScheduleReport:
    """One way to run the model, chosen or rejected."""

    name: str
    state_bytes: int
    instructions: int
    flash_bytes: int
    push_max: int
    finish: int
    chosen: bool


@dataclass(frozen=True)
class Explanation:
    """Everything that was decided.

    Attributes
    ----------
    arena_bytes, arena_bound : int
        Size of the memory plan, and the bytes that are alive at its busiest step: no plan can be smaller.
    off : tuple of str
        Switches that were off.
    notes : tuple of str
        What else was decided; of a composed model how its parts run.
    """

    passes: tuple[PassReport, ...]
    steps: tuple[StepReport, ...]
    schedules: tuple[ScheduleReport, ...]
    arena_bytes: int
    arena_bound: int
    off: tuple[str, ...]
    notes: tuple[str, ...] = ()


def compare(name: str, before: Graph, after: Graph) -> PassReport:
    """What a pass did, from the graphs before and after it."""
    new = {node.index: node for node in after.nodes}
    changes = [change for node in before.nodes if (change := _change(before, after, node, new)) is not None]
    counts = (len(before.nodes), len(after.nodes)), (_macs(before), _macs(after))
    written = [i for node in after.nodes for i in node.outputs if i in before.tensors]
    lost = sum(channels(before.tensors[i]) - channels(after.tensors[i]) for i in written)
    return PassReport(name, SWITCHES[name], True, *counts, lost, tuple(changes))


def _change(before: Graph, after: Graph, node: Node, new: Mapping[int, Node]) -> Change | None:
    name = before.name(node)
    now = new.get(node.index)
    if now is None:
        constant = all(i in after.tensors and after.tensors[i].data is not None for i in node.outputs)
        return Change(node.index, name, node.op, "is a constant" if constant else "is no layer of its own any more")
    parts = [f"becomes {now.op}"] if now.op != node.op else []
    for key, value in now.attrs.items():
        if now.op == node.op and key in node.attrs and node.attrs[key] != value and key != "padding":
            parts.append(f"{key} {node.attrs[key]} becomes {value}")
    if "pad_h" in now.attrs and "pad_h" not in node.attrs:
        parts.append(f"pads {now.attrs['pad_h']} by {now.attrs['pad_w']}")
    for was, is_ in zip(node.outputs, now.outputs, strict=True):
        old, tensor = before.tensors[was], after.tensors[is_]
        if was == is_ and old.shape != tensor.shape:
            filling = sum(code is not None for code in tensor.kept.codes) if tensor.kept else 0
            filled = f" ({filling} of them to fill up lanes)" if filling else ""
            parts.append(f"{channels(old)} channels become {channels(tensor)}{filled}")
    return Change(node.index, name, node.op, ", ".join(parts)) if parts else None


def _macs(graph: Graph) -> int:
    return sum(operator_of(node).macs(graph, node) for node in graph.nodes)


def explain(model: Graph, graph: Graph, chosen: Candidate, target: Target, disable: Collection[str]) -> Explanation:
    """Explain a compilation.

    Parameters
    ----------
    model, graph : Graph
        As read, and after the passes.
    chosen : Candidate
        The schedule, with those that were rejected.
    target : Target
        The core.
    disable : collection of str
        What was switched off.
    """
    plan = chosen.schedule.plan
    return Explanation(
        passes=tuple(_passes(model, graph, chosen, target, disable)),
        steps=tuple(_step(chosen.schedule.program.graph, step) for step in chosen.schedule.steps),
        schedules=tuple(_schedule(candidate, candidate is chosen) for candidate in (chosen, *chosen.others)),
        arena_bytes=plan.bytes,
        arena_bound=plan.lower_bound,
        off=tuple(name for name in SWITCHES if name in disable),
    )


def _passes(
    model: Graph, graph: Graph, chosen: Candidate, target: Target, disable: Collection[str]
) -> Iterator[PassReport]:
    """One report per pass, those that were switched off included."""
    found: dict[str, PassReport] = {}
    last = model
    for name, after in passes.stages(model, target, disable):
        if name in SWITCHES:
            found[name] = compare(name, last, after)
        last = after
    last, _ = swap_axes(graph) if chosen.swapped else (graph, None)
    for name, transform in passes.FUSIONS.items():
        if name not in disable:
            after = transform(last, target, chosen.apart)
            found[name] = compare(name, last, after)
            stay = OPTIONAL[name](after) & chosen.apart if name in OPTIONAL else ()
            told = [Change(n.index, after.name(n), n.op, _STAYS) for n in after.nodes if n.index in stay]
            found[name] = replace(found[name], changes=(*found[name].changes, *told))
            last = after
    none = (len(last.nodes),) * 2, (_macs(last),) * 2
    for name in (*passes.PASSES, *passes.FUSIONS):
        yield found.get(name, PassReport(name, SWITCHES[name], False, *none))


def _schedule(candidate: Candidate, chosen: bool) -> ScheduleReport:
    cost = candidate.estimate
    return ScheduleReport(
        candidate.name,
        candidate.state_bytes,
        cost.instructions,
        cost.flash_bytes,
        cost.push_max,
        cost.finish,
        chosen,
    )


def _step(graph: Graph, step: Step) -> StepReport:
    low = step.lowered
    proven, plain = _requantization(low)
    return StepReport(
        index=step.index,
        name=graph.tensors[step.node.outputs[0]].name,
        op=step.node.op,
        tier="+".join(dict.fromkeys(_tier(part) for part in low.parts)),
        kernel="+".join(kernel_of(part) for part in low.parts),
        macs=step.macs,
        weight_bytes=0 if step.again else sum(array_bytes(array) for part in low.parts for array in part.arrays),
        proven=proven,
        plain=plain,
        table_bytes=sum(array_bytes(array) for array in low.arrays) if set(low.kernels) & _TABLES else 0,
    )


def _tier(low: Lowered) -> str:
    return low.inline.rpartition("_")[2] if low.inline else "portable" if low.calls else "none"


def _requantization(low: Lowered) -> tuple[int | None, int | None]:
    arrays = [array.values for part in low.parts for array in part.arrays if array.ctype == "tn_channel"]
    if not arrays:
        return None, None
    plain = sum(int(np.count_nonzero(np.asarray(values)[:, 2] == PLAIN)) for values in arrays)
    return sum(len(values) for values in arrays) - plain, plain
