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
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table(title=f"{report.model.path.name}", title_justify="left")
    for heading in ("", "operator", "output", "MACs", "name"):
        table.add_column(heading, justify="right" if heading in ("", "MACs") else "left", overflow="fold")
    for layer in report.analysis.layers:
        style = None if layer.supported else "bold red"
        shape = " x ".join(map(str, layer.shape))
        table.add_row(str(layer.index), layer.op, shape, f"{layer.macs:,}" if layer.macs else "", layer.name,
                      style=style)  # fmt: skip
    console.print(table)
    used = ", ".join(f"{count} {op}" for op, count in report.operators.items())
    console.print(
        f"{len(report.analysis.layers)} layers ({used}), {report.analysis.macs:,} MACs", highlight=False
    )
    for layer in report.analysis.unsupported:
        console.print(f"[bold red]not supported[/]: layer {layer.index} {layer.op} '{layer.name}': ", end="")
        console.print(layer.reason, markup=False, highlight=False)
    if report.compiled is not None:
        _print_boards(console, report)


def _print_boards(console: Console, report: Report) -> None:
    from rich.table import Table

    table = Table(
        title="boards", title_justify="left", caption_justify="left",
        caption="RAM: state, input and output. Flash: weights. Code, device link and stack come on top.",
    )  # fmt: skip
    for heading in ("board", "core", "RAM", "of", "flash", "of", ""):
        table.add_column(heading, justify="right" if heading in ("RAM", "flash", "of") else "left")
    for fit in report.fits:
        table.add_row(
            fit.board.name, fit.board.target, f"{fit.ram_bytes:,}", f"{fit.board.ram_bytes:,}", f"{fit.flash_bytes:,}",
            f"{fit.board.flash_bytes:,}", "[green]fits[/]" if fit.fits else "[red]too large[/]",
        )  # fmt: skip
    console.print(table)
