"""What a schedule will cost, before anything is built: instructions and flash, estimated from measurements.

Instructions of a layer are ``per_mac * MACs + per_code * codes + per_call * kernel calls``, with coefficients per core
and kernel, or pair of kernels that is one layer, in ``cost.json``; ``python -m thumbnet.host_tools.fit_cost`` measures
them anew. Flash is exact for constants; code is the measured size of each kernel plus a size per generated call. State
is not estimated: it is known.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .emit_steps import element_count
from .ir import Graph, Node
from .ops import operator_of
from .ops.base import Array, Lowered
from .schedule import Schedule, Step
from .segments import Segment
from .targets import Target

#: What a layer saves in a stream for each row that it makes and keeps to itself: another layer to try and to call.
_STAGE_CALL = 20
DATA = Path(__file__).parent / "cost.json"

#: Bytes of one element of each array type.
ITEM_BYTES = {
    **{"int8_t": 1, "int16_t": 2, "uint16_t": 2, "int32_t": 4, "uint32_t": 4},
    **{"tn_channel": 16, "tn_dsp_channel": 16, "tn_dsp_signed_channel": 24},
}


@dataclass(frozen=True)
class Work:
    """What one layer does in all: multiply-accumulates, codes read or written (the larger), kernel calls."""

    kernel: str
    macs: int
    codes: int
    calls: int


@dataclass(frozen=True)
class Estimate:
    """Instructions and flash of a schedule.

    Attributes
    ----------
    instructions : int
        Of one inference.
    push_mean, push_max : int
        Of one push, 0 where nothing is pushed.
    finish : int
        Of what is left when the stream has ended.
    flash_bytes : int
        Constants and code of the model.
    """

    instructions: int
    push_mean: int
    push_max: int
    finish: int
    flash_bytes: int


def array_bytes(array: Array) -> int:
    """Flash that a constant takes."""
    return element_count(array) * ITEM_BYTES[array.ctype]


def kernel_of(lowered: Lowered) -> str:
    """Name under which the cost of a call is listed."""
    if lowered.inline:
        return lowered.inline + ("_two" if lowered.calls[-1].function.endswith("_two") else "")
    name = lowered.calls[-1].function if lowered.calls else ""
    for way in ("_row", "_run", "_few"):
        name = name.removesuffix(way)
    return name


def works_of(graph: Graph, step: Step) -> list[Work]:
    """Work of a layer over one inference, kernel by kernel where it has two."""
    chain = step.lowered.chain
    if chain is None:
        return [_work(graph, step, step.node, step.lowered)]
    return [_work(graph, step, node, part) for node, part in zip(chain.nodes, step.lowered.parts, strict=True)]


def layer_cost(kernels: Mapping[str, Sequence[float]], works: Sequence[Work], saved: float = 0) -> float:
    """Instructions of a layer, by coefficients of its own or kernel by kernel, less what one layer of two saves."""
    if together_name(works) in kernels:
        return float(np.dot(kernels[together_name(works)], features(works)))
    parts = (np.dot(kernels.get(work.kernel, kernels["other"]), features([work])) for work in works)
    return float(sum(parts)) - saved


def together_name(works: Sequence[Work]) -> str:
    """Name under which the cost of a layer is listed."""
    return " + ".join(work.kernel for work in works)


def features(works: Sequence[Work]) -> list[float]:
    """What the coefficients of a layer multiply."""
    return [number for work in works for number in (work.macs, work.codes, work.calls)]


def _work(graph: Graph, step: Step, node: Node, lowered: Lowered) -> Work:
    stage = step.stage
    tensors = [graph.tensors[t] for t in (*node.inputs, *node.outputs) if t is not None]
    macs = operator_of(node).macs(graph, node)
    # Layers that multiply are told by that; what they read is part of it.
    counted = node.outputs if macs else [t.index for t in tensors if t.data is None]
    codes = max(graph.tensors[t].elements for t in counted)
    calls = len(lowered.calls)
    if stage is not None:
        calls *= stage.fires if step.lowered.chain is None else graph.output(node).shape[1]
    elif lowered.window_rows:
        calls *= graph.output(node).shape[1] if len(graph.output(node).shape) == 4 else 1
    return Work(kernel_of(lowered), macs, codes, calls)


@cache
def _data() -> Mapping[str, Any]:
    return json.loads(DATA.read_text())  # type: ignore[no-any-return]


class CostModel:
    """Coefficients of one core; kernels without a measurement count as the core's average."""

    def __init__(self, target: Target) -> None:
        data = _data()
        core = data["cores"].get(target.name) or data["cores"][data["alike"][target.name]]
        self._kernels: Mapping[str, list[float]] = core["kernels"]
        self._pass: float = core["pass"]
        self._try: float = core["try"]
        self._code: Mapping[str, int] = data["code_bytes"]

    def instructions(self, graph: Graph, step: Step) -> float:
        """Instructions of a layer over one inference."""
        works, chain = works_of(graph, step), step.lowered.chain
        saved = 0 if chain is None or step.stage is None else _STAGE_CALL * chain.length
        return layer_cost(self._kernels, works, saved)

    def estimate(self, schedule: Schedule) -> Estimate:
        """Instructions and flash of a schedule."""
        graph = schedule.program.graph
        costs = {step.index: self.instructions(graph, step) for step in schedule.steps}
        total, pushes = sum(costs.values()), np.zeros(1)
        for segment in (s for s in schedule.program.segments if s is not None):
            steps = [s for s in schedule.steps if s.stage is not None and s.segment == segment.number]
            ticks = self._ticks(segment, [costs[step.index] for step in steps])
            total += ticks.sum() - sum(costs[step.index] for step in steps)
            if segment.number == 0:
                pushes = ticks[: segment.length]
        mean, most = (float(pushes.mean()), float(pushes.max())) if schedule.streams else (0.0, 0.0)
        finish = total - pushes.sum() if schedule.streams else 0.0
        return Estimate(round(total), round(mean), round(most), round(finish), self.flash(schedule.steps))

    def _ticks(self, segment: Segment, costs: list[float]) -> npt.NDArray[np.float64]:
        """Instructions at every tick of a segment: those of the layers that fire, and of finding out which do."""
        last = max([segment.length, *(int(f[-1]) + 1 for f in segment.timing.fires if len(f))])
        ticks = np.full(last, self._pass)
        ticks[segment.length :] += self._try * len(segment.stages)
        for fires, cost in zip(segment.timing.fires, costs, strict=True):
            np.add.at(ticks, fires, self._try + cost / len(fires))
        return ticks

    def flash(self, steps: Sequence[Step]) -> int:
        """Bytes of constants and code."""
        first = [step for step in steps if not step.again]
        parts = [part for step in first for part in step.lowered.parts]
        constants = sum(array_bytes(array) for part in parts for array in part.arrays)
        shared = {kernel for part in parts for kernel in part.kernels}
        code = sum(self._code.get(kernel, self._code["other"]) for kernel in shared)
        own = sum(self._code.get(part.inline, self._code["inline"]) for part in parts if part.inline)
        per_step = [self._code["stage"] if step.stage else self._code["step"] for step in steps]
        return constants + code + own + sum(per_step) + self._code["model"]
