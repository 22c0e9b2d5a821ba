"""The boards: what firmware/platform/boards/*.json says, as Python values."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from .errors import BoardError

ICOUNT_SHIFT = 6
"""QEMU's ``-icount shift``: an instruction takes 2 ** 6 = 64 ns of virtual time."""
_PAYLOAD, _RING = 992, 1024
"""What ``TN_LINK_PAYLOAD`` and ``HAL_RX_RING_BYTES`` are where a board's file does not say."""
_APPLICATION = 384
"""Upper bound of the device application's own variables, frames and receive ring aside (measured: 336)."""
_FRAME = 8
"""Bytes of a frame beside its payload."""


@dataclass(frozen=True)
class Board:
    """One board, or this computer as the board ``host``.

    Attributes
    ----------
    name : str
        Board name, as ``--board`` takes it and as PlatformIO calls its environment.
    title : str
        For people.
    target : str
        Code generation target: ``cortex-m4``, ..., or ``host``.
    machine : str or None
        QEMU machine; None where QEMU has none.
    flash_bytes, ram_bytes, stack_bytes : int
        Memory that the linker may fill, and the part of RAM that it reserves for the stack; 0 on the host.
    protocols : tuple of str
        Ways to upload, the default first; ``qemu`` means that there is nothing to upload to.
    payload_bytes, ring_bytes : int
        Longest payload of the device link's frames, and its receive ring.
    """

    name: str
    title: str
    target: str
    machine: str | None
    flash_bytes: int
    ram_bytes: int
    stack_bytes: int
    protocols: tuple[str, ...]
    payload_bytes: int = _PAYLOAD
    ring_bytes: int = _RING

    @property
    def model_ram_bytes(self) -> int:
        """RAM for a model's state, its outputs and, unless it is streamed, its inputs; 0 on the host.

        What stack and device application leave. Firmware that observes layers takes 8 bytes a layer of it.
        """
        link = 2 * (self.payload_bytes + _FRAME) + self.ring_bytes
        return max(0, self.ram_bytes - self.stack_bytes - link - _APPLICATION)

    @property
    def is_host(self) -> bool:
        """Whether the firmware is a program on this computer."""
        return self.target == "host"

    @property
    def is_real(self) -> bool:
        """Whether the board can be bought."""
        return bool(self.protocols) and self.protocols[0] != "qemu"

    def qemu_arguments(self, elf: Path, serial: str) -> list[str]:
        """Command line that runs an image in QEMU with counted instructions, serial port 0 at `serial`.

        Parameters
        ----------
        elf : Path
            Image to run.
        serial : str
            QEMU character device, for example ``tcp:127.0.0.1:5000`` (QEMU connects to us).

        Raises
        ------
        BoardError
            When QEMU does not model this board.
        """
        if self.machine is None:
            raise BoardError(f"board: {self.name} has no QEMU machine.")
        return [
            *("qemu-system-arm", "-M", self.machine, "-kernel", str(elf)),
            *("-icount", f"shift={ICOUNT_SHIFT},sleep=off"),
            *("-display", "none", "-monitor", "none", "-serial", serial),
        ]


HOST = Board("host", "This computer", "host", None, 0, 0, 0, ())


def firmware_dir() -> Path:
    """Folder of the C side: the checkout's, or the one inside the installed package."""
    return Path(str(files("thumbnet.firmware"))).resolve()


def instructions(ticks: int, ticks_hz: int) -> int:
    """Instructions that a QEMU board executed in `ticks` of its clock of `ticks_hz` ticks per second.

    Nearest integer; a tick (6 to 50 ns) is shorter than the 64 ns of an instruction, so that a count is
    exact to within one instruction, and longer runs by the interrupt that counts wraps of the 24-bit
    counter: 5 instructions in every 2 ** 24 ticks, at most 3.3 per million.
    """
    return (ticks * 10**9 + (ticks_hz << ICOUNT_SHIFT) // 2) // (ticks_hz << ICOUNT_SHIFT)


@cache
def boards() -> dict[str, Board]:
    """All boards by name, ``host`` last."""
    folder = firmware_dir() / "platform" / "boards"
    found = [_read(path) for path in sorted(folder.glob("*.json"))]
    return {board.name: board for board in [*found, HOST]}


def get_board(name: str) -> Board:
    """Board of that name.

    Raises
    ------
    BoardError
        When there is none, with the names of those there are.
    """
    try:
        return boards()[name]
    except KeyError:
        raise BoardError(f"board: must be one of {', '.join(boards())}, not {name!r}.") from None


def _read(path: Path) -> Board:
    data = json.loads(path.read_text(encoding="utf-8"))
    about = data["thumbnet"]
    default = data["upload"]["protocol"]
    others = (protocol for protocol in data["upload"]["protocols"] if protocol != default)
    return Board(
        name=path.stem,
        title=data["name"],
        target=about["target"],
        machine=about.get("machine"),
        flash_bytes=about["flash"][1],
        ram_bytes=about["ram"][1],
        stack_bytes=about["stack"],
        protocols=(default, *others),
        payload_bytes=about["defines"].get("TN_LINK_PAYLOAD", _PAYLOAD),
        ring_bytes=about["defines"].get("HAL_RX_RING_BYTES", _RING),
    )
