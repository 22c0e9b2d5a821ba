"""A device that is a process on this computer, its serial port a socket."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from typing import IO

from ..errors import DeviceClosed, DeviceError, DeviceTimeout
from .base import ClosingPipe

SEND_TIMEOUT_S = 60.0
"""A device that takes no byte for so long has stopped; a slow one takes 1 KB in a tenth of a second."""
END_TIMEOUT_S = 3.0
_SHOWN_BYTES = 2000
_CHUNK = 65536

_running: set[subprocess.Popen[bytes]] = set()


class ProcessPipe(ClosingPipe):
    """The two together: closing the pipe ends the process.

    Parameters
    ----------
    name
        The device in messages.
    connection
        Connected stream socket.
    process
        Running process.
    errors
        File that takes the process's standard error.
    """

    def __init__(
        self, name: str, connection: socket.socket, process: subprocess.Popen[bytes], errors: IO[bytes]
    ) -> None:
        self.name = name
        self._connection = connection
        self._process = process
        self._errors = errors

    @property
    def process_id(self) -> int:
        """Of the device's process."""
        return self._process.pid

    def read(self, timeout: float) -> bytes:
        """See BytePipe."""
        try:
            ready, _, _ = select.select([self._connection], [], [], max(timeout, 0.0))
            if not ready:
                return b""
            data = self._connection.recv(_CHUNK)
        except (OSError, ValueError):
            data = b""
        if not data:
            raise self._closed()
        return data

    def write(self, data: bytes) -> None:
        """See BytePipe."""
        try:
            self._connection.settimeout(SEND_TIMEOUT_S)
            self._connection.sendall(data)
        except TimeoutError:
            raise DeviceTimeout(f"the device {self.name} took no bytes for {SEND_TIMEOUT_S:g} s") from None
        except OSError:
            raise self._closed() from None

    def close(self) -> None:
        """End the process and free what it held."""
        self._connection.close()
        end_process(self._process)
        self._errors.close()

    def _closed(self) -> DeviceClosed:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_TIMEOUT_S)
        return DeviceClosed(epitaph(self.name, self._process, self._errors))


def start_process(
    name: str,
    command: Sequence[str],
    *,
    serial: socket.socket | None = None,
    environment: dict[str, str] | None = None,
) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
    """Start a device's process.

    Parameters
    ----------
    name
        The device in messages.
    command
        Program and arguments.
    serial
        Socket that becomes standard input and output; default: neither.
    environment
        Variables in addition to this process's.

    Returns
    -------
    The process, and the file that takes its standard error.

    Raises
    ------
    DeviceError
        When the program cannot be started.
    """
    errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the pipe
    try:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL if serial is None else serial.fileno(),
            stdout=subprocess.DEVNULL if serial is None else serial.fileno(),
            stderr=errors,
            env=os.environ | (environment or {}),
        )
    except OSError as error:
        errors.close()
        raise DeviceError(f"the device {name} cannot be started: {command[0]}: {error.strerror}") from None
    _running.add(process)
    return process, errors


def accept(
    name: str, server: socket.socket, process: subprocess.Popen[bytes], errors: IO[bytes], timeout: float
) -> socket.socket:
    """Wait until a process connects.

    Raises
    ------
    DeviceClosed
        When the process ends first, with what it said.
    DeviceTimeout
        When it does neither in time.
    """
    deadline = time.monotonic() + timeout
    server.settimeout(0.05)
    while time.monotonic() < deadline:
        try:
            connection, _ = server.accept()
        except TimeoutError:
            if process.poll() is not None:
                raise DeviceClosed(epitaph(name, process, errors)) from None
        else:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection
    raise DeviceTimeout(f"the device {name} did not connect within {timeout:g} s")


def end_process(process: subprocess.Popen[bytes]) -> None:
    """End a process: by request, then by force."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    _running.discard(process)


def end_all() -> None:
    """Ask every device's process to end: whoever talks to one gets DeviceClosed. For a program that has to stop."""
    for process in list(_running):
        process.terminate()


def epitaph(name: str, process: subprocess.Popen[bytes], errors: IO[bytes]) -> str:
    """One sentence on how a process ended, with the end of what it wrote to standard error."""
    errors.seek(max(0, errors.seek(0, os.SEEK_END) - _SHOWN_BYTES))
    said = " | ".join(line.strip() for line in errors.read().decode(errors="replace").splitlines() if line.strip())
    code = process.poll()
    if code is None:
        how = "closed the connection"
    elif code < 0:
        how = f"was ended by {signal.Signals(-code).name}"
    else:
        how = f"ended with code {code}"
    return f"the device {name} {how}" + (f": {said}" if said else "")
