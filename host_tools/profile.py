"""Cost of a model on a board: instructions, flash, RAM, stack, in all and layer by layer.

Two firmwares are measured. The plain one, which a product would carry, gives the total: instructions of one
inference, sizes of the linked image, deepest use of the stack. One that reports after every layer gives each
layer's share; it is not fused across layers and hashes nothing while profiling, so its sum is close to the
total but not equal.

Instructions are counted by QEMU's `-icount` and are the same in every run, to the one or two that reading the clock
rounds. They are not cycles.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from .boards import instructions
from .elf import Footprint, read_footprint
from .errors import DeviceError
from .oracle import tflm_arena_bytes
from .signals import seeded_windows
from .tensors import pack

if TYPE_CHECKING:
    from pathlib import Path

    from thumbnet.codegen import LayerInfo
    from thumbnet.codegen.signals import SignalPlan

    from .boards import Board
    from .link.client import ProfileReply, PushTicks
    from .modelfile import ModelFile
    from .workbench import Workbench

_SHOWN_SYMBOLS = 20
_SMOOTH = 3
"""Number of the window that is run, see :func:`profile_model`."""
_LINK_SYMBOLS = ("app_link", "app_shared_slice", "hal_rx_ring")
"""What the device application keeps for the link: frames and state, a slice that two frames share, receive ring."""


@dataclass(frozen=True)
class Meter:
    """What the ticks of a board stand for."""

    unit: str
    source: str
    ticks_hz: int

    def figures(self, ticks: int | None) -> dict[str, int | None]:
        """The JSON keys `instructions`, `cycles` and `nanoseconds`; null what this board does not measure."""
        told: dict[str, int | None] = {"instructions": None, "cycles": None, "nanoseconds": None}
        if ticks is not None:
            told[self.unit] = self.figure(ticks)
        return told

    def figure(self, ticks: int) -> int:
        """Ticks in the meter's unit."""
        if self.unit == "instructions":
            return instructions(ticks, self.ticks_hz)
        return ticks if self.unit == "cycles" else round(ticks * 1e9 / self.ticks_hz)


def _meter(board: Board, port: str | None, ticks_hz: int) -> Meter:
    if board.is_host:
        return Meter("nanoseconds", "the clock of this computer", ticks_hz)
    if port is None:
        return Meter("instructions", "QEMU -icount, 64 ns of virtual time an instruction", ticks_hz)
    return Meter("cycles", "the processor's own clock", ticks_hz)


@dataclass(frozen=True)
class PushCost:
    """Cost of a streamed model's single pushes and of `finish`, in the meter's unit.

    Attributes
    ----------
    push_mean : float
        Of a push of one slice.
    push_max, push_max_at : int
        Of the longest, and its number, from 0.
    finish : int
        Of what is left when all slices are there.
    """

    push_mean: float
    push_max: int
    push_max_at: int
    finish: int


_NO_PUSHES: dict[str, float | int | None] = dict.fromkeys(field.name for field in fields(PushCost))


@dataclass(frozen=True)
class LayerCost:
    """One layer as generated, and its cost in the meter's unit; None where layers were not observed."""

    layer: LayerInfo
    cost: int | None
    figures: dict[str, int | None]

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        layer = self.layer
        return {
            "index": layer.index,
            "name": layer.name,
            "op": layer.op,
            "shape": list(layer.shape),
            "macs": layer.macs,
            "weight_bytes": layer.weight_bytes,
            **self.figures,
            "instructions_per_mac": _per_mac(self.figures["instructions"], layer.macs),
        }


@dataclass(frozen=True)
class Profile:
    """Everything measured of one model on one board."""

    model: ModelFile
    board: Board
    macs: int
    state_bytes: int
    meter: Meter
    ticks: int
    stack_bytes: int | None
    footprint: Footprint
    arena_bytes: int | None
    arena_source: str
    layers: tuple[LayerCost, ...]
    seed: int
    schedule: str
    pushes: PushCost | None = None
    signals: bool = False

    @property
    def link_bytes(self) -> int:
        """RAM of the device link, as linked."""
        return sum(symbol.size for symbol in self.footprint.symbols if symbol.name in _LINK_SYMBOLS)

    @property
    def cost(self) -> int:
        """One inference in the meter's unit."""
        return self.meter.figure(self.ticks)

    def to_dict(self) -> dict[str, Any]:
        """JSON form, see docs/json-schemas.md."""
        image = self.footprint
        figures = self.meter.figures(self.ticks)
        return {
            "model": self.model.to_dict(),
            "board": self.board.name,
            "target": self.board.target,
            "engine": "aot",
            "schedule": self.schedule,
            "signals": self.signals,
            **figures,
            "measured_by": self.meter.source,
            **(asdict(self.pushes) if self.pushes else _NO_PUSHES),
            "macs": self.macs,
            "instructions_per_mac": _per_mac(figures["instructions"], self.macs),
            "flash_bytes": image.flash_bytes,
            "code_bytes": image.code_bytes,
            "weight_bytes": image.weight_bytes,
            "ram_bytes": image.ram_bytes,
            "state_bytes": self.state_bytes,
            "link_bytes": self.link_bytes,
            "stack_bytes": self.stack_bytes,
            "stack_reserved_bytes": image.stack_bytes,
            "arena_bytes_tflm_host": self.arena_bytes,
            "arena_source": self.arena_source,
            "seed": self.seed,
            "layers": [layer.to_dict() for layer in self.layers],
            "sections": [
                {"name": s.name, "address": s.address, "bytes": s.size, "place": s.place} for s in image.sections
            ],
            "symbols": [
                {"name": s.name, "bytes": s.size, "kind": s.kind, "section": s.section, "object": s.object,
                 "model": s.is_model}
                for s in image.symbols[:_SHOWN_SYMBOLS]
            ],
        }  # fmt: skip


