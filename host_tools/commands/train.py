"""`thumbnet train`: the float network of a recipe."""

from __future__ import annotations

from pathlib import Path

import click

from ..jsonout import emit
from ..parts import part_options, perform_part


@click.command()
@part_options
def command(task: str, recipe: Path | None, data: Path | None, output: Path | None, as_json: bool) -> None:
    """Train the network of a recipe: the stages signals and train of `thumbnet run`."""
    folder = perform_part(task, recipe, data, output, "train")
    facts = folder.facts("train")
    if as_json:
        emit("train/1", {"run": str(folder.path), "protocol": folder.facts("signals")["protocol"], **facts})
        return
    metrics = facts["metrics"]
    click.echo(
        f"{folder.output('model.keras')}: {facts['parameters']:,} trainable parameters, held-out accuracy "
        f"{metrics['accuracy']:.1%}, macro F1 {metrics['macro_f1']:.1%} ({folder.facts('signals')['protocol']})"
    )
