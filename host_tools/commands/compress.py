"""`thumbnet compress`: the int8 model of a recipe."""

from __future__ import annotations

from pathlib import Path

import click

from ..jsonout import emit
from ..parts import part_options, perform_part


@click.command()
@part_options
def command(task: str, recipe: Path | None, data: Path | None, output: Path | None, as_json: bool) -> None:
    """Quantize the network of a recipe to int8: the stages up to compress of `thumbnet run`."""
    folder = perform_part(task, recipe, data, output, "compress")
    facts = folder.facts("compress")
    if as_json:
        emit("compress/1", {"run": str(folder.path), **facts})
        return
    agreement = facts["agreement"]
    low, high = agreement["interval_95"]
    click.echo(
        f"{folder.output('model.bundle')}: {facts['sizes']['int8']:,} bytes, names the float network's class in "
        f"{agreement['share']:.1%} of {agreement['windows']} held-out windows (95 %: {low:.1%} to {high:.1%})"
    )