def _per_mac(count: int | None, macs: int) -> float | None:
    return round(count / macs, 3) if count is not None and macs else None


def profile_model(
    model: ModelFile,
    board: Board,
    folder: Path,
    *,
    seed: int = 1,
    sources: Path | None = None,
    port: str | None = None,
    schedule: str = "whole",
    optimize: str = "speed",
    signals: SignalPlan | None = None,
    max_ram: int | None = None,
) -> Profile:
    """Build both firmwares, run one window on each, and read the sizes of the linked image.

    Parameters
    ----------
    model
        The model.
    board
        Where to run.
    folder
        Working folder.
    seed
        Chooses the window; window 3 of the seed, a smooth random walk, which looks most like a signal.
    sources
        Generated C to measure in place of fresh C.
    port
        Serial port of a real board; what it was flashed with is measured: layers only if it observes them.
    schedule, optimize
        How the generated code walks the network, and what it leans to.
    signals
        Preprocessing in front of the model, which is then part of every figure; the window is one of samples.
    max_ram
        State that model and preprocessing may take, in bytes, where the schedule is for the compiler to choose.

    Raises
    ------
    HostToolsError, CodegenError
        When the model does not compile, the firmware does not build, or the device fails.
    """
    from .workbench import Workbench

    bench = Workbench(
        model, board, folder, sources, port, schedule, optimize=optimize, signals=signals, max_ram=max_ram
    )
    window = pack(seeded_windows(bench.compiled.inputs, signals, _SMOOTH + 1, seed)[_SMOOTH])
    with ThreadPoolExecutor(3) as pool:
        plain = pool.submit(_run, bench, False, window)
        observed = plain if port else pool.submit(_run, bench, True, window)
        arena = pool.submit(tflm_arena_bytes, model.tflite)
        (reply, ticks_hz), shares = plain.result(), observed.result()[0].layer_ticks
        arena_bytes, arena_source = arena.result()
    meter = _meter(board, port, ticks_hz)
    return Profile(
        model=model,
        board=board,
        macs=bench.compiled.macs,
        state_bytes=bench.compiled.state_bytes,
        meter=meter,
        ticks=reply.ticks,
        stack_bytes=reply.stack_bytes or None,
        footprint=read_footprint(bench.elf()),
        arena_bytes=arena_bytes,
        arena_source=arena_source,
        layers=_layer_costs(bench.compiled.layers, shares, meter),
        seed=seed,
        schedule=schedule,
        pushes=_push_cost(reply.pushes, meter),
        signals=signals is not None,
    )


def _push_cost(pushes: PushTicks | None, meter: Meter) -> PushCost | None:
    if pushes is None:
        return None
    # The mean of a thousand pushes is finer than one reading of the clock.
    mean = meter.figure(round(1000 * pushes.push_mean)) / 1000
    return PushCost(round(mean, 1), meter.figure(pushes.push_max), pushes.push_max_at, meter.figure(pushes.finish))


def _layer_costs(layers: Sequence[LayerInfo], ticks: Sequence[int], meter: Meter) -> tuple[LayerCost, ...]:
    known: Sequence[int | None] = ticks or [None] * len(layers)
    if len(known) != len(layers):
        raise DeviceError(f"the device observed {len(known)} layers, the generated code has {len(layers)}")
    return tuple(
        LayerCost(layer, None if t is None else meter.figure(t), meter.figures(t))
        for layer, t in zip(layers, known, strict=True)
    )


def _run(bench: Workbench, observe: bool, window: bytes) -> tuple[ProfileReply, int]:
    """The device's answer, and its ticks per second."""
    with bench.device(observe=observe) as device:
        return device.profile(window), device.hello().ticks_hz
