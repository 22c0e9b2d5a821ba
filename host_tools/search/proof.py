"""The cost of a network that was trained in full, measured: instructions of a run in the emulator, the linked image."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..cost import cost_of
from ..errors import BuildError, DeviceError, ToolchainMissing

if TYPE_CHECKING:
    from ..boards import Board


def measure_on_board(boards: Sequence[Board], tflite: bytes, target: str, schedule: str) -> dict[str, Any] | None:
    """Run a model once on the first emulated board of a core.

    Returns
    -------
    dict or None
        :meth:`..cost.Cost.to_dict`; None where none of the boards has this core, the model does not fit it, or this
        machine cannot build for it or emulate it.
    """
    board = next((board for board in boards if board.target == target and not board.is_host), None)
    if board is None:
        return None
    with tempfile.TemporaryDirectory(prefix="thumbnet-", ignore_cleanup_errors=True) as scratch:
        try:
            return cost_of(tflite, board, Path(scratch), schedule=schedule).to_dict()
        except (BuildError, DeviceError, ToolchainMissing):
            return None
