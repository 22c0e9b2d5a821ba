"""What a board can spare for a model: its memory less what the device application takes."""

from __future__ import annotations

from thumbnet.codegen import Limits

from .boards import Board

_SMALL_RAM = 32 * 1024
_SMALL_APPLICATION, _APPLICATION = 700, 3_400
"""RAM of the device application and its link, without model, input and stack; small boards have small buffers."""
_APPLICATION_FLASH = 11_500


def limits_for(schedule: str, board: Board | None, max_ram: int | None = None, max_flash: int | None = None) -> Limits:
    """Limits of a model: the user's, else the board's where the schedule is for the compiler to choose."""
    if max_ram is not None or max_flash is not None:
        return Limits(max_ram, max_flash)
    if board is None or board.is_host or schedule != "auto":
        return Limits()
    application = _SMALL_APPLICATION if board.ram_bytes <= _SMALL_RAM else _APPLICATION
    ram = board.ram_bytes - board.stack_bytes - application
    return Limits(max(ram, 0), max(board.flash_bytes - _APPLICATION_FLASH, 0), holds_input=True)
