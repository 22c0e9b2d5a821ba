"""Write a firmware to a board that is plugged in, through PlatformIO's upload target."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from .boards import Board, firmware_dir
from .build import cache_dir
from .errors import BoardError, DeviceError

_TIMEOUT_S = 300


def flash(
    board: Board,
    sources: Path,
    workdir: Path,
    *,
    port: str | None = None,
    protocol: str | None = None,
    observe: bool = False,
) -> str:
    """Build and upload the firmware of the generated model in `sources`.

    Parameters
    ----------
    board
        A board of hardware.
    sources
        Generated model library.
    workdir
        PlatformIO's workspace.
    port
        Serial port of the board, for protocols that need one.
    protocol
        One of the board's; default: its first.
    observe
        Let the firmware report every layer's output.

    Returns
    -------
    What PlatformIO said.

    Raises
    ------
    BoardError
        When the board only exists in QEMU, or does not know the protocol.
    DeviceError
        When the upload fails, with the last line of its output.
    """
    if not board.is_real:
        raise BoardError(
            f"{board.name} only exists on this computer: there is nothing to flash; run it with parity or profile"
        )
    chosen = protocol or board.protocols[0]
    if chosen not in board.protocols:
        raise BoardError(f"{board.name} is not flashed by {chosen!r}; allowed: {', '.join(board.protocols)}")
    command = [sys.executable, "-m", "platformio", "run", "-d", str(firmware_dir()), "-e", board.name, "-t", "upload"]
    if port:
        command += ["--upload-port", port]
    environment = _environment(sources, workdir, chosen, observe)
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT_S,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise DeviceError(f"flashing {board.name} did not finish within {_TIMEOUT_S} s") from None
    log = done.stdout + done.stderr
    if done.returncode:
        raise DeviceError(f"flashing {board.name} by {chosen} failed: {_reason(log)}")
    return log


def _environment(sources: Path, workdir: Path, protocol: str, observe: bool) -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PLATFORMIO_")}
    environment["PLATFORMIO_CORE_DIR"] = os.environ.get("PLATFORMIO_CORE_DIR", str(cache_dir() / "platformio"))
    return environment | {
        "PLATFORMIO_WORKSPACE_DIR": str(workdir),
        "PLATFORMIO_SETTING_ENABLE_TELEMETRY": "No",
        "PLATFORMIO_DISABLE_UPGRADE_CHECK": "true",
        "PLATFORMIO_NO_ANSI": "true",
        "PLATFORMIO_UPLOAD_PROTOCOL": protocol,
        "THUMBNET_MODEL_DIR": str(sources),
        "THUMBNET_BUILD_FLAGS": "-DTN_OBSERVE=1" if observe else "",
        "THUMBNET_TOOLS": os.environ.get("THUMBNET_TOOLS", "system"),
    }


def _reason(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    telling = [line for line in lines if "error" in line.lower() or "not found" in line.lower()]
    return (telling or lines or ["nothing was printed"])[-1]
