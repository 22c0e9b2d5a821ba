"""Cost of a model on a board: instructions, flash, RAM, stack, in all and layer by layer.

Two firmwares are measured. The plain one, which a product would carry, gives the total: instructions of one
inference, sizes of the linked image, deepest use of the stack. One that reports after every layer gives each
layer's share; it is not fused across layers and hashes nothing while profiling, so its sum is close to the
total but not equal.

Instructions are counted by QEMU's `-icount` and are the same in every run. They are not cycles.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .boards import instructions
from .elf import Footprint, read_footprint
from .oracle import tflm_arena_bytes
from .tensors import pack
from .windows import RandomWindows

if TYPE_CHECKING:
    from pathlib import Path

    from thumbnet.codegen import LayerInfo

    from .boards import Board
    from .modelfile import ModelFile
    from .workbench import Workbench

_SHOWN_SYMBOLS = 20


@dataclass(frozen=True)
class LayerCost:
    """One layer as generated; instructions are None where the board does not count them."""

    layer: LayerInfo
    instructions: int | None
    nanoseconds: float

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        macs = self.layer.macs
        return {
            "index": self.layer.index,
            "name": self.layer.name,
            "op": self.layer.op,
            "shape": list(self.layer.shape),
            "macs": macs,
            "weight_bytes": self.layer.weight_bytes,
            "instructions": self.instructions,
            "instructions_per_mac": _per_mac(self.instructions, macs),
            "nanoseconds": None if self.instructions is not None else round(self.nanoseconds),
        }


@dataclass(frozen=True)
class Profile:
    """Everything measured of one model on one board."""

    model: ModelFile
    board: Board
    macs: int
    state_bytes: int
    instructions: int | None
    nanoseconds: float
    stack_bytes: int | None
    footprint: Footprint
    arena_bytes: int | None
    arena_source: str
    layers: tuple[LayerCost, ...]
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """JSON form, see docs/json-schemas.md."""
        image = self.footprint
        return {
            "model": self.model.to_dict(),
            "board": self.board.name,
            "target": self.board.target,
            "engine": "aot",
            "instructions": self.instructions,
            "instructions_source": _source(self.board),
            "nanoseconds_host": round(self.nanoseconds) if self.instructions is None else None,
            "macs": self.macs,
            "instructions_per_mac": _per_mac(self.instructions, self.macs),
            "flash_bytes": image.flash_bytes,
            "code_bytes": image.code_bytes,
            "weight_bytes": image.weight_bytes,
            "ram_bytes": image.ram_bytes,
            "state_bytes": self.state_bytes,
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


def _source(board: Board) -> str:
    if board.machine is None:
        return f"{board.name} does not count instructions; the time is this computer's"
    return "QEMU -icount, virtual time at 64 ns an instruction"


def profile_model(
    model: ModelFile, board: Board, folder: Path, *, seed: int = 1, sources: Path | None = None
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

    Raises
    ------
    HostToolsError, CodegenError
        When the model does not compile, the firmware does not build, or the device fails.
    """
    from .workbench import Workbench

    bench = Workbench(model, board, folder, sources)
    with ThreadPoolExecutor(3) as pool:
        plain = pool.submit(_run, bench, False, seed)
        observed = pool.submit(_run, bench, True, seed)
        arena = pool.submit(tflm_arena_bytes, model.tflite)
        (total, _, stack, hz), (_, shares, _, _) = plain.result(), observed.result()
        arena_bytes, arena_source = arena.result()
    counted = board.machine is not None
    layers = [
        LayerCost(layer, instructions(ticks, hz) if counted else None, ticks * 1e9 / hz)
        for layer, ticks in zip(bench.compiled.layers, shares, strict=True)
    ]
    return Profile(
        model=model,
        board=board,
        macs=bench.compiled.macs,
        state_bytes=bench.compiled.state_bytes,
        instructions=instructions(total, hz) if counted else None,
        nanoseconds=total * 1e9 / hz,
        stack_bytes=stack or None,
        footprint=read_footprint(bench.elf()),
        arena_bytes=arena_bytes,
        arena_source=arena_source,
        layers=tuple(layers),
        seed=seed,
    )


def _run(bench: Workbench, observe: bool, seed: int) -> tuple[int, Sequence[int], int, int]:
    """Ticks of the whole model and of each layer, stack bytes (0: not measured), ticks per second."""
    window = RandomWindows(bench.compiled.inputs, 4, seed)[3]
    with bench.device(observe=observe) as device:
        reply = device.profile(pack(window))
        return reply.ticks, reply.layer_ticks, reply.stack_bytes, device.hello().ticks_hz
