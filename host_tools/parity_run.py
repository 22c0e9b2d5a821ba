"""A parity run over one or several boards: build, compare, and on a mismatch find the first diverging layer."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from thumbnet.codegen import CodegenError
from thumbnet.codegen.passes import SWITCHES
from thumbnet.codegen.signals import SignalPlan

from .boards import Board
from .errors import HostToolsError
from .floatmodel import FloatModel, wilson_interval
from .modelfile import ModelFile
from .parity import Comparison, Divergence, Expected, compare, compare_layers, differs, first_divergence
from .progress import NewTask
from .tensors import Array
from .workbench import Workbench

# Windows tried in search of the layer; a fault in a rarely taken branch may stay hidden in the first one.
_BISECTED_WINDOWS = 4


@dataclass(frozen=True)
class ParityResult:
    """What one board computed beside the oracle."""

    model: ModelFile
    board: Board
    oracle: str
    inputs: str
    comparison: Comparison
    diverging: Divergence | None
    layers_compared: bool
    seconds: float
    schedule: str = "whole"
    note: str | None = None

    @property
    def passed(self) -> bool:
        """No byte of an output and, where they were compared, no layer differed."""
        return self.comparison.mismatches == 0 and self.diverging is None

    def to_dict(self) -> dict[str, Any]:
        """JSON form, see docs/json-schemas.md."""
        found = self.comparison
        return {
            "model": self.model.to_dict(),
            "board": self.board.name,
            "target": self.board.target,
            "engine": "aot",
            "schedule": self.schedule,
            "oracle": self.oracle,
            "inputs": self.inputs,
            "windows": found.windows,
            "bytes": found.bytes,
            "mismatches": found.mismatches,
            "mismatched_windows": len(found.bad_windows),
            "max_abs_diff": _whole(found.max_abs_diff),
            "first_diverging_layer": self.diverging.to_dict() if self.diverging else None,
            "layers_compared": self.layers_compared,
            "passed": self.passed,
            "note": self.note,
            "seconds": round(self.seconds, 3),
        }


def _whole(value: float) -> int | float:
    return int(value) if value.is_integer() else value


@dataclass(frozen=True)
class ParityPlan:
    """What every board of a run has in common."""

    model: ModelFile
    expected: Expected
    folder: Path
    sources: Path | None = None
    every_layer: bool = False
    port: str | None = None
    schedule: str = "whole"
    signals: SignalPlan | None = None
    max_ram: int | None = None


def run_board(plan: ParityPlan, board: Board, new_task: NewTask) -> ParityResult:
    """Build the model for a board, run every window there and compare.

    Parameters
    ----------
    plan
        Model, windows, oracle and working folder.
    board
        Where to run.
    new_task
        Opens a progress bar.

    Raises
    ------
    HostToolsError, CodegenError
        When the model does not compile, the firmware does not build, or the device fails.
    """
    started = time.monotonic()
    bench = Workbench(
        plan.model,
        board,
        plan.folder / board.name,
        plan.sources,
        plan.port,
        plan.schedule,
        signals=plan.signals,
        max_ram=plan.max_ram,
    )
    bench.elf(observe=plan.every_layer)
    advance = new_task(board.name, len(plan.expected.windows))
    outputs = bench.compiled.outputs
    with bench.device(observe=plan.every_layer) as device:
        if plan.every_layer:
            found = compare_layers(device, plan.expected, outputs, bench.layers, advance)
        else:
            found = compare(device, plan.expected, outputs, advance)
    diverging, note = found.diverging, None
    if found.mismatches and diverging is None:
        diverging, note = _bisect(bench, plan, found.bad_windows[:_BISECTED_WINDOWS])
    if found.mismatches and plan.sources is None and plan.port is None:
        blamed = _blame(plan, board, found.bad_windows[:_BISECTED_WINDOWS])
        note = f"{note}; {blamed}" if note else blamed
    return ParityResult(
        model=plan.model,
        board=board,
        oracle=plan.expected.oracle_name,
        inputs=plan.expected.windows.description,
        comparison=found,
        diverging=diverging,
        layers_compared=plan.every_layer,
        seconds=time.monotonic() - started,
        schedule=plan.schedule,
        note=note,
    )


def _bisect(bench: Workbench, plan: ParityPlan, windows: Sequence[int]) -> tuple[Divergence | None, str | None]:
    if bench.port is not None:
        return None, "to name the layer on hardware, flash it with --observe and compare with --layers"
    with bench.device(observe=True) as device:
        diverging = first_divergence(device, plan.expected, bench.layers, windows)
    if diverging is None:
        return None, (
            "every layer agrees in the firmware built to observe layers, so the fault is in what that build "
            "leaves out: memory shared between layers, or the copy of the output"
        )
    return diverging, None


def _blame(plan: ParityPlan, board: Board, windows: Sequence[int]) -> str:
    """Whether an optimisation is to blame, and which: the one without which the windows come out equal."""
    try:
        return _search(plan, board, windows)
    except (HostToolsError, CodegenError) as error:
        return f"whether an optimisation is to blame is not known: {error}"


def _search(plan: ParityPlan, board: Board, windows: Sequence[int]) -> str:
    if _differs_without(plan, board, windows, SWITCHES):
        return "with every optimisation off these windows differ as well, so none of them is to blame"
    for name in SWITCHES:
        if not _differs_without(plan, board, windows, [name]):
            return f"with --disable {name} these windows are equal"
    return "with every optimisation off these windows are equal, but leaving out one alone is not enough"


def _differs_without(plan: ParityPlan, board: Board, windows: Sequence[int], names: Collection[str]) -> bool:
    with tempfile.TemporaryDirectory(prefix="without-", dir=plan.folder, ignore_cleanup_errors=True) as folder:
        bench = Workbench(
            plan.model,
            board,
            Path(folder),
            schedule=plan.schedule,
            disable=names,
            signals=plan.signals,
            max_ram=plan.max_ram,
        )
        with bench.device() as device:
            return differs(device, plan.expected, bench.compiled.outputs, windows)


def run_boards(
    plan: ParityPlan, boards: Sequence[Board], new_task: NewTask, jobs: int | None = None
) -> list[ParityResult | HostToolsError]:
    """Run several boards at once; a board that fails gives its error in place of a result.

    Builds and devices are processes of their own, so threads are enough here.
    """
    workers = min(len(boards), jobs or os.cpu_count() or 1)

    def one(board: Board) -> ParityResult | HostToolsError:
        try:
            return run_board(plan, board, new_task)
        except HostToolsError as error:
            return type(error)(f"{board.name}: {error}")

    if len(boards) == 1:
        return [run_board(plan, boards[0], new_task)]
    with ThreadPoolExecutor(workers, thread_name_prefix="parity") as pool:
        return list(pool.map(one, boards))


def accuracy(result: ParityResult, labels: Array) -> dict[str, Any]:
    """Share of windows whose class (largest value of the first output) is the label, on device and oracle."""
    found = result.comparison
    return {
        "windows": found.windows,
        "device": float(np.mean(np.asarray(found.device_classes) == labels)),
        "oracle": float(np.mean(np.asarray(found.oracle_classes) == labels)),
    }


def agreement(result: ParityResult, classes: Sequence[int]) -> dict[str, Any]:
    """Share of windows in which the device names the class of the float model, with its 95 % interval."""
    total = result.comparison.windows
    hits = sum(a == b for a, b in zip(result.comparison.device_classes, classes, strict=True))
    low, high = wilson_interval(hits, total)
    return {"windows": total, "agree": hits, "share": hits / total, "interval_95": [low, high]}


def float_classes(model: FloatModel, real: Callable[[int], list[Array]], count: int) -> list[int]:
    """Class that the float model names for each window."""
    return [int(np.argmax(model(real(window)))) for window in range(count)]
