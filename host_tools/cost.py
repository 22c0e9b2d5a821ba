"""What a model costs on a board, as the linked image and one inference tell: no estimate."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .boards import instructions
from .elf import read_footprint
from .modelfile import ModelFile
from .signals import seeded_windows
from .tensors import pack
from .workbench import Workbench

if TYPE_CHECKING:
    from thumbnet.codegen.signals import SignalPlan

    from .boards import Board


@dataclass(frozen=True)
class Cost:
    """Cost of a model on a board.

    Attributes
    ----------
    board, schedule : str
        Where, and how the generated code walks the network.
    macs : int
        Of the generated code.
    state_bytes : int
        The model's state struct, all scratch included: its RAM.
    ram_bytes, flash_bytes : int
        Of the whole firmware, application and link included; flash is also what the image on a board takes.
    code_bytes, weight_bytes : int or None
        The model's own part of it; None where symbols do not tell.
    stack_bytes : int or None
        Deepest use in one inference.
    instructions : int or None
        Of one inference; None on a board that does not count them.
    """

    board: str
    schedule: str
    macs: int
    state_bytes: int
    ram_bytes: int
    flash_bytes: int
    code_bytes: int | None
    weight_bytes: int | None
    stack_bytes: int | None
    instructions: int | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def cost_of(
    tflite: bytes,
    board: Board,
    folder: Path,
    *,
    schedule: str = "whole",
    signals: SignalPlan | None = None,
    max_ram: int | None = None,
    seed: int = 1,
) -> Cost:
    """Compile an int8 model, build its firmware for a board, run one window there.

    Parameters
    ----------
    tflite : bytes
        The model.
    board : Board
        An emulated board, or the host, which counts no instructions.
    folder : pathlib.Path
        Working folder.
    schedule : str
        See `compile_model`.
    signals : SignalPlan, optional
        Preprocessing in front of the model, which is then part of every figure.
    max_ram : int, optional
        State that the model may take, its preprocessing included, in bytes.
    seed : int
        Chooses the window, as `thumbnet profile` does.

    Raises
    ------
    HostToolsError, CodegenError
        When the model does not compile, the firmware does not build, or the device fails.
    """
    model = ModelFile(folder / "model.tflite", tflite)
    bench = Workbench(model, board, folder, schedule=schedule, signals=signals, max_ram=max_ram)
    window = seeded_windows(bench.compiled.inputs, signals, 4, seed)[3]
    with bench.device() as device:
        reply, ticks_hz = device.profile(pack(window)), device.hello().ticks_hz
    image = read_footprint(bench.elf())
    return Cost(
        board=board.name,
        schedule=schedule,
        macs=bench.compiled.macs,
        state_bytes=bench.compiled.state_bytes,
        ram_bytes=image.ram_bytes,
        flash_bytes=image.flash_bytes,
        code_bytes=image.code_bytes,
        weight_bytes=image.weight_bytes,
        stack_bytes=reply.stack_bytes or None,
        instructions=None if board.is_host else instructions(reply.ticks, ticks_hz),
    )
