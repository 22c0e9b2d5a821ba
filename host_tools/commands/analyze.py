"""`thumbnet analyze`: what a model is made of, what stands in its way, which boards it fits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..options import json_option, model_argument

if TYPE_CHECKING:
    from rich.console import Console

    from ..analyze import Report


@click.command("analyze")
@model_argument
@json_option
def command(model: Path, as_json: bool) -> int:
    """List the operators and MACs of MODEL, every layer that is not supported, and the boards it fits.

    Needs no toolchain. Exits with 1 when a layer is not supported.
    """
    from .. import jsonout
    from ..analyze import analyze
    from ..modelfile import read_model

    report = analyze(read_model(model))
    if as_json:
        jsonout.emit("analyze/1", report.to_dict())
    else:
        _print(report)
    return 1 if report.analysis.unsupported else 0


def _print(report: Report) -> None:
    from ..names import short_name, shorten_quoted
    from ..text import count, new_table, open_console

    console = open_console()
    table = new_table(report.model.path.name, ">|operator|output|>MACs|name")
    for layer in report.analysis.layers:
        table.add_row(
            str(layer.index), layer.op, " x ".join(map(str, layer.shape)), count(layer.macs) if layer.macs else "",
            short_name(layer.name), style=None if layer.supported else "bold red",
        )  # fmt: skip
    console.print(table)
    used = ", ".join(f"{number} {op}" for op, number in report.operators.items())
    console.print(f"{len(report.analysis.layers)} layers, {report.analysis.macs:,} MACs: {used}")
    for layer in report.analysis.unsupported:
        console.print(f"[bold red]not supported[/]: layer {layer.index} {layer.op}: ", end="")
        console.print(shorten_quoted(layer.reason), markup=False, soft_wrap=True)
    if report.compiled is not None:
        _print_boards(console, report)


def _print_boards(console: Console, report: Report) -> None:
    from ..text import count, new_table

    caption = "RAM: state, input and output. Flash: weights. Code, device link and stack come on top."
    table = new_table("boards", "board|core|>RAM|>of|>flash|>of|", caption)
    for fit in report.fits:
        table.add_row(
            fit.board.name, fit.board.target, count(fit.ram_bytes), count(fit.board.ram_bytes),
            count(fit.flash_bytes), count(fit.board.flash_bytes),
            "[green]fits[/]" if fit.fits else "[red]too large[/]",
        )  # fmt: skip
    console.print(table)
