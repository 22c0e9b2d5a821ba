"""`thumbnet build`: the firmware of a model for a board."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..options import PATH, choose_board, json_option, model_argument, schedule_option, working_folder

if TYPE_CHECKING:
    from ..boards import Board
    from ..elf import Footprint


@click.command("build")
@model_argument
@click.option("--board", required=True, help="Board to build for: a board's name, or `host`.")
@click.option("--output", type=PATH, required=True, help="Folder for firmware.elf, its map and the generated sources.")
@click.option("--sources", type=PATH, help="Build the generated C in this folder instead of fresh C.")
@click.option("--observe", is_flag=True, help="Report every layer's output (slower; for parity by layer).")
@schedule_option
@json_option
def command(
    model: Path, board: str, output: Path, sources: Path | None, observe: bool, schedule: str, as_json: bool
) -> None:
    """Build the firmware of MODEL for a board: device application, link and generated code.

    The same inputs give the same bytes.
    """
    from .. import jsonout
    from ..elf import read_footprint
    from ..modelfile import read_model
    from ..workbench import Workbench

    chosen, given = choose_board(board), read_model(model)
    with jsonout.quiet_stdout(as_json), working_folder(None) as folder:
        bench = Workbench(given, chosen, folder, sources, schedule=schedule)
        elf = bench.elf(observe)
        footprint = read_footprint(elf)
        written = _keep(elf, bench.sources, output)
    payload: dict[str, Any] = {
        "model": given.to_dict(),
        "board": chosen.name,
        "target": chosen.target,
        "schedule": schedule,
        "observe": observe,
        "elf": str(written),
        "flash_bytes": footprint.flash_bytes,
        "ram_bytes": footprint.ram_bytes,
        "stack_reserved_bytes": footprint.stack_bytes,
        "code_bytes": footprint.code_bytes,
        "weight_bytes": footprint.weight_bytes,
        "state_bytes": bench.compiled.state_bytes,
    }
    if as_json:
        jsonout.emit("build/1", payload)
    else:
        _print(written, chosen, footprint)


def _keep(elf: Path, sources: Path, output: Path) -> Path:
    output.mkdir(parents=True, exist_ok=True)
    for path in (elf, elf.with_suffix(".map")):
        if path.is_file():
            shutil.copy2(path, output / path.name)
    shutil.copytree(sources, output / "sources", dirs_exist_ok=True)
    return output / elf.name


def _print(elf: Path, board: Board, footprint: Footprint) -> None:
    click.echo(f"{elf}: {board.title}")
    for name, used, available in (
        ("flash", footprint.flash_bytes, board.flash_bytes),
        ("RAM", footprint.ram_bytes + footprint.stack_bytes, board.ram_bytes),
    ):
        share = f" of {available:,} ({used / available:.1%})" if available else ""
        click.echo(f"{name:<5} {used:>10,} bytes{share}")
