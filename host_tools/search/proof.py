"""The cost of a network that was trained in full, measured: instructions of a run in the emulator, the linked image."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..boards import instructions
from ..elf import read_footprint
from ..errors import BuildError, DeviceError, ToolchainMissing
from ..modelfile import read_model
from ..tensors import pack
from ..windows import RandomWindows

if TYPE_CHECKING:
    from ..boards import Board


def measure_on_board(boards: Sequence[Board], model: Path, target: str, schedule: str) -> dict[str, Any] | None:
    """Run a model once on the first emulated board of a core.

    Returns
    -------
    dict or None
        `board`, `instructions`, `code_bytes`, `weight_bytes`, `flash_bytes`, `ram_bytes`; None where none of the boards
        has this core, the model does not fit it, or this machine cannot build for it or emulate it.
    """
    from ..workbench import Workbench

    board = next((board for board in boards if board.target == target and not board.is_host), None)
    if board is None:
        return None
    with tempfile.TemporaryDirectory(prefix="thumbnet-", ignore_cleanup_errors=True) as scratch:
        bench = Workbench(read_model(model), board, Path(scratch), schedule=schedule)
        try:
            with bench.device() as device:
                ticks = device.profile(pack(RandomWindows(bench.compiled.inputs, 4, 1)[3])).ticks
                count = instructions(ticks, device.hello().ticks_hz)
            image = read_footprint(bench.elf())
        except (BuildError, DeviceError, ToolchainMissing):
            return None
    return {
        "board": board.name,
        "instructions": count,
        "code_bytes": image.code_bytes,
        "weight_bytes": image.weight_bytes,
        "flash_bytes": image.flash_bytes,
        "ram_bytes": image.ram_bytes,
    }
