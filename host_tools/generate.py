"""Generate C for a model: choose the target, compile, check the board's limits, write."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from thumbnet.codegen import GENERATOR, OPTIMIZE, CompiledModel, Limits, compile_model
from thumbnet.codegen.explain import Explanation
from thumbnet.codegen.signals import SignalPlan
from thumbnet.codegen.signals.application import compile_with_signals, signal_files
from thumbnet.codegen.targets import TARGETS

from .choices import check_choice
from .errors import BoardError, HostToolsError
from .limits import limits_for
from .modelfile import ModelFile, read_model
from .options import choose_board
from .signals import read_plan, schedule_behind
from .writing import write_files

ENGINES = ("aot", "tflm")


@dataclass(frozen=True)
class Cost:
    """What the generated code will ask of a board: a state for `aot`, an arena for `tflm`."""

    layers: int
    macs: int
    state_bytes: int | None
    weight_bytes: int
    arena_bytes_tflm_host: int | None = None


@dataclass(frozen=True)
class Generated:
    """What was written, and what it will cost."""

    model: ModelFile
    target: str
    engine: str
    schedule: str
    optimize: str
    prefix: str
    output: Path
    cost: Cost
    files: Mapping[str, int]
    changed: tuple[str, ...]
    explanation: Explanation | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON form, see docs/json-schemas.md."""
        return {
            "model": self.model.to_dict(),
            "target": self.target,
            "engine": self.engine,
            "schedule": self.schedule,
            "optimize": self.optimize,
            "prefix": self.prefix,
            "output": str(self.output),
            **asdict(self.cost),
            "files": dict(self.files),
            "changed": list(self.changed),
            "explanation": None if self.explanation is None else asdict(self.explanation),
        }


def generate(
    model: Path,
    output: Path,
    *,
    target: str | None = None,
    board: str | None = None,
    engine: str = "aot",
    prefix: str = "model",
    schedule: str = "whole",
    max_ram: int | None = None,
    max_flash: int | None = None,
    spread: int = 0,
    app: bool = True,
    force: bool = False,
    default_target: str = "cortex-m4",
    disable: Sequence[str] = (),
    optimize: str = "speed",
    explain: bool = False,
    signals: str | None = None,
) -> Generated:
    """Compile a model and write the sources.

    Parameters
    ----------
    model
        A .tflite file or a bundle.
    output
        Folder to write.
    target, board
        Core, or board that implies it; both may be given when they agree.
    engine
        `aot` or `tflm`.
    prefix
        Prefix of C names and files.
    schedule
        How the code of the `aot` engine walks the network.
    max_ram, max_flash
        Bytes that the model may take at most; with `auto` the board's own limits where neither is given.
    spread
        Layers that may run in one push of a stream; 0 for as many as can.
    app
        Also write the adapter for the device application.
    force
        Overwrite foreign files.
    default_target
        Core when neither target nor board is given.
    disable
        Optimisations of the `aot` engine to leave out.
    optimize
        What the code of the `aot` engine leans to: `speed` or `size`.
    explain
        Also tell what the compiler did and why; the `aot` engine only.
    signals
        Declaration of preprocessing to generate too: a JSON file, or `bundle`; the `aot` engine only.

    Raises
    ------
    HostToolsError
        For a missing file, unknown names, a model that exceeds the board, foreign files in the folder.
    CodegenError
        For a model that cannot be compiled.
    """
    check_choice("engine", engine, ENGINES)
    core = _target(target, board, default_target)
    given = read_model(model)
    if engine != "aot" and (disable or explain):
        raise HostToolsError(f"--disable and --explain are about the engine aot, got engine {engine}")
    if engine != "aot" and signals is not None:
        raise HostToolsError(f"--signals is about the engine aot, got engine {engine}")
    plan = None if signals is None else read_plan(signals, given)
    if plan is not None and app:
        schedule = schedule_behind(plan, schedule)
    limits = limits_for(schedule, None if board is None else choose_board(board), max_ram, max_flash)

    def work(room: Limits) -> tuple[Mapping[str, str], Cost, CompiledModel | None]:
        return _compile(given, core, engine, prefix, schedule, room, spread, app, disable, optimize)

    files, cost, compiled = work(limits) if plan is None or not app else _with_signals(work, limits, plan)
    if plan is not None and not app and compiled is not None:
        files = {**files, **signal_files(compiled, plan, GENERATOR)}
    if board is not None:
        _check_fits(board, cost.state_bytes or 0, cost.weight_bytes)
    changed = write_files(output, files, force=force)
    return Generated(
        model=given,
        target=core,
        engine=engine,
        schedule=schedule,
        optimize=optimize,
        prefix=prefix,
        output=output,
        cost=cost,
        files={name: len(text.encode()) for name, text in files.items()},
        changed=tuple(changed),
        explanation=compiled.explanation if explain and compiled is not None else None,
    )


def _with_signals(
    work: Callable[[Limits], tuple[Mapping[str, str], Cost, CompiledModel | None]], limits: Limits, plan: SignalPlan
) -> tuple[Mapping[str, str], Cost, CompiledModel]:
    """Compile, and bind the device application to model and preprocessing; the limits are for both."""
    found: list[Cost] = []

    def alone(room: Limits) -> CompiledModel:
        _, cost, compiled = work(room)
        assert compiled is not None
        found.append(cost)
        return compiled

    compiled, both = compile_with_signals(alone, limits, plan, GENERATOR)
    return both.files, replace(found[-1], state_bytes=both.state_bytes), compiled


def _compile(
    model: ModelFile,
    core: str,
    engine: str,
    prefix: str,
    schedule: str,
    limits: Limits,
    spread: int,
    app: bool,
    disable: Sequence[str],
    optimize: str,
) -> tuple[Mapping[str, str], Cost, CompiledModel | None]:
    if engine == "tflm":
        from thumbnet.codegen import analyze_model, tflm

        from .oracle import tflm_arena_bytes

        analysis = analyze_model(model.tflite)
        arena, _ = tflm_arena_bytes(model.tflite)
        cost = Cost(len(analysis.layers), analysis.macs, None, len(model.tflite), arena)
        return tflm.export(model.tflite, prefix=prefix, arena_bytes=arena), cost, None
    compiled = compile_model(
        model.tflite,
        target=core,
        prefix=prefix,
        schedule=schedule,
        limits=limits,
        optimize=check_choice("optimize", optimize, OPTIMIZE),
        spread=spread,
        app=app,
        disable=disable,
    )
    cost = Cost(len(compiled.layers), compiled.macs, compiled.state_bytes, compiled.weight_bytes)
    return compiled.files, cost, compiled


def _target(target: str | None, board: str | None, default: str) -> str:
    named = None if target is None else check_choice("target", target, TARGETS)
    if board is None:
        return named or default
    core = choose_board(board).target
    if named not in (None, core):
        raise HostToolsError(f"the board {board} has a {core}, --target says {named}; give one of them")
    return core


def _check_fits(name: str, state: int, weights: int) -> None:
    board = choose_board(name)
    if board.is_host:
        return
    if state > board.ram_bytes:
        raise BoardError(f"the model's state needs {state:,} bytes, {board.name} has {board.ram_bytes:,} of RAM")
    if weights > board.flash_bytes:
        raise BoardError(f"the model's weights need {weights:,} bytes, {board.name} has {board.flash_bytes:,} of flash")
