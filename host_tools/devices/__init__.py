"""Devices: emulated, on this computer, or on a serial port; all are pipes of bytes to the device link."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from ..boards import Board, get_board
from .base import BytePipe

__all__ = ["BytePipe", "open_device"]


@contextlib.contextmanager
def open_device(board: Board | str, elf: Path, *, port: str | None = None) -> Iterator[BytePipe]:
    """Start a board with an image, or connect to one that has it; let go of it at the end.

    Parameters
    ----------
    board
        The board or its name.
    elf
        Image to start; a board on a serial port has to be flashed with it beforehand.
    port
        Serial port (or pyserial URL) of a real board. Without it a board that QEMU models is emulated,
        any other is looked for on the USB serial ports.

    Yields
    ------
    BytePipe

    Raises
    ------
    BoardError
        Unknown board.
    DeviceError
        When it cannot be started or found.
    """
    board = get_board(board) if isinstance(board, str) else board
    pipe = _open(board, Path(elf), port)
    try:
        yield pipe
    finally:
        pipe.close()


def _open(board: Board, elf: Path, port: str | None) -> BytePipe:
    if board.is_host:
        from .host import open_host

        return open_host(elf)
    if port is None and board.machine is not None:
        from .qemu import open_qemu

        return open_qemu(board, elf)
    from .serial import SerialPipe, find_port

    return SerialPipe(port or find_port(), name=board.name)
