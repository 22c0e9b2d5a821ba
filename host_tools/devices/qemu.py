"""Emulated boards: QEMU, whose serial port is a connection to us.

We listen on a port that the system picks and QEMU connects: two runs never race for a port.
"""

from __future__ import annotations

import socket
from pathlib import Path

from ..boards import Board
from ..errors import DeviceError, ToolchainMissing
from .process import ProcessPipe, accept, end_process, start_process

CONNECT_TIMEOUT_S = 30.0


def open_qemu(board: Board, elf: Path) -> ProcessPipe:
    """Start an image on an emulated board.

    Parameters
    ----------
    board
        A board that QEMU models.
    elf
        Its image.

    Raises
    ------
    BoardError
        When QEMU does not model the board.
    ToolchainMissing
        When QEMU is not installed.
    DeviceError
        When there is no image, or QEMU refuses it; with QEMU's own words.
    """
    if not elf.is_file():
        raise DeviceError(f"the image {elf} does not exist")
    with socket.create_server(("127.0.0.1", 0)) as server:
        serial = f"tcp:127.0.0.1:{server.getsockname()[1]},nodelay=on"
        command = board.qemu_arguments(elf, serial)
        try:
            process, errors = start_process(board.name, command)
        except DeviceError:
            raise ToolchainMissing(
                f"{command[0]} is not on the PATH; install it with `apt install qemu-system-arm` (Debian, Ubuntu) "
                "or `brew install qemu` (macOS)."
            ) from None
        try:
            connection = accept(board.name, server, process, errors, CONNECT_TIMEOUT_S)
        except BaseException:
            end_process(process)
            errors.close()
            raise
    return ProcessPipe(board.name, connection, process, errors)
