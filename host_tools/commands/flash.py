"""`thumbnet flash`: the firmware of a model, onto a board."""

from __future__ import annotations

from pathlib import Path

import click

from ..options import choose_board, model_argument, schedule_option, workdir_option, working_folder


@click.command("flash")
@model_argument
@click.option("--board", required=True, help="Board of hardware, see `thumbnet devices`.")
@click.option("--port", help="Serial port of the board, for protocols that need one.")
@click.option("--protocol", help="How to upload.  [default: the board's first, such as openocd]")
@click.option(
    "--observe", is_flag=True, help="Report every layer's output: for parity by layer and profiles of layers."
)
@schedule_option
@workdir_option
def command(
    model: Path, board: str, port: str | None, protocol: str | None, observe: bool, schedule: str, workdir: Path | None
) -> None:
    """Build the firmware of MODEL and write it to a board that is plugged in."""
    from ..flash import flash
    from ..modelfile import read_model
    from ..workbench import Workbench

    chosen = choose_board(board)
    with working_folder(workdir) as folder:
        bench = Workbench(read_model(model), chosen, folder, schedule=schedule)
        flash(chosen, bench.sources, folder / "platformio", port=port, protocol=protocol, observe=observe)
    click.echo(f"{chosen.name} runs {model.name}")
