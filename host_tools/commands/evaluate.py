"""`thumbnet evaluate`: float, int8 and baseline on the held-out windows of a recipe."""

from __future__ import annotations

from pathlib import Path

import click

from ..jsonout import emit
from ..parts import part_options, perform_part


@click.command()
@part_options
def command(task: str, recipe: Path | None, data: Path | None, output: Path | None, as_json: bool) -> None:
    """Score float, int8 and band-power baseline on the held-out windows of a recipe."""
    from ..report.summary import quality_rows
    from ..text import new_table, open_console

    folder = perform_part(task, recipe, data, output, "compress")
    signals, compressed = folder.facts("signals"), folder.facts("compress")
    metrics = {**compressed["metrics"], "baseline": folder.facts("train")["baseline"]}
    if as_json:
        emit("evaluate/1", {
            "run": str(folder.path),
            "protocol": signals["protocol"],
            "windows": signals["windows"]["test"],
            "metrics": metrics,
            "agreement": compressed["agreement"],
        })  # fmt: skip
        return
    title = f"{signals['windows']['test']} held-out windows, {signals['protocol']}"
    table = new_table(title, "|>accuracy|>macro F1|>kappa")
    for name, cells in quality_rows({"metrics": metrics}):
        table.add_row(name, *cells)
    open_console().print(table)
