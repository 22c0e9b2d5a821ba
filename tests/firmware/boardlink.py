"""Talk to the board tests' application (hal_app/main.c) on an emulated board or on this computer."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

from thumbnet.host_tools.boards import Board, get_board
from thumbnet.host_tools.build import BuildResult, build_firmware

HERE = Path(__file__).parent
EMPTY_MODEL = HERE / "empty_model"
APP = HERE / "hal_app"
EMULATED = (
    *("qemu_m3", "qemu_m4", "qemu_m7", "qemu_m33", "qemu_m55"),
    *("netduinoplus2", "stm32vldiscovery", "microbit"),
)
TIMEOUT_S = 30


def build_app(board: str, **options: object) -> BuildResult:
    return build_firmware(EMPTY_MODEL, board, app_dir=APP, extra_flags=["-Werror"], **options)  # type: ignore[arg-type]


class Device:
    """A running application."""

    def __init__(self, connection: socket.socket, process: subprocess.Popen[bytes]) -> None:
        self.connection = connection
        self.process = process

    def read(self, size: int) -> bytes:
        received = b""
        while len(received) < size:
            more = self.connection.recv(size - len(received))
            if not more:
                raise EOFError(f"the connection ended after {received!r}")
            received += more
        return received

    def ask(self, command: str, argument: int, reply: str, data: bytes = b"") -> tuple[float, ...]:
        self.connection.sendall(command.encode() + struct.pack("<I", argument) + data)
        return struct.unpack(reply, self.read(struct.calcsize(reply)))


@contextlib.contextmanager
def running(board_name: str, elf: Path) -> Iterator[Device]:
    board: Board = get_board(board_name)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(TIMEOUT_S)
        address = f"127.0.0.1:{server.getsockname()[1]}"
        command = [str(elf)] if board.is_host else board.qemu_arguments(elf, f"tcp:{address}")
        process = subprocess.Popen(
            command,
            env=os.environ | {"THUMBNET_LINK": address},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            connection, _ = server.accept()
            connection.settimeout(TIMEOUT_S)
            with connection:
                device = Device(connection, process)
                assert device.read(5) == b"READY"
                yield device
        finally:
            process.kill()
            process.wait()
