"""The board ``host``: the firmware as a program of this computer, talking over its standard input and output."""

from __future__ import annotations

import socket
from pathlib import Path

from .process import ProcessPipe, start_process


def open_host(program: Path, name: str = "host") -> ProcessPipe:
    """Start the device application as a process.

    Parameters
    ----------
    program
        Built for the board ``host``.
    name
        The device in messages.

    Raises
    ------
    DeviceError
        When it cannot be started.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            # An empty variable: the program shall not connect elsewhere.
            process, errors = start_process(name, [str(program)], serial=theirs, environment={"THUMBNET_LINK": ""})
        except BaseException:
            ours.close()
            raise
    return ProcessPipe(name, ours, process, errors)
