"""`thumbnet devices`: the boards that can be named, and what is plugged in."""

from __future__ import annotations

from typing import Any

import click

from ..options import json_option


@click.command("devices")
@json_option
def command(as_json: bool) -> None:
    """List the boards that --board takes, and the serial ports of this computer."""
    from .. import jsonout
    from ..boards import boards

    known: list[dict[str, Any]] = [
        {
            "name": board.name,
            "title": board.title,
            "target": board.target,
            "flash_bytes": board.flash_bytes,
            "ram_bytes": board.ram_bytes,
            "qemu_machine": board.machine,
            "real": board.is_real,
        }
        for board in boards().values()
    ]
    ports = _ports()
    if as_json:
        jsonout.emit("devices/1", {"boards": known, "ports": ports})
        return
    from ..text import count, new_table, open_console

    table = new_table("boards", "board|core|>flash|>RAM|")
    for board in known:
        memory = [count(board[key]) if board[key] else "-" for key in ("flash_bytes", "ram_bytes")]
        table.add_row(board["name"], board["target"], *memory, board["title"])
    console = open_console()
    console.print(table)
    for port in ports:
        console.print(f"{port['port']}: {port['description']}", markup=False)
    if not ports:
        console.print("no serial port is plugged in")


def _ports() -> list[dict[str, str]]:
    from serial.tools import list_ports

    return [
        {"port": port.device, "description": port.description or "", "hardware": port.hwid or ""}
        for port in sorted(list_ports.comports(), key=lambda port: str(port.device))
    ]
