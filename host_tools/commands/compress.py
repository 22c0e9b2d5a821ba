"""`thumbnet compress`: the int8 model of a recipe, and other ways to make its network smaller."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..hemodynamics.model_options import compression_options, model_options, perform, recipe_with
from ..jsonout import emit
from ..parts import perform_part, recipe_options, shipped_recipe

if TYPE_CHECKING:
    from ..pipeline.folder import RunFolder


@click.group()
def command() -> None:
    """Make the network of a recipe smaller: int8, pruned, distilled."""


@command.command()
@click.option("--stages", default=None, show_default=False,
              help="Points to compare, with commas: float,int8,more,qat,prune50,prune50+distill.  "
                   "[default: the recipe's]")  # fmt: skip
@click.option("--board", default=None, show_default=False,
              help="Board to measure them on.  [default: the recipe's, qemu_m4]")  # fmt: skip
@click.option("--layers", is_flag=True, show_default=False,
              help="Name the layers whose rounding to int8 costs most.")  # fmt: skip
@recipe_options
def sleep(
    recipe: Path | None,
    data: Path | None,
    output: Path | None,
    as_json: bool,
    stages: str | None,
    board: str | None,
    layers: bool,
) -> None:
    """Quantize the network of a recipe to int8: the stages up to compress of `thumbnet run`.

    With --stages, or [compression] in the recipe, compare it with other ways: accuracy, parameters and, through the
    compiler, exact RAM, flash and instructions of each. Points are joined steps: float, int8, int16x8, qat, pruneNN
    (filters removed, per cent), sparseNN or sparse2x4 (weights set to 0), distill, more (only trained for as long).
    Their recipe, where none is given, is the shipped sleep_compression.toml.
    """
    from ..pipeline.compression import compression_rows, layer_report
    from ..recipes import Recipe, with_compression

    source = recipe or (shipped_recipe("sleep", "compression") if stages or layers else None)
    folder = perform_part("sleep", source, data, output, "compression",
                          change=lambda table: with_compression(table, stages, board, layers))  # fmt: skip
    table = Recipe.model_validate(folder.info["recipe"]).compression
    rows = compression_rows(folder, table)
    blamed = layer_report(folder, table)
    facts = folder.facts("compress")
    if as_json:
        emit("compress/1", {"run": str(folder.path), **facts, "compression": rows, "blame": blamed})
        return
    _print_int8(folder, facts)
    if rows:
        _print_table(folder, rows, table.board)
    if blamed:
        _print_layers(blamed)


@command.command()
@model_options
@compression_options
def hemodynamics(recipe: Path | None, output_dir: Path | None, as_json: bool, **options: Any) -> None:
    """Prune, distill and quantize a mixture of experts; without --teacher-weights it is trained first."""
    from ..hemodynamics.printing import print_compression

    run = perform(recipe_with(recipe, options), output_dir, "compress")
    if as_json:
        facts = {name: run.folder.facts(name) for name in ("data", "train", "compress")}
        emit("compress-hemodynamics/1", {"run": str(run.folder.path), **facts})
        return
    print_compression(run)


def _print_int8(folder: RunFolder, facts: dict[str, Any]) -> None:
    agreement = facts["agreement"]
    low, high = agreement["interval_95"]
    click.echo(
        f"{folder.output('model.bundle')}: {facts['sizes']['int8']:,} bytes, names the float network's class in "
        f"{agreement['share']:.1%} of {agreement['windows']} held-out windows (95 %: {low:.1%} to {high:.1%})"
    )


def _print_table(folder: RunFolder, rows: list[dict[str, Any]], board: str) -> None:
    from ..report.compression import TABLE_HEAD, notes, table_rows
    from ..text import new_table, open_console

    table = new_table(f"on {board}, {folder.facts('signals')['protocol']}", TABLE_HEAD)
    for cells in table_rows(rows):
        table.add_row(*cells)
    console = open_console()
    console.print(table)
    for note in notes(rows):
        console.print(f"  {note}", soft_wrap=True)


def _print_layers(blamed: dict[str, Any]) -> None:
    from ..report.compression import LAYER_HEAD, layer_rows
    from ..text import new_table, open_console

    title = f"rounding of single layers, {blamed['windows']} held-out windows, output at {blamed['snr_db']:.1f} dB"
    table = new_table(title, LAYER_HEAD)
    for cells in layer_rows(blamed):
        table.add_row(*cells)
    open_console().print(table)
